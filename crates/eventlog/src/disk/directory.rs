//! What the writer's thread and the callers share: the topics, and whether the log is poisoned.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::stream::Stream;
use crate::{Outage, ReadError, Topic};

/// The topics of a log.
#[derive(Debug)]
pub(super) struct Directory {
    streams: RwLock<BTreeMap<Topic, Arc<Stream>>>,
    poison: OnceLock<Arc<io::Error>>,
}

// === impl Directory ===

impl Directory {
    pub(super) fn new(streams: impl Iterator<Item = Arc<Stream>>) -> Self {
        let streams = streams.map(|stream| (stream.topic.clone(), stream));
        Self {
            streams: RwLock::new(streams.collect()),
            poison: OnceLock::new(),
        }
    }

    pub(super) fn find(&self, topic: &Topic) -> Option<Arc<Stream>> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.get(topic).cloned()
    }

    pub(super) fn get(&self, topic: &Topic) -> Result<Arc<Stream>, ReadError> {
        let stream = self.find(topic);
        stream.ok_or_else(|| ReadError::UnknownTopic(topic.clone()))
    }

    pub(super) fn streams(&self) -> Vec<Arc<Stream>> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.values().cloned().collect()
    }

    pub(super) fn insert(&self, stream: Arc<Stream>) {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        streams.insert(stream.topic.clone(), stream);
    }

    /// The failure after which nothing is written any more.
    pub(super) fn poison(&self) -> Option<Arc<io::Error>> {
        self.poison.get().cloned()
    }

    /// Ends all writing, for ever; the first reason stays.
    pub(super) fn set_poison(&self, error: io::Error) -> Arc<io::Error> {
        let reason = self.poison.get_or_init(|| {
            tracing::error!(%error, "the event log stops, because a write failed");
            Arc::new(error)
        });
        Arc::clone(reason)
    }

    /// Refuses if the log is poisoned.
    pub(super) fn check(&self) -> Result<(), Outage> {
        match self.poison() {
            Some(reason) => Err(Outage::Poisoned(reason)),
            None => Ok(()),
        }
    }
}
