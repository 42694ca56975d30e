//! How far this region is with what others did.
//!
//! Read off the engine whenever it is asked for; there is no second account. Speaks of this agent: what
//! others of the same region fetch, they know themselves.

use std::collections::BTreeMap;

use meridian_clients::ReadError;
use meridian_clients::regions::{PeerStatus, RegistryStatus, ReplicationStatus, StreamStatus};
use meridian_clients::replica::Place;
use meridian_clock::Region;
use meridian_event::RegistryId;
use meridian_oci::RegistryName;
use meridian_replication as engine;

use crate::shell::Shell;
use crate::words;

/// What the engine says, all of it at once.
struct Snapshot {
    streams: Vec<engine::StreamStatus>,
    registries: Vec<engine::RegistryStatus>,
    peers: Vec<engine::PeerStatus>,
}

/// How far this region is.
pub(crate) async fn status(shell: &Shell) -> Result<ReplicationStatus, ReadError> {
    let snapshot = Snapshot::of(shell);
    let peers = snapshot.peers(shell);
    let names = names(shell, &snapshot).await?;
    let registries = snapshot.registries.iter().map(|row| told(row, &names));
    Ok(ReplicationStatus {
        region: shell.region,
        peers,
        registries: registries.collect(),
    })
}

/// How far this region is with what each other one did.
pub(crate) fn of_peers(shell: &Shell) -> Vec<PeerStatus> {
    Snapshot::of(shell).peers(shell)
}

/// The names of the registries of which something is on its way.
async fn names(
    shell: &Shell,
    snapshot: &Snapshot,
) -> Result<BTreeMap<RegistryId, RegistryName>, ReadError> {
    let mut names = BTreeMap::new();
    for row in &snapshot.registries {
        if names.contains_key(&row.registry) {
            continue;
        }
        match shell.ports.replica.registry_name(row.registry).await {
            Ok(name) => drop(names.insert(row.registry, name)),
            // Its events may come before its record.
            Err(ReadError::RegistryUnknown) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(names)
}

fn told(
    row: &engine::RegistryStatus,
    names: &BTreeMap<RegistryId, RegistryName>,
) -> RegistryStatus {
    RegistryStatus {
        registry: row.registry,
        name: names.get(&row.registry).cloned(),
        origin: row.origin,
        events: row.events,
        age: row.age,
        bodies: row.bodies,
        bytes: row.bytes,
        bytes_per_second: whole(row.bytes_per_second),
        eta: row.eta,
        trouble: row.trouble.map(words::trouble),
    }
}

/// A rate as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is no negative number, and one that is too large is as good as the largest"
)]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

const fn place(cursor: engine::Cursor) -> Place {
    Place {
        epoch: cursor.epoch,
        seq: cursor.seq,
    }
}

// === impl Snapshot ===

impl Snapshot {
    fn of(shell: &Shell) -> Self {
        shell.engine.look(|agent, now| Self {
            streams: agent.streams(now),
            registries: agent.registries(now),
            peers: agent.peers(now),
        })
    }

    fn peers(&self, shell: &Shell) -> Vec<PeerStatus> {
        let regions = shell.ports.peers.iter().map(|peer| peer.region);
        regions.map(|region| self.peer(shell, region)).collect()
    }

    fn peer(&self, shell: &Shell, region: Region) -> PeerStatus {
        let streams = || self.streams.iter().filter(|it| it.stream.origin == region);
        let rows = || {
            self.registries
                .iter()
                .filter(|it| it.origin == Some(region))
        };
        let peer = self.peers.iter().find(|it| it.region == region);
        let fresh = shell.engine.look_at_freshness(|freshness, now| {
            let as_of = freshness.fresh_as_of(region, None)?;
            Some(now.elapsed.saturating_sub(as_of))
        });
        let failure = peer.and_then(|peer| peer.failure);
        let etas = streams().map(|it| it.eta).chain(rows().map(|it| it.eta));
        let etas = etas.collect::<Option<Vec<_>>>();
        PeerStatus {
            region,
            answers: !shell.heads.is_deaf(region),
            fresh,
            streams: streams().map(|it| stream(it, shell)).collect(),
            events: streams().map(|it| it.behind).sum(),
            age: streams().filter_map(|it| it.age).max(),
            bodies: rows().map(|it| it.bodies).sum(),
            bytes: rows().map(|it| it.bytes).sum(),
            bytes_per_second: peer.map_or(0, |peer| whole(peer.bytes_per_second)),
            eta: etas.and_then(|etas| etas.into_iter().max()),
            lies: peer.map_or(0, |peer| peer.lies),
            failure: shell
                .introductions
                .reason(region)
                .or_else(|| failure.map(|it| words::failure(it).to_owned())),
        }
    }
}

fn stream(status: &engine::StreamStatus, shell: &Shell) -> StreamStatus {
    let stream = status.stream;
    StreamStatus {
        shard: stream.shard,
        cursor: place(status.cursor),
        head: status.head.map(place),
        alarm: words::alarm(stream, status.condition, shell.stops.at(stream)),
    }
}
