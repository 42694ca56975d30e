//! How far this region is with what others did.
//!
//! Read off the engine whenever it is asked for; there is no second account. What is fetched it says of
//! this agent: what others of the same region fetch, they know themselves, and whoever asks adds it up. How many images are not
//! complete is the state's to say: the engine knows of no more than fits into its table.

use std::collections::{BTreeMap, BTreeSet};

use meridian_clients::ReadError;
use meridian_clients::regions::{
    IncompleteImages, PeerStatus, RegistryStatus, ReplicationStatus, StreamStatus,
};
use meridian_clients::replica::{Incomplete, Place};
use meridian_clock::Region;
use meridian_event::{RegistryId, SHARDS};
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
    let incomplete = shell.ports.replica.incomplete().await?;
    let on_its_way = snapshot.registries.iter().map(|row| row.registry);
    let ids = on_its_way.chain(incomplete.iter().map(|row| row.registry));
    let names = names(shell, ids).await?;
    let registries = snapshot.registries.iter().map(|row| told(row, &names));
    let images = |row: &Incomplete| IncompleteImages {
        registry: row.registry,
        name: names.get(&row.registry).cloned(),
        images: row.images,
    };
    Ok(ReplicationStatus {
        region: shell.region,
        peers,
        registries: registries.collect(),
        incomplete: incomplete.iter().map(images).collect(),
    })
}

/// How far this region is with what each other one did.
pub(crate) fn of_peers(shell: &Shell) -> Vec<PeerStatus> {
    Snapshot::of(shell).peers(shell)
}

/// The names of registries, as far as they are known here.
async fn names(
    shell: &Shell,
    ids: impl Iterator<Item = RegistryId>,
) -> Result<BTreeMap<RegistryId, RegistryName>, ReadError> {
    let mut names = BTreeMap::new();
    for id in ids {
        if names.contains_key(&id) {
            continue;
        }
        match shell.ports.replica.registry_name(id).await {
            Ok(name) => drop(names.insert(id, name)),
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
        let abroad = others(shell, region, streams().map(|it| it.stream.shard).collect());
        let events = streams()
            .map(|it| it.behind)
            .chain(abroad.iter().map(StreamStatus::behind));
        let events = events.sum();
        let own = streams().map(|it| stream(it, shell));
        let mut all: Vec<_> = own.chain(abroad).collect();
        all.sort_by_key(|stream| stream.shard);
        PeerStatus {
            region,
            answers: !shell.heads.is_deaf(region),
            fresh,
            streams: all,
            events,
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

/// The streams of a region that other agents of this one consume: how far the state is with them.
fn others(shell: &Shell, origin: Region, own: BTreeSet<u16>) -> Vec<StreamStatus> {
    let shards = (0..SHARDS).filter(|shard| !own.contains(shard));
    let of_others = shards.filter_map(|shard| {
        let stream = engine::StreamId { origin, shard };
        Some(StreamStatus {
            shard,
            cursor: place(shell.crew.cursor(stream)?),
            head: shell.heads.head(stream).map(place),
            // Whoever consumes it knows.
            alarm: None,
        })
    });
    of_others.collect()
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
