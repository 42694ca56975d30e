//! One direction of a path between two regions, shared by all connections that cross it.
//!
//! Owns what the lane is like now, its pacer and its counters. Keeps the invariant that who has seen a
//! change of condition also sends by the new bandwidth. Leaves what a cut does to bytes to the flows,
//! which follow it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::flow::Condition;
use crate::pacer::{AHEAD, Pacer, turn};
use crate::profile::Profile;

/// One direction of a path: what it is like, whether it is cut, and what it has carried.
///
/// A handle: its clones are the same lane. It is there as long as anything crosses it.
#[derive(Debug, Clone)]
pub struct Lane {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    condition: watch::Sender<Condition>,
    pacer: Mutex<Pacer>,
    connections: AtomicU64,
    sent: AtomicU64,
    delivered: AtomicU64,
}

/// What a lane has carried since it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Connections whose openings crossed it, or wait for it to be mended.
    pub connections: u64,
    /// Bytes that entered it, each counted once even if a loss or a cut has it cross twice.
    pub sent: u64,
    /// Bytes that left it on the other side; the others are on their way, or were lost with their
    /// connections.
    pub delivered: u64,
}

// === impl Lane ===

impl Lane {
    /// A lane that nothing crosses yet.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        let condition = Condition {
            profile,
            whole: true,
        };
        let shared = Shared {
            condition: watch::Sender::new(condition),
            pacer: Mutex::new(Pacer::new(profile.bandwidth(), Instant::now())),
            connections: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// What it is like. Of a lane, the text of a profile says twice what one way takes.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.condition().profile
    }

    /// Changes what it is like. What is on its way arrives when it would have.
    pub fn set_profile(&self, profile: Profile) {
        self.pacer().set_bandwidth(profile.bandwidth());
        self.shared.condition.send_modify(|it| it.profile = profile);
    }

    /// From now on nothing crosses it, as if each packet were lost: connections hang, and end only if
    /// whoever uses them gives up. Openings wait until both lanes of their path are whole. What is
    /// being written at this moment still arrives.
    ///
    /// On the other lane bytes still arrive, but nobody hears of it, so that each connection goes on
    /// for no more than its window.
    pub fn cut(&self) {
        self.set_whole(false);
    }

    /// Mends it. What was on its way is sent again, and arrives a latency from now at the earliest.
    pub fn heal(&self) {
        self.set_whole(true);
    }

    fn set_whole(&self, whole: bool) {
        self.shared
            .condition
            .send_if_modified(|it| std::mem::replace(&mut it.whole, whole) != whole);
    }

    /// Whether it is not cut.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.condition().whole
    }

    /// What it has carried.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let read = |it: &AtomicU64| it.load(Ordering::SeqCst);
        // What has left is read first, and so never more than what has entered.
        let delivered = read(&self.shared.delivered);
        Traffic {
            connections: read(&self.shared.connections),
            sent: read(&self.shared.sent),
            delivered,
        }
    }

    /// Takes as long as a message of so many bytes does, for what crosses without a connection of
    /// sockets: until the lane is whole, as its bandwidth allows in turns with all others, and a latency.
    pub async fn carry(&self, bytes: usize) {
        self.count_sent(bytes);
        let mut left = bytes;
        while left > 0 {
            let turn = turn(self.profile().bandwidth()).min(left);
            let gone = self.pacer().send(turn, Instant::now());
            sleep_until(gone - AHEAD).await;
            left -= turn;
        }
        self.cross().await;
        self.count_delivered(bytes);
    }

    pub(crate) fn condition(&self) -> Condition {
        *self.shared.condition.borrow()
    }

    pub(crate) fn conditions(&self) -> watch::Receiver<Condition> {
        self.shared.condition.subscribe()
    }

    pub(crate) fn pacer(&self) -> MutexGuard<'_, Pacer> {
        self.shared
            .pacer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count_connection(&self) {
        self.shared.connections.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        self.shared.sent.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    pub(crate) fn count_delivered(&self, bytes: usize) {
        self.shared
            .delivered
            .fetch_add(bytes as u64, Ordering::SeqCst);
    }

    /// Takes as long as a packet of a handshake does, which is sent again if the lane is cut meanwhile.
    pub(crate) async fn cross(&self) {
        let mut conditions = self.conditions();
        // A lane outlives its conditions' readers here, so waiting for one never fails.
        while let Ok(latency) = conditions
            .wait_for(|it| it.whole)
            .await
            .map(|it| it.profile.latency())
        {
            tokio::select! {
                () = sleep(latency) => return,
                _ = conditions.wait_for(|it| !it.whole) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn timed(lane: &Lane, bytes: usize) -> Duration {
        let start = Instant::now();
        lane.carry(bytes).await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_takes_a_latency_and_the_time_of_its_bytes() {
        let lane = Lane::new("80ms,1MB/s".parse().unwrap());
        let short = timed(&lane, 0).await;
        assert!((40..=42).contains(&short.as_millis()), "{short:?}");
        let long = timed(&lane, 500_000).await;
        assert!((530..=560).contains(&long.as_millis()), "{long:?}");
        assert_eq!(lane.traffic().delivered, 500_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_for_a_lane_that_is_cut() {
        let lane = Lane::new("80ms".parse().unwrap());
        lane.cut();
        let mended = async {
            sleep(Duration::from_secs(1)).await;
            lane.heal();
        };
        let (took, ()) = tokio::join!(timed(&lane, 10), mended);
        assert!((1040..=1044).contains(&took.as_millis()), "{took:?}");
    }
}
