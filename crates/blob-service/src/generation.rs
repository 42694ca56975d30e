//! Generations: the part of a storage key that is never used twice.
//!
//! Owns the blocks that this process reserved, and which of their generations were used. Keeps the
//! invariant that an object is created under a generation at most once, ever: here by a bit for
//! each generation of our own blocks; for those of other processes and earlier lives by answering
//! [`Claim::Foreign`], upon which bytes that exist may be continued, but none are begun. So a
//! physical deletion that comes late cannot hit a later upload.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use meridian_clients::{MetadataApi, WriteError};

use crate::propose::Proposer;

/// How many generations are reserved at once: one write for so many sessions.
const BLOCK: u64 = 1 << 20;

/// How many blocks remember what was used. A generation of an older one counts as foreign.
const REMEMBERED: usize = 64;

/// The generations that this process may use.
pub(crate) struct Generations {
    proposer: Proposer,
    blocks: Mutex<VecDeque<Block>>,
    /// Held while a block is reserved, so that one process reserves one at a time.
    reserving: tokio::sync::Mutex<()>,
}

/// What is known of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Ours, and nothing was ever stored under it.
    Unused,
    /// Ours, and used before.
    Used,
    /// Of another process, or of a life before this one.
    Foreign,
}

struct Block {
    epoch: u64,
    first: u64,
    count: u64,
    taken: u64,
    /// A bit for each used generation, as far as the last used one.
    used: Vec<u64>,
}

// === impl Generations ===

impl Generations {
    pub(crate) fn new(proposer: Proposer) -> Self {
        Self {
            proposer,
            blocks: Mutex::default(),
            reserving: tokio::sync::Mutex::default(),
        }
    }

    /// An epoch and a generation that nobody has. Costs a write once in a while, mostly nothing.
    pub(crate) async fn next(&self) -> Result<(u64, u64), WriteError> {
        loop {
            if let Some(next) = self.take() {
                return Ok(next);
            }
            let _reserving = self.reserving.lock().await;
            if let Some(next) = self.take() {
                return Ok(next);
            }
            let reserve = |metadata: Arc<dyn MetadataApi>, request| async move {
                metadata.reserve_generations(BLOCK, request).await
            };
            let block = self.proposer.run(reserve).await?;
            self.add(block.epoch, block.first, block.count);
        }
    }

    /// What is known of a generation. With `use_it`, an unused one is used from now on.
    pub(crate) fn claim(&self, epoch: u64, generation: u64, use_it: bool) -> Claim {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let block = blocks.iter_mut().rev().find(|b| b.holds(epoch, generation));
        match block {
            None => Claim::Foreign,
            Some(block) if block.is_used(generation) => Claim::Used,
            Some(block) => {
                if use_it {
                    block.mark_used(generation);
                }
                Claim::Unused
            }
        }
    }

    fn take(&self) -> Option<(u64, u64)> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let block = blocks
            .back_mut()
            .filter(|block| block.taken < block.count)?;
        let generation = block.first + block.taken;
        block.taken += 1;
        Some((block.epoch, generation))
    }

    fn add(&self, epoch: u64, first: u64, count: u64) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.len() == REMEMBERED {
            blocks.pop_front();
        }
        blocks.push_back(Block {
            epoch,
            first,
            count,
            taken: 0,
            used: Vec::new(),
        });
    }
}

// === impl Block ===

impl Block {
    fn holds(&self, epoch: u64, generation: u64) -> bool {
        let offset = generation.wrapping_sub(self.first);
        self.epoch == epoch && generation >= self.first && offset < self.taken
    }

    fn bit(&self, generation: u64) -> (usize, u64) {
        let offset = generation - self.first;
        let word = usize::try_from(offset / 64).expect("a block's bits fit into memory");
        (word, 1 << (offset % 64))
    }

    fn is_used(&self, generation: u64) -> bool {
        let (word, bit) = self.bit(generation);
        self.used.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn mark_used(&mut self, generation: u64) {
        let (word, bit) = self.bit(generation);
        if self.used.len() <= word {
            self.used.resize(word + 1, 0);
        }
        self.used[word] |= bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(first: u64, taken: u64) -> Block {
        Block {
            epoch: 1,
            first,
            count: BLOCK,
            taken,
            used: Vec::new(),
        }
    }

    #[test]
    fn a_generation_is_used_once() {
        for first in [0, (1 << 31) - 5, (1 << 63) - 5, u64::MAX - BLOCK] {
            let mut block = block(first, BLOCK);
            for offset in [0, 63, 64, 4096, BLOCK - 1] {
                let generation = first + offset;
                assert!(!block.is_used(generation));
                block.mark_used(generation);
                assert!(block.is_used(generation));
            }
            let bytes = block.used.len() * 8;
            assert!(bytes <= 1 << 17, "{bytes} bytes for a block");
        }
    }

    #[test]
    fn what_was_not_given_out_is_foreign() {
        let block = block(100, 10);
        assert!(block.holds(1, 100) && block.holds(1, 109));
        for (epoch, generation) in [(1, 99), (1, 110), (1, 0), (1, u64::MAX), (2, 100)] {
            assert!(!block.holds(epoch, generation), "{epoch} {generation}");
        }
    }
}
