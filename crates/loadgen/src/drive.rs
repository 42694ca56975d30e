//! Closed and open loops over a set of workers.
//!
//! In a closed loop each worker begins its next step when its last one has ended: that finds the
//! saturated throughput. In an open loop steps begin at a fixed rate whatever the server does, and
//! a latency counts from the moment a step was due, so that a stalled server is charged for every
//! step it delayed. Either way no step begins after the block's end and all that began are waited
//! for. Leaves deadlines to the caller, who drops the future.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::CallError;
use crate::sample::{Latencies, Sample};

/// How long a block lasts and how its steps are paced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Block {
    pub(crate) length: Duration,
    pub(crate) pacing: Pacing,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pacing {
    Closed,
    /// Steps per second, over all workers.
    Open(f64),
}

/// One client that does the same kind of step again and again.
pub(crate) trait Worker: Send + 'static {
    /// Does one step and returns the bytes of content that it moved.
    fn step(&mut self) -> impl Future<Output = Result<u64, CallError>> + Send;
}

/// What the workers of one block have in common.
struct Shared {
    start: Instant,
    block: Block,
    tickets: AtomicU64,
    latencies: Mutex<Latencies>,
}

struct Share {
    operations: u64,
    bytes: u64,
    last: Instant,
}

/// Lets all workers work for one block. They are in `workers` again when it succeeds, so that
/// their connections serve the next block.
pub(crate) async fn drive<W: Worker>(
    workers: &mut Vec<W>,
    block: &Block,
) -> Result<Sample, CallError> {
    let shared = Arc::new(Shared {
        start: Instant::now(),
        block: *block,
        tickets: AtomicU64::new(0),
        latencies: Mutex::new(Latencies::new()),
    });
    let mut tasks = JoinSet::new();
    for mut worker in workers.drain(..) {
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            let share = shared.work(&mut worker).await?;
            Ok::<_, CallError>((worker, share))
        });
    }
    let mut sample = Sample::default();
    let mut last = shared.start;
    while let Some(task) = tasks.join_next().await {
        let (worker, share) = task.expect("a worker is neither aborted nor does it panic")?;
        workers.push(worker);
        sample.operations += share.operations;
        sample.bytes += share.bytes;
        last = last.max(share.last);
    }
    sample.elapsed = last - shared.start;
    sample.latencies = std::mem::take(&mut *shared.latencies());
    Ok(sample)
}

// === impl Shared ===

impl Shared {
    async fn work(&self, worker: &mut impl Worker) -> Result<Share, CallError> {
        let mut share = Share {
            operations: 0,
            bytes: 0,
            last: self.start,
        };
        while let Some(due) = self.next().await {
            share.bytes += worker.step().await?;
            share.operations += 1;
            share.last = Instant::now();
            self.latencies().record(share.last - due);
        }
        Ok(share)
    }

    /// When the next step of this worker is due, or nothing after the end of the block.
    async fn next(&self) -> Option<Instant> {
        match self.block.pacing {
            Pacing::Closed => Some(Instant::now()).filter(|now| *now < self.end()),
            Pacing::Open(rate) => {
                let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
                let due = self.start + due_after(ticket, rate);
                if due >= self.end() {
                    return None;
                }
                wait_until(due).await;
                Some(due)
            }
        }
    }

    fn end(&self) -> Instant {
        self.start + self.block.length
    }

    fn latencies(&self) -> std::sync::MutexGuard<'_, Latencies> {
        self.latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a block has far fewer than 2^52 steps"
)]
fn due_after(ticket: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(ticket as f64 / rate)
}

/// The timer counts in milliseconds, which is longer than most answers take; the last stretch is
/// waited for by yielding. The generator has its CPU for itself.
async fn wait_until(due: Instant) {
    const COARSE: Duration = Duration::from_millis(2);
    if let Some(early) = due.checked_sub(COARSE)
        && early > Instant::now()
    {
        tokio::time::sleep_until(early.into()).await;
    }
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper(Duration);

    impl Worker for Sleeper {
        async fn step(&mut self) -> Result<u64, CallError> {
            tokio::time::sleep(self.0).await;
            Ok(10)
        }
    }

    fn block(pacing: Pacing) -> Block {
        Block {
            length: Duration::from_millis(200),
            pacing,
        }
    }

    #[tokio::test]
    async fn a_closed_loop_keeps_every_worker_busy_and_gives_them_back() {
        let mut workers: Vec<_> = (0..4).map(|_| Sleeper(Duration::from_millis(20))).collect();
        let sample = drive(&mut workers, &block(Pacing::Closed)).await.unwrap();
        assert_eq!(workers.len(), 4);
        assert!(
            (8..=40).contains(&sample.operations),
            "{}",
            sample.operations
        );
        assert_eq!(sample.bytes, 10 * sample.operations);
        assert!(sample.elapsed >= Duration::from_millis(180));
    }

    #[tokio::test]
    async fn an_open_loop_begins_exactly_the_steps_that_are_due() {
        let mut workers: Vec<_> = (0..4).map(|_| Sleeper(Duration::ZERO)).collect();
        let sample = drive(&mut workers, &block(Pacing::Open(100.0)))
            .await
            .unwrap();
        assert_eq!(sample.operations, 20);
    }

    #[tokio::test]
    async fn an_open_loop_charges_a_late_step_from_when_it_was_due() {
        let mut workers = vec![Sleeper(Duration::from_millis(50))];
        let sample = drive(&mut workers, &block(Pacing::Open(50.0)))
            .await
            .unwrap();
        assert_eq!(sample.operations, 10);
        let worst = sample.latencies.quantile(1.0);
        assert!(worst >= Duration::from_millis(300), "{worst:?}");
    }

    #[tokio::test]
    async fn the_first_failure_of_a_worker_fails_the_block() {
        struct Failing;
        impl Worker for Failing {
            async fn step(&mut self) -> Result<u64, CallError> {
                Err(CallError::Ended)
            }
        }
        let driven = drive(&mut vec![Failing], &block(Pacing::Closed)).await;
        assert!(matches!(driven, Err(CallError::Ended)));
    }
}
