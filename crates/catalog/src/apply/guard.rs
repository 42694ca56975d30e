//! The rules on which collection's safety rests, each of which the race tests break.
//!
//! In every build but the crate's own unit tests a guard stands, and costs nothing. There, one can
//! be lowered for the present thread, to prove that the tests would see its absence.

/// A rule that stands between a race and a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// A manifest is put only upon leaves that are present.
    LeavesPresent,
    /// A leaf that a manifest needs is not deleted.
    NeededStays,
    /// Whatever leases a blob takes it back from collection.
    LeaseRevives,
    /// Whatever needs a blob takes it back from collection.
    ManifestRevives,
    /// A blob is judged where it is condemned, whatever the collector believed.
    JudgedAtCondemn,
    /// A blob is judged again where it is removed.
    JudgedAtRemove,
    /// A storage key is named once.
    NamedOnce,
    /// What the sweep dooms can never be named.
    DoomedIsSpent,
    /// What a blob names is not doomed by the sweep.
    NamedIsKept,
    /// Bytes that were lost are brought back by whoever uploads them again.
    LostIsReplaced,
}

/// Whether a rule is in force.
#[cfg(not(test))]
pub(super) const fn stands(_: Guard) -> bool {
    true
}

#[cfg(test)]
pub(crate) use lowered::{lower, stands};

#[cfg(test)]
mod lowered {
    use std::cell::Cell;

    use super::Guard;

    thread_local! {
        static LOWERED: Cell<Option<Guard>> = const { Cell::new(None) };
    }

    pub(crate) fn stands(guard: Guard) -> bool {
        LOWERED.get() != Some(guard)
    }

    /// Runs `body` on this thread without one of the rules.
    pub(crate) fn lower<T>(guard: Guard, body: impl FnOnce() -> T) -> T {
        LOWERED.set(Some(guard));
        let result = body();
        LOWERED.set(None);
        result
    }
}
