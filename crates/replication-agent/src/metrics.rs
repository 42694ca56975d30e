//! What this agent counts, and what it shows of what the engine knows.
//!
//! Each number is one per other region: those are known when the agent starts. What is read off the
//! engine costs a pass over what that remembers, when somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meridian_chassis::metrics::Metrics;
use meridian_clients::regions::PeerStatus;
use meridian_clock::Region;

use crate::shell::Shell;
use crate::status;

/// The counts.
#[derive(Debug)]
pub(crate) struct Meters {
    peers: BTreeMap<Region, Fetched>,
}

/// What came from a region.
#[derive(Debug, Default)]
struct Fetched {
    transfers: AtomicU64,
    bytes: AtomicU64,
}

/// Shows all of it.
pub(crate) fn show(shell: &Arc<Shell>, metrics: &Metrics) {
    let read = |name, help, read: fn(&PeerStatus) -> Option<u64>| {
        let shell = Arc::clone(shell);
        metrics.read_each(name, help, "region", move || {
            let number = |status: PeerStatus| {
                let number = i64::try_from(read(&status)?).ok()?;
                Some((status.region.to_string(), number))
            };
            let peers = status::of_peers(&shell).into_iter();
            peers.filter_map(number).collect()
        });
    };
    let help = "Events of the other region that are not merged here.";
    read("replication_behind_events", help, |it| Some(it.events));
    let help = "How long ago all that the other region had done was known to be merged here.";
    read("replication_behind_seconds", help, |it| {
        Some(it.fresh?.as_secs())
    });
    let help = "Bytes of content that are to come from the other region.";
    read("replication_outstanding_bytes", help, |it| Some(it.bytes));
    let help =
        "Shards of the other region whose events are not merged until somebody looks at them.";
    read("replication_stopped_streams", help, |it| {
        let stopped = it.streams.iter().filter(|stream| stream.alarm.is_some());
        Some(stopped.count() as u64)
    });
    let count = |name, help, read: fn(&Fetched) -> &AtomicU64| {
        let shell = Arc::clone(shell);
        metrics.read_counts(name, help, "region", move || {
            let peers = shell.meters.peers.iter();
            let count = |fetched| read(fetched).load(Ordering::Relaxed);
            peers
                .map(|(region, fetched)| (region.to_string(), count(fetched)))
                .collect()
        });
    };
    let help = "Bytes of content that came from the other region.";
    count("replication_fetched_bytes", help, |it| &it.bytes);
    let help = "Transfers of content from the other region that were begun.";
    count("replication_transfers", help, |it| &it.transfers);
}

// === impl Meters ===

impl Meters {
    pub(crate) fn of(regions: impl Iterator<Item = Region>) -> Self {
        Self {
            peers: regions.map(|region| (region, Fetched::default())).collect(),
        }
    }

    /// A transfer begins.
    pub(crate) fn begun(&self, from: Region) {
        if let Some(fetched) = self.peers.get(&from) {
            fetched.transfers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Bytes have come.
    pub(crate) fn received(&self, from: Region, bytes: u64) {
        if let Some(fetched) = self.peers.get(&from) {
            fetched.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}
