//! Events that wait to be published.
//!
//! An event log that is away holds no write up: events gather in the state, and none is ever dropped.
//! Owns the two marks on the way: an alarm, and the limit at which nothing more is accepted, because
//! what gathers has to fit into the state, and has to be caught up with. Counts now and then, not at
//! each write, so the limit may be passed by what a moment brings.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use meridian_catalog::{Command, Deliver, query};
use meridian_clients::ReadError;
use tokio_util::sync::CancellationToken;

use crate::changes::View;
use crate::config::OutboxConfig;
use crate::events;
use crate::group::{Group, unavailable};

/// Between two counts.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two times that bytes are counted, which takes a look at each event.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// The oldest event, while none waits.
const NONE: u64 = u64::MAX;

/// The count.
#[derive(Debug)]
pub(crate) struct Backlog {
    marks: OutboxConfig,
    waiting: AtomicU64,
    bytes: AtomicU64,
    /// When the oldest was committed.
    oldest: AtomicU64,
    alarm: AtomicBool,
}

/// Whether a command makes an event, or may. What only keeps the house does not.
pub(crate) const fn tells(command: &Command) -> bool {
    match command {
        Command::PutManifest(_)
        | Command::PutBlob { .. }
        | Command::RecordBlob(_)
        | Command::MountBlob { .. }
        | Command::DeleteManifest { .. }
        | Command::DeleteTag { .. }
        | Command::DeleteBlob { .. }
        | Command::SetAttributes { .. }
        | Command::DeleteRepository { .. }
        | Command::PutWebhook(_)
        | Command::DeleteWebhook { .. }
        | Command::Deliver(Deliver::Disable { .. })
        | Command::Heartbeat { .. } => true,
        Command::TouchBlob { .. }
        | Command::ReserveGenerations { .. }
        | Command::Initialize { .. }
        | Command::CreateRegistry { .. }
        | Command::Configure(_)
        | Command::Collect(_)
        | Command::Sweep
        | Command::Acknowledge { .. }
        // What is merged is told by the region where it happened, and a notice that it is here is small.
        | Command::ApplyRemote(_)
        | Command::StoreManifest(_)
        | Command::StoreBlob(_)
        | Command::MergeFound(_)
        | Command::FoundRegistry { .. }
        | Command::SetCursor { .. }
        | Command::LeaseBlob { .. }
        | Command::SetPeers(_)
        | Command::Meet(_)
        | Command::Level { .. }
        | Command::Drain(_)
        | Command::Deliver(
            Deliver::Take { .. } | Deliver::Record(_) | Deliver::Prune { .. } | Deliver::Retry { .. },
        ) => false,
    }
}

/// Counts until it is stopped.
pub(crate) async fn run(group: &Group, stop: CancellationToken) {
    let mut progress = group.progress();
    let mut measured = Instant::now();
    loop {
        let view = group.view();
        // Before the state is made this region's there is nothing to count.
        if let Ok(streams) = query::streams(&view) {
            let waiting = streams
                .iter()
                .map(|stream| (stream.next - 1).saturating_sub(stream.acknowledged));
            let waiting = waiting.sum();
            let oldest = (waiting > 0).then(|| events::oldest_millis(&view));
            group.backlog().count(waiting, oldest.flatten());
        }
        if measured.elapsed() >= MEASURE_EVERY || group.backlog().waiting() == 0 {
            measured = Instant::now();
            group.backlog().measure(view).await;
        } else {
            drop(view);
        }
        let changed = async {
            tokio::time::sleep(PAUSE).await;
            let changed = tokio::time::timeout(MEASURE_EVERY, progress.changed());
            changed.await.unwrap_or(Ok(()))
        };
        if !matches!(stop.run_until_cancelled(changed).await, Some(Ok(()))) {
            return;
        }
    }
}

// === impl Backlog ===

impl Backlog {
    pub(crate) const fn new(marks: OutboxConfig) -> Self {
        Self {
            marks,
            waiting: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            oldest: AtomicU64::new(NONE),
            alarm: AtomicBool::new(false),
        }
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The bytes of those that wait, a few seconds ago.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// When the oldest of them was committed.
    pub(crate) fn oldest_millis(&self) -> Option<u64> {
        Some(self.oldest.load(Ordering::Relaxed)).filter(|oldest| *oldest != NONE)
    }

    /// The alarm and the limit.
    pub(crate) const fn marks(&self) -> OutboxConfig {
        self.marks
    }

    async fn measure(&self, view: View) {
        let bytes = match self.waiting() {
            0 => Ok(0),
            _ => tokio::task::spawn_blocking(move || events::waiting_bytes(&view)).await,
        };
        if let Ok(bytes) = bytes {
            self.bytes.store(bytes, Ordering::Relaxed);
        }
    }

    /// Refuses a command whose event would be one too many.
    pub(crate) fn admit(&self, command: &Command) -> Result<(), ReadError> {
        let waiting = self.waiting();
        if waiting >= self.marks.limit && tells(command) {
            return Err(unavailable(format!(
                "{waiting} events wait for the event log, which is as many as \
                 metadata.outbox.limit allows"
            )));
        }
        Ok(())
    }

    fn count(&self, waiting: u64, oldest: Option<u64>) {
        self.waiting.store(waiting, Ordering::Relaxed);
        let oldest = oldest.unwrap_or(NONE);
        self.oldest.store(oldest, Ordering::Relaxed);
        let (alarm, limit) = (self.marks.alarm, self.marks.limit);
        let was = self.alarm.load(Ordering::Relaxed);
        if !was && waiting >= alarm {
            self.alarm.store(true, Ordering::Relaxed);
            tracing::error!(
                waiting,
                limit,
                "events gather, because the event log does not take them: at the limit, writes are \
                 refused"
            );
        } else if was && waiting < alarm / 2 {
            self.alarm.store(false, Ordering::Relaxed);
            tracing::info!(waiting, "the event log has caught up");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_limit_what_makes_an_event_is_refused_and_housekeeping_is_not() {
        let backlog = Backlog::new(OutboxConfig { alarm: 2, limit: 4 });
        let delete = Command::DeleteTag {
            registry: "default".parse().unwrap(),
            repository: "team/app".parse().unwrap(),
            tag: "v1".parse().unwrap(),
            condition: None,
        };
        backlog.count(3, Some(7));
        assert!(backlog.admit(&delete).is_ok());
        backlog.count(4, Some(7));
        let refused = backlog.admit(&delete).unwrap_err();
        assert!(matches!(refused, ReadError::Unavailable { .. }));
        assert!(backlog.admit(&Command::Sweep).is_ok());
        backlog.count(0, None);
        assert_eq!(backlog.oldest_millis(), None);
        assert!(backlog.admit(&delete).is_ok());
    }
}
