//! The clients that read, and who of the callers has which.
//!
//! Owns a bounded set of them. A caller that reads on where it has stopped gets the client that is
//! there already, with what it has read ahead; anyone else gets one that is moved. A client is back
//! in the set when its lease is dropped, whatever became of the read.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::client::Settings;
use super::failure::Failure;
use super::reader::Reader;
use crate::{Outage, Topic};

/// How many reads may be under way: two readers of each shard of a region's topic.
const READERS: usize = 32;

/// A client that nobody has wanted for so long is ended.
const IDLE: Duration = Duration::from_mins(5);

/// The clients that read.
pub(super) struct Readers {
    config: ClientConfig,
    permits: Arc<Semaphore>,
    set: Mutex<Set>,
}

#[derive(Default)]
struct Set {
    /// Those that nobody has, and since when: the one that was used last at the end.
    idle: VecDeque<(Instant, Reader)>,
    /// How many there are in all.
    made: usize,
}

/// A client that one caller has.
pub(super) struct Lease {
    readers: Arc<Readers>,
    /// Taken when it is dropped.
    reader: Option<Reader>,
    _permit: OwnedSemaphorePermit,
}

// === impl Readers ===

impl Readers {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            config: settings.reading(),
            permits: Arc::new(Semaphore::new(READERS)),
            set: Mutex::default(),
        }
    }

    /// The client that stands at that place if there is one, else any. Waits while all are taken.
    pub(super) async fn lease(
        self: &Arc<Self>,
        topic: &Topic,
        shard: u16,
        from: u64,
    ) -> Result<Lease, Outage> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Outage::Closed)?;
        let retired = self.set().retire();
        if !retired.is_empty() {
            // Ending a client waits for its threads.
            drop(tokio::task::spawn_blocking(move || drop(retired)));
        }
        let reader = self.set().pick(topic, shard, from);
        match reader {
            Some(reader) => Ok(Lease {
                readers: Arc::clone(self),
                reader: Some(reader),
                _permit: permit,
            }),
            None => self.make(permit).await,
        }
    }

    /// Makes a client. It gets into the set also when nobody waits for it any more.
    async fn make(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Result<Lease, Outage> {
        let readers = Arc::clone(self);
        let making = tokio::task::spawn_blocking(move || {
            let made = Reader::new(&readers.config).map_err(Failure::to("make a reader"));
            if made.is_err() {
                readers.set().made -= 1;
            }
            Ok::<_, Failure>(Lease {
                reader: Some(made?),
                readers,
                _permit: permit,
            })
        });
        Ok(making.await.map_err(|_| Outage::Closed)??)
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Set ===

impl Set {
    /// One of the idle; `None` when one is to be made, which is then counted.
    fn pick(&mut self, topic: &Topic, shard: u16, from: u64) -> Option<Reader> {
        let is_at = |(_, reader): &(Instant, Reader)| reader.is_at(topic, shard, from);
        let at_place = self.idle.iter().position(is_at);
        let oldest = (self.made >= READERS).then_some(0);
        let picked = at_place
            .or(oldest)
            .and_then(|index| self.idle.remove(index));
        if picked.is_none() {
            self.made += 1;
        }
        picked.map(|(_, reader)| reader)
    }

    /// Those that nobody has wanted for long. What a client has to say piles up while nobody reads.
    fn retire(&mut self) -> Vec<Reader> {
        let is_old = |(since, _): &(Instant, Reader)| since.elapsed() > IDLE;
        let old = self.idle.iter().take_while(|it| is_old(it)).count();
        self.made -= old;
        self.idle.drain(..old).map(|(_, reader)| reader).collect()
    }
}

// === impl Lease ===

impl Deref for Lease {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        self.reader.as_ref().expect("taken on drop only")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Reader {
        self.reader.as_mut().expect("taken on drop only")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.readers.set().idle.push_back((Instant::now(), reader));
        }
    }
}
