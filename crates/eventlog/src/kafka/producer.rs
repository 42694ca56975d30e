//! The producers, one after the other.
//!
//! Owns the rule on which order rests. One idempotent producer lives as long as everything that it
//! takes is delivered. After anything else (an error, no answer in time, a caller that went away)
//! what of its queue will reach the log is unknown, so that nothing may be appended behind it: the
//! queue is purged, the producer dropped, and the next append makes a new one.
//!
//! ```text
//! append ──▶ queue ──▶ in flight ──▶ delivered: the same producer goes on
//!              │           └───────▶ failed, or too late: purge both, drop, make anew
//!              └── purged: never sent           └── may stand in the log, or a prefix of it
//! ```
//!
//! Within one producer the broker refuses a batch that does not follow the one before it, and
//! `enable.gapless.guarantee` stops the client where it would number the rest anew. What is sent and
//! purged is therefore a prefix of what was queued.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{Producer as _, PurgeConfig, ThreadedProducer};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout_at};

use super::client::Settings;
use super::delivery::{APPEND, Delivered, Deliveries, Tally};
use super::failure::Failure;
use super::message::message;
use crate::{Outage, ShardBatch, Topic};

/// To copy so much into the queue takes less than to have another thread do it.
const LITTLE: usize = 16 << 10;

/// Makes producers, and replaces those that failed.
pub(super) struct Producers {
    config: ClientConfig,
    timeout: Duration,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    /// Of the newest producer.
    number: u64,
    producer: Option<Arc<Producer>>,
}

struct Producer {
    number: u64,
    client: ThreadedProducer<Deliveries>,
    /// Held while an append enters the queue and while the queue is purged, so that no append is
    /// purged by half; false after that.
    is_open: Mutex<bool>,
}

/// Batches that a producer has taken. Whoever drops it before their outcome is known gives up the
/// producer.
struct Taken {
    producers: Arc<Producers>,
    number: u64,
    deliveries: Vec<oneshot::Receiver<Delivered>>,
    is_settled: bool,
}

// === impl Producers ===

impl Producers {
    pub(super) fn new(settings: &Settings, timeout: Duration) -> Self {
        Self {
            config: settings.appending(),
            timeout,
            current: Mutex::default(),
        }
    }

    /// Appends batches, each to its shard, and waits until all are delivered, one has failed or the
    /// time is over. Answers for each batch, in order.
    pub(super) async fn append(
        self: &Arc<Self>,
        topic: Topic,
        batches: Vec<ShardBatch>,
        share: OwnedSemaphorePermit,
    ) -> Result<Vec<Delivered>, Outage> {
        let producers = Arc::clone(self);
        let deadline = Instant::now() + self.timeout;
        let size: usize = batches.iter().map(ShardBatch::size).sum();
        let mut taken = if size <= LITTLE && self.has_current() {
            producers.take(&topic, &batches, share)?
        } else {
            let taking = move || producers.take(&topic, &batches, share);
            let taking = tokio::task::spawn_blocking(taking);
            taking.await.map_err(|_| Outage::Closed)??
        };
        let delivered = taken.wait(deadline, self.timeout).await;
        if delivered.iter().any(Result::is_err) {
            let (producers, number) = (Arc::clone(self), taken.number);
            let giving_up = tokio::task::spawn_blocking(move || producers.give_up(number));
            giving_up.await.map_err(|_| Outage::Closed)?;
        }
        taken.is_settled = true;
        Ok(delivered)
    }

    /// Puts batches into the queue. Blocks while a producer is made or given up, and copies all of the
    /// records.
    fn take(
        self: Arc<Self>,
        topic: &Topic,
        batches: &[ShardBatch],
        share: OwnedSemaphorePermit,
    ) -> Result<Taken, Failure> {
        let share = Arc::new(share);
        loop {
            let producer = self.current()?;
            let deliveries = producer.take(topic, batches, &share);
            let number = producer.number;
            drop(producer);
            if let Some(deliveries) = deliveries {
                return Ok(Taken {
                    producers: self,
                    number,
                    deliveries,
                    is_settled: false,
                });
            }
        }
    }

    fn has_current(&self) -> bool {
        self.lock().producer.is_some()
    }

    /// The producer that lives, or a new one. Blocks.
    fn current(&self) -> Result<Arc<Producer>, Failure> {
        let mut current = self.lock();
        if let Some(producer) = &current.producer {
            return Ok(Arc::clone(producer));
        }
        let client = self.config.create_with_context(Deliveries);
        current.number += 1;
        let producer = Arc::new(Producer {
            number: current.number,
            client: client.map_err(Failure::to("make a producer"))?,
            is_open: Mutex::new(true),
        });
        current.producer = Some(Arc::clone(&producer));
        Ok(producer)
    }

    /// Ends that producer, unless it has ended. Blocks.
    fn give_up(&self, number: u64) {
        let producer = self.lock().producer.take_if(|it| it.number == number);
        if let Some(producer) = producer {
            tracing::warn!("an append to Kafka has failed; its producer is made anew");
            producer.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Producer ===

impl Producer {
    /// Puts batches into the queue; `None` if it is closed. A record that the queue does not take
    /// fails its batch, and those behind it are not tried.
    fn take(
        &self,
        topic: &Topic,
        batches: &[ShardBatch],
        share: &Arc<OwnedSemaphorePermit>,
    ) -> Option<Vec<oneshot::Receiver<Delivered>>> {
        let is_open = self.is_open();
        if !*is_open {
            return None;
        }
        let tally = |batch: &ShardBatch| Tally::new(batch.records.len(), Arc::clone(share));
        let (tallies, deliveries): (Vec<_>, Vec<_>) = batches.iter().map(tally).unzip();
        for (batch, tally) in batches.iter().zip(&tallies) {
            for record in &batch.records {
                let message = message(topic.as_str(), batch.shard, record, Arc::clone(tally));
                if let Err((error, _)) = self.client.send(message) {
                    let failure = Failure::to(APPEND)(error);
                    tallies.iter().for_each(|tally| tally.fail(failure.clone()));
                    return Some(deliveries);
                }
            }
        }
        Some(deliveries)
    }

    fn close(&self) {
        let mut is_open = self.is_open();
        *is_open = false;
        self.client.purge(PurgeConfig::default().queue().inflight());
    }

    fn is_open(&self) -> MutexGuard<'_, bool> {
        self.is_open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Taken ===

impl Taken {
    async fn wait(&mut self, deadline: Instant, timeout: Duration) -> Vec<Delivered> {
        let wait =
            async |delivery: oneshot::Receiver<Delivered>| match timeout_at(deadline, delivery)
                .await
            {
                Ok(Ok(delivered)) => delivered,
                Ok(Err(_)) => Err(Failure::new(APPEND, "its producer has ended")),
                Err(_) => Err(Failure::new(
                    APPEND,
                    format!("no answer within {timeout:?}"),
                )),
            };
        futures::future::join_all(self.deliveries.drain(..).map(wait)).await
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let (producers, number) = (Arc::clone(&self.producers), self.number);
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || producers.give_up(number))),
            Err(_) => producers.give_up(number),
        }
    }
}
