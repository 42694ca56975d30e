//! Where one task lets others go first: a seeded choice of interleavings.

use std::sync::{Arc, Mutex};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Shared dice. On a runtime of one thread, a seed is an interleaving.
#[derive(Clone, Default)]
pub(crate) struct Turns(Option<Arc<Mutex<ChaCha8Rng>>>);

impl Turns {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(seed)))))
    }

    /// Any number below `sides`; 0 without dice.
    pub(crate) fn roll(&self, sides: u64) -> u64 {
        let Some(dice) = &self.0 else {
            return 0;
        };
        dice.lock().unwrap().next_u64() % sides
    }

    /// Lets much happen first, or nothing.
    pub(crate) async fn wait_long(&self) {
        for _ in 0..self.roll(20) {
            self.wait().await;
        }
    }

    /// Lets other tasks go first, or not.
    pub(crate) async fn wait(&self) {
        for _ in 0..self.roll(4) {
            tokio::task::yield_now().await;
        }
    }
}
