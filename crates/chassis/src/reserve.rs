//! What is kept free of a disk, for that which has to go on when it is full.
//!
//! Owns the judgement whether there is room to grow: a floor, below which there is none, and a mark
//! a little above it, from which there is again, so that the answer does not flutter. Keeps two
//! invariants: asking costs nothing, because the disk is looked at once in a while and in between
//! the last look holds; and the log hears of each turn once. Leaves to its owner how the room is
//! measured, what counts as growth, and what its callers are told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::ByteSize;

/// A look at the disk holds for so long,
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// or until so much of the floor may have been written since.
const LOOK_AGAIN_PART: u64 = 16;
/// There is room again when so much of the floor is free above it.
const RETURN_PART: u64 = 8;

/// The room on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What may still be written.
    pub free: u64,
    /// How large the disk is.
    pub total: u64,
}

/// The part of a disk that growth has to leave free.
#[derive(Debug)]
pub struct Reserve {
    what: &'static str,
    min_free: ByteSize,
    share: u64,
    begun: Instant,
    /// When the disk is to be looked at again, in milliseconds since `begun`.
    due: AtomicU64,
    /// How much was written since it was last looked at, and how much at most may be.
    written: AtomicU64,
    enough: AtomicU64,
    is_low: watch::Sender<bool>,
}

// === impl Reserve ===

impl Reserve {
    /// A reserve of `min_free`, but of no more than one part in `share` of the disk, so that a small
    /// one can be used, too. The log calls the disk that of `what`.
    #[must_use]
    pub fn new(what: &'static str, min_free: ByteSize, share: u64) -> Self {
        Self {
            what,
            min_free,
            share: share.max(1),
            begun: Instant::now(),
            due: AtomicU64::new(0),
            written: AtomicU64::new(0),
            enough: AtomicU64::new(u64::MAX),
            is_low: watch::Sender::new(false),
        }
    }

    /// Takes note of bytes that are about to be written, and says whether the disk has to be looked
    /// at before. Of many who ask at once, one is told so.
    pub fn is_due(&self, bytes: u64) -> bool {
        let written = self.written.fetch_add(bytes, Ordering::Relaxed);
        let now = millis(self.begun.elapsed());
        let due = self.due.load(Ordering::Relaxed);
        let much = written.saturating_add(bytes) >= self.enough.load(Ordering::Relaxed);
        if now < due && !much {
            return false;
        }
        let next = now + millis(LOOK_AGAIN);
        let turn = self
            .due
            .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        if turn.is_ok() {
            self.written.store(0, Ordering::Relaxed);
        }
        turn.is_ok()
    }

    /// Judges anew, after a look at the disk.
    pub fn look(&self, room: Room) {
        let floor = self.min_free.as_u64().min(room.total / self.share);
        self.enough
            .store((floor / LOOK_AGAIN_PART).max(1), Ordering::Relaxed);
        let was_low = *self.is_low.borrow();
        let mark = if was_low {
            floor + floor / RETURN_PART
        } else {
            floor
        };
        let is_low = room.free < mark;
        let turned = self.is_low.send_if_modified(|low| {
            let turns = *low != is_low;
            *low = is_low;
            turns
        });
        if turned {
            self.tell(is_low, room, floor);
        }
    }

    /// Whether nothing may grow, as of the last look.
    pub fn is_low(&self) -> bool {
        *self.is_low.borrow()
    }

    /// Changes whenever room runs out or is back.
    pub fn turns(&self) -> watch::Receiver<bool> {
        self.is_low.subscribe()
    }

    fn tell(&self, is_low: bool, room: Room, floor: u64) {
        let (free, reserve) = (ByteSize::bytes(room.free), ByteSize::bytes(floor));
        let what = self.what;
        if is_low {
            tracing::warn!(
                %free, %reserve,
                "the disk of {what} is full: pushes are refused, pulls and deletions go on; \
                 delete what is not needed, or give it more room"
            );
        } else {
            tracing::info!(%free, %reserve, "room on the disk of {what} is back: pushes go on");
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn room(free: u64) -> Room {
        Room {
            free: free * MIB,
            total: 1_000 * MIB,
        }
    }

    #[test]
    fn there_is_room_down_to_the_floor_and_again_a_little_above_it() {
        let reserve = Reserve::new("tests", ByteSize::mib(16), 20);
        for (free, is_low) in [
            (17, false),
            (16, false),
            (15, true),
            (17, true),
            (18, false),
        ] {
            reserve.look(room(free));
            assert_eq!(reserve.is_low(), is_low, "{free} MiB free");
        }
    }

    #[test]
    fn a_small_disk_can_be_used_too() {
        let reserve = Reserve::new("tests", ByteSize::gib(1), 20);
        reserve.look(room(51));
        assert!(!reserve.is_low());
        reserve.look(room(49));
        assert!(reserve.is_low());
    }

    #[tokio::test(start_paused = true)]
    async fn the_disk_is_looked_at_by_one_and_soon_again_only_if_much_is_written() {
        let reserve = Reserve::new("tests", ByteSize::mib(16), 20);
        assert!(reserve.is_due(0));
        reserve.look(room(500));
        assert!(!reserve.is_due(MIB / 2));
        assert!(reserve.is_due(MIB / 2));
        assert!(!reserve.is_due(MIB / 2));
        tokio::time::advance(LOOK_AGAIN).await;
        assert!(reserve.is_due(0));
        assert!(!reserve.is_due(0));
    }

    #[test]
    fn who_waits_hears_of_each_turn() {
        let reserve = Reserve::new("tests", ByteSize::mib(16), 20);
        let mut turns = reserve.turns();
        reserve.look(room(500));
        assert!(!turns.has_changed().unwrap());
        reserve.look(room(1));
        assert!(*turns.borrow_and_update());
        reserve.look(room(1));
        assert!(!turns.has_changed().unwrap());
    }
}
