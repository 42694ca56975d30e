//! How much memory uploads may hold.
//!
//! Keeps three bounds. Parts that fill or go up share a budget; who needs a part of it waits for the
//! whole part at once, so that nobody can hold half of one and wait for the other. Ends of uploads
//! that rest between two requests share another, for which nobody waits: what does not fit is
//! dropped, because the store has it. And the few bodies that are put together from pieces
//! are counted one by one.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// What a writer may hold without asking.
pub(super) const FREE: usize = 64 << 10;

/// What a permit stands for.
const UNIT: usize = 64 << 10;

/// Notes that are put together at once.
const NOTES: usize = 4;

/// The memory of one store.
pub(super) struct Memory {
    parts: Arc<Semaphore>,
    resting: Arc<Semaphore>,
    notes: Semaphore,
    all_parts: u32,
}

/// The right to hold some memory. It ends when dropped.
#[derive(Debug)]
pub(super) struct Hold {
    _permit: OwnedSemaphorePermit,
}

// === impl Memory ===

impl Memory {
    /// `budget` bytes for parts, and a quarter of it besides for what rests.
    pub(super) fn new(budget: u64) -> Self {
        let units = usize::try_from(budget).unwrap_or(usize::MAX) / UNIT;
        let units = units.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            parts: Arc::new(Semaphore::new(units)),
            resting: Arc::new(Semaphore::new(units / 4)),
            notes: Semaphore::new(NOTES),
            all_parts: u32::try_from(units).unwrap_or(u32::MAX),
        }
    }

    /// Waits for the memory of a part.
    pub(super) async fn part(&self, size: usize) -> Hold {
        let units = units(size).min(self.all_parts);
        let permit = Arc::clone(&self.parts).acquire_many_owned(units).await;
        Hold {
            _permit: permit.expect("the semaphore is never closed"),
        }
    }

    /// Memory for what rests, if there is some.
    pub(super) fn rest(&self, size: usize) -> Option<Hold> {
        let permit = Arc::clone(&self.resting).try_acquire_many_owned(units(size));
        permit.ok().map(|permit| Hold { _permit: permit })
    }

    /// Waits for its turn to put a note together.
    pub(super) async fn note(&self) -> SemaphorePermit<'_> {
        let permit = self.notes.acquire().await;
        permit.expect("the semaphore is never closed")
    }
}

fn units(size: usize) -> u32 {
    u32::try_from(size.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_needs_a_part_waits_until_there_is_a_whole_one() {
        let memory = Memory::new(20 << 20);
        let first = memory.part(8 << 20).await;
        let _second = memory.part(8 << 20).await;
        assert!(memory.part(8 << 20).now_or_never().is_none());
        drop(first);
        assert!(memory.part(8 << 20).now_or_never().is_some());
        let more_than_all = Memory::new(1 << 20).part(8 << 20).now_or_never();
        assert!(
            more_than_all.is_some(),
            "a part that is too large goes alone"
        );
    }

    #[tokio::test]
    async fn what_does_not_fit_does_not_rest() {
        let memory = Memory::new(16 << 20);
        let first = memory.rest(3 << 20);
        assert!(first.is_some());
        assert!(memory.rest(2 << 20).is_none());
        drop(first);
        assert!(memory.rest(4 << 20).is_some());
    }
}
