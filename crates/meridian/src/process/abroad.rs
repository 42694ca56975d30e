//! What a region has of others that run in the same process.
//!
//! Owns only what they cannot find by settings: doors that were bound before anybody could be told of
//! them, and event logs that lie in the process itself. Everything else they do over gRPC, as if they were
//! far from each other.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use meridian_chassis::http::Listener;
use meridian_clock::Region;
use meridian_eventlog::EventLog;

/// The other regions of this process; by default there are none.
#[derive(Default)]
pub(crate) struct Abroad {
    /// Where this region takes their calls, unless the settings say.
    pub(crate) peers: Vec<Listener>,
    /// Their event logs.
    pub(crate) logs: BTreeMap<Region, Arc<dyn EventLog>>,
    /// Where this region shows its own.
    pub(crate) own: Shelf,
}

/// Where a region puts its event log as soon as it is open. Cheap to clone; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Shelf {
    log: Arc<OnceLock<Arc<dyn EventLog>>>,
}

// === impl Abroad ===

impl Abroad {
    /// Whether other regions run in this process.
    pub(crate) fn is_of_one_process(&self) -> bool {
        !self.logs.is_empty()
    }
}

// === impl Shelf ===

impl Shelf {
    /// Puts it there. There is one only: a second one is not looked at.
    pub(super) fn put(&self, log: Arc<dyn EventLog>) {
        drop(self.log.set(log));
    }

    /// The log, if it is there.
    pub(crate) fn log(&self) -> Option<Arc<dyn EventLog>> {
        self.log.get().cloned()
    }
}
