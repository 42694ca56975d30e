//! A wide-area network of named regions: a lane for each ordered pair, and links over them.
//!
//! Owns the lanes, which all links between two regions share, whichever side connects: `eu -> us` is
//! one pipe, for what `eu` asks of `us` and for what it answers. Keeps the invariant that a cut of a
//! lane is a cut of all that crosses it. Leaves it to its caller what listens in a region, and in which
//! network a region is.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::lane::Lane;
use crate::link::Link;
use crate::place::{Place, Site};
use crate::profile::Profile;

/// Regions, and a lane from each of them to each other one.
#[derive(Debug)]
pub struct Mesh {
    lanes: BTreeMap<(String, String), Lane>,
    links: Vec<Link>,
    /// Of regions whose sockets are not made as any other.
    places: BTreeMap<String, Place>,
    seed: u64,
}

/// There is no such pair of regions.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no lane leads from {from:?} to {to:?}")]
pub struct NoSuchLane {
    from: String,
    to: String,
}

/// Why there is no link.
#[derive(Debug, Error)]
pub enum LinkError {
    /// Its regions are not two of the mesh.
    #[error(transparent)]
    NoSuchLane(#[from] NoSuchLane),
    /// Its address cannot be listened at.
    #[error("listen at {address} for connections from {from:?} to {to:?}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The region that would connect.
        from: String,
        /// The region that would be connected to.
        to: String,
        /// Why.
        source: io::Error,
    },
}

// === impl Mesh ===

impl Mesh {
    /// Lanes between all these regions, all of one profile.
    #[must_use]
    pub fn new<'a>(
        regions: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
        profile: Profile,
        seed: u64,
    ) -> Self {
        let regions = regions.into_iter();
        let pairs =
            { regions.clone() }.flat_map(|from| { regions.clone() }.map(move |to| (from, to)));
        let lanes = pairs
            .filter(|(from, to)| from != to)
            .map(|(from, to)| ((from.to_owned(), to.to_owned()), Lane::new(profile)))
            .collect();
        Self {
            lanes,
            links: Vec::new(),
            places: BTreeMap::new(),
            seed,
        }
    }

    /// The lane from one region to another.
    ///
    /// # Errors
    ///
    /// They are not two regions of this mesh.
    pub fn lane(&self, from: &str, to: &str) -> Result<&Lane, NoSuchLane> {
        let pair = (from.to_owned(), to.to_owned());
        self.lanes.get(&pair).ok_or(NoSuchLane {
            from: pair.0,
            to: pair.1,
        })
    }

    /// All lanes, by where they lead from and to.
    pub fn lanes(&self) -> impl Iterator<Item = (&str, &str, &Lane)> {
        self.lanes
            .iter()
            .map(|((from, to), lane)| (from.as_str(), to.as_str(), lane))
    }

    /// Has the sockets of a region made there: what listens in it, and what connects to its servers. It holds
    /// for links that are made from now on.
    pub fn settle(&mut self, region: &str, place: Place) {
        self.places.insert(region.to_owned(), place);
    }

    fn site(&self, region: &str, address: SocketAddr) -> Site {
        let place = self.places.get(region).cloned().unwrap_or_default();
        Site { address, place }
    }

    /// Gives a server of region `to` an address in region `from`, and says which: `listen`, or a free
    /// port if its port is 0. There may be many per pair.
    ///
    /// # Errors
    ///
    /// They are not two regions of this mesh, or the address cannot be listened at.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of Tokio.
    pub fn link(
        &mut self,
        from: &str,
        to: &str,
        listen: SocketAddr,
        server: SocketAddr,
    ) -> Result<&Link, LinkError> {
        let (forward, backward) = (self.lane(from, to)?, self.lane(to, from)?);
        let seed = self.seed + self.links.len() as u64;
        let (near, far) = (self.site(from, listen), self.site(to, server));
        let link = Link::between(&near, far, forward, backward, seed);
        let link = link.map_err(|source| LinkError::Listen {
            address: listen,
            from: from.to_owned(),
            to: to.to_owned(),
            source,
        })?;
        Ok(self.links.push_mut(link))
    }

    /// All links, in the order in which they were made.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Cuts both lanes between two regions.
    ///
    /// # Errors
    ///
    /// They are not two regions of this mesh.
    pub fn part(&self, one: &str, other: &str) -> Result<(), NoSuchLane> {
        let lanes = (self.lane(one, other)?, self.lane(other, one)?);
        lanes.0.cut();
        lanes.1.cut();
        Ok(())
    }

    /// Cuts a region off from all others.
    pub fn isolate(&self, region: &str) {
        self.lanes()
            .filter(|(from, to, _)| *from == region || *to == region)
            .for_each(|(_, _, lane)| lane.cut());
    }

    /// Mends all lanes.
    pub fn heal(&self) {
        self.lanes().for_each(|(_, _, lane)| lane.heal());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh() -> Mesh {
        Mesh::new(["eu", "us", "asia"], Profile::default(), 1)
    }

    fn cut(mesh: &Mesh) -> Vec<String> {
        mesh.lanes()
            .filter(|(_, _, lane)| !lane.is_whole())
            .map(|(from, to, _)| format!("{from}->{to}"))
            .collect()
    }

    #[test]
    fn there_is_a_lane_for_each_ordered_pair() {
        let mesh = mesh();
        assert_eq!(mesh.lanes().count(), 6);
        assert!(mesh.lane("eu", "us").is_ok());
        assert_eq!(
            mesh.lane("eu", "mars").unwrap_err().to_string(),
            "no lane leads from \"eu\" to \"mars\""
        );
        assert!(mesh.lane("eu", "eu").is_err());
    }

    #[test]
    fn lanes_are_cut_one_by_one_in_pairs_or_by_region() {
        let mesh = mesh();
        mesh.lane("eu", "us").unwrap().cut();
        assert_eq!(cut(&mesh), ["eu->us"]);
        mesh.part("us", "asia").unwrap();
        assert_eq!(cut(&mesh), ["asia->us", "eu->us", "us->asia"]);
        mesh.heal();
        assert!(cut(&mesh).is_empty());
        mesh.isolate("asia");
        assert_eq!(cut(&mesh), ["asia->eu", "asia->us", "eu->asia", "us->asia"]);
    }

    #[test]
    fn each_lane_has_a_profile_of_its_own() {
        let mesh = mesh();
        let slow: Profile = "200ms,5Mbit/s".parse().unwrap();
        mesh.lane("eu", "asia").unwrap().set_profile(slow);
        assert_eq!(mesh.lane("eu", "asia").unwrap().profile(), slow);
        assert_eq!(
            mesh.lane("asia", "eu").unwrap().profile(),
            Profile::default()
        );
    }
}
