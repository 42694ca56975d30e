//! What goes wrong when.
//!
//! Owns the decision at each call. It depends on the script, the seed, the operation and its number
//! only, so that it does not depend on how tasks interleave.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meridian_error::Code;

use crate::{Operation, StorageError};

/// What goes wrong at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, and an error of this class is answered.
    Before(Code),
    /// It is done, and an error of this class is answered.
    After(Code),
    /// A read ends here, as if the object were shorter. At other operations, nothing.
    Short,
    /// One bit of the bytes read or appended is wrong, and nothing tells. At other operations,
    /// nothing.
    Flip,
    /// It is done late.
    Delay(Duration),
}

/// The plan of one store: scripted, seeded, or both.
#[derive(Debug)]
pub(super) struct Plan {
    script: Mutex<BTreeMap<(Operation, u64), Fault>>,
    random: Option<Random>,
    calls: [AtomicU64; Operation::ALL.len()],
    injected: AtomicU64,
}

/// One call in so many fails.
#[derive(Debug, Clone, Copy)]
pub(super) struct Random {
    pub(super) seed: u64,
    pub(super) one_in: u64,
}

// === impl Plan ===

impl Plan {
    pub(super) fn new(random: Option<Random>) -> Self {
        Self {
            script: Mutex::default(),
            random,
            calls: Default::default(),
            injected: AtomicU64::new(0),
        }
    }

    /// Lets a call meet `fault`.
    pub(super) fn add(&self, operation: Operation, number: u64, fault: Fault) {
        self.script().insert((operation, number), fault);
    }

    /// How often an operation was called.
    pub(super) fn calls(&self, operation: Operation) -> u64 {
        self.calls[operation.index()].load(Ordering::SeqCst)
    }

    /// How many faults were met.
    pub(super) fn injected(&self) -> u64 {
        self.injected.load(Ordering::SeqCst)
    }

    /// Counts a call and tells what it meets.
    pub(super) fn next(&self, operation: Operation) -> Option<Fault> {
        let number = self.calls[operation.index()].fetch_add(1, Ordering::SeqCst);
        let scripted = self.script().remove(&(operation, number));
        let random = || {
            self.random
                .and_then(|random| random.draw(operation, number))
        };
        let fault = scripted.or_else(random);
        self.injected
            .fetch_add(u64::from(fault.is_some()), Ordering::SeqCst);
        fault
    }

    /// Makes `call`, with whatever it meets.
    pub(super) async fn make<T, E: From<StorageError>>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.next(operation) {
            Some(Fault::Before(code)) => Err(injected(code).into()),
            Some(Fault::After(code)) => {
                call.await?;
                Err(injected(code).into())
            }
            Some(Fault::Delay(late)) => {
                tokio::time::sleep(late).await;
                call.await
            }
            Some(Fault::Short | Fault::Flip) | None => call.await,
        }
    }

    fn script(&self) -> MutexGuard<'_, BTreeMap<(Operation, u64), Fault>> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error that a fault answers with.
pub(super) fn injected(code: Code) -> StorageError {
    StorageError::new("go on", code, "a fault was injected")
}

// === impl Random ===

impl Random {
    fn draw(self, operation: Operation, number: u64) -> Option<Fault> {
        let mut dice = self.seed ^ mix(operation.index() as u64) ^ mix(!number);
        let mut roll = |sides: u64| {
            dice = mix(dice);
            dice.checked_rem(sides)
        };
        if roll(self.one_in)? != 0 {
            return None;
        }
        let late = Duration::from_millis(roll(10)?);
        let read = operation == Operation::Read;
        let code = match operation {
            // As a disk would: a write that failed is not worth repeating.
            Operation::Append | Operation::Sync | Operation::Truncate | Operation::Commit => {
                Code::Internal
            }
            _ => Code::Unavailable,
        };
        Some(match roll(4)? {
            0 => Fault::Delay(late),
            1 if read => Fault::Short,
            2 if read => Fault::Flip,
            1 => Fault::After(code),
            _ => Fault::Before(code),
        })
    }
}

/// Spreads every bit of `value` over all bits (the finaliser of `splitmix64`).
const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
