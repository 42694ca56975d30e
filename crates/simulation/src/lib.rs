//! What the simulations of all engines share.
//!
//! Owns the choice of seeds, and what takes a rule away from the present thread. Keeps the invariant that a
//! history is played again by its seed alone. Leaves to the engines what their rules are, and that a rule
//! stands in every build but that of their tests.

use std::ops::Range;

/// A number that whoever replays a history gives.
#[expect(
    clippy::disallowed_methods,
    reason = "the seed of a failure is given from outside"
)]
fn given(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("SEED, SEEDS and STEPS are numbers"))
}

/// The usual seeds, or `SEED` and as many after it as `SEEDS` says.
#[must_use]
pub fn seeds(usual: Range<u64>) -> Range<u64> {
    let count = given("SEEDS").unwrap_or(1);
    given("SEED").map_or(usual, |seed| seed..seed + count)
}

/// The usual length of a history, or `STEPS`.
#[must_use]
pub fn steps(usual: u64) -> u64 {
    given("STEPS").unwrap_or(usual)
}

/// Whether the usual histories are played: only those are known to show all that is to be seen.
#[must_use]
pub fn is_usual() -> bool {
    given("SEED").is_none() && given("STEPS").is_none()
}

/// Writes `stands(guard) -> bool`, which is true of every rule of this type but the one that `lower(guard, body)`
/// takes away from the present thread while it runs `body`. A rule is `Copy` and `Eq`.
#[macro_export]
macro_rules! lowerable {
    ($guard:ty) => {
        ::std::thread_local! {
            static LOWERED: ::std::cell::Cell<::std::option::Option<$guard>> =
                const { ::std::cell::Cell::new(None) };
        }

        pub(crate) fn stands(guard: $guard) -> bool {
            LOWERED.get() != Some(guard)
        }

        /// Runs `body` on this thread without one of the rules.
        pub fn lower<T>(guard: $guard, body: impl FnOnce() -> T) -> T {
            LOWERED.set(Some(guard));
            let result = body();
            LOWERED.set(None);
            result
        }
    };
}
