//! The network between the two places of a row.
//!
//! Owns the lanes between the near place, to which clients push, and the far one. Keeps the invariant that
//! whatever a product moves from one to the other crosses them, and is counted. It runs on the
//! generator's CPU, and costs the servers nothing.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use meridian_wan::{Lane, Mesh, Profile};

const PINGS: u32 = 5;

/// Two places, and what lies between them.
#[derive(Debug)]
pub(crate) struct Wan {
    mesh: Mesh,
}

/// Where something is, as seen from the generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Near,
    Far,
}

// === impl Place ===

impl Place {
    pub(super) const BOTH: [Self; 2] = [Self::Near, Self::Far];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Near => Self::Far,
            Self::Far => Self::Near,
        }
    }
}

// === impl Wan ===

impl Wan {
    /// A wire, until it is told what to be like.
    pub(super) fn new() -> Self {
        let names = Place::BOTH.map(Place::name);
        Self {
            mesh: Mesh::new(names, Profile::default(), 1),
        }
    }

    /// Gives a server of the other place an address at this one.
    pub(super) fn lead(&mut self, from: Place, server: SocketAddr) -> io::Result<SocketAddr> {
        self.lead_at(from, (Ipv4Addr::LOCALHOST, 0).into(), server)
    }

    /// The same, with the address that is wanted.
    pub(super) fn lead_at(
        &mut self,
        from: Place,
        listen: SocketAddr,
        server: SocketAddr,
    ) -> io::Result<SocketAddr> {
        let link = self
            .mesh
            .link(from.name(), from.other().name(), listen, server);
        Ok(link.map_err(io::Error::other)?.address())
    }

    /// Changes what it is like.
    pub(crate) fn set(&self, profile: Profile) {
        self.lanes().for_each(|lane| lane.set_profile(profile));
    }

    /// Nothing crosses it any more.
    pub(crate) fn cut(&self) {
        self.lanes().for_each(Lane::cut);
    }

    /// Everything crosses it again.
    pub(crate) fn heal(&self) {
        self.mesh.heal();
    }

    /// How many bytes have entered it, in both directions, since it is there.
    pub(crate) fn carried(&self) -> u64 {
        self.lanes().map(|lane| lane.traffic().sent).sum()
    }

    /// How long a byte takes to the other place and back, the median of some: a busy machine has it take
    /// longer than the profile says.
    pub(crate) async fn round_trip(&self) -> Duration {
        let mut taken = Vec::new();
        for _ in 0..PINGS {
            let start = Instant::now();
            for lane in self.lanes() {
                lane.carry(1).await;
            }
            taken.push(start.elapsed());
        }
        taken.sort_unstable();
        taken[taken.len() / 2]
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.mesh.lanes().map(|(_, _, lane)| lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_crosses_takes_a_round_trip_and_is_counted() {
        let wan = Wan::new();
        wan.set("20ms".parse().unwrap());
        assert!(wan.round_trip().await >= Duration::from_millis(20));
        assert_eq!(wan.carried(), 2 * u64::from(PINGS));
    }
}
