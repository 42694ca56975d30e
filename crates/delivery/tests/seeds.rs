//! Which histories are played.

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
pub(crate) fn seeds(usual: Range<u64>) -> Range<u64> {
    let count = given("SEEDS").unwrap_or(1);
    given("SEED").map_or(usual, |seed| seed..seed + count)
}

/// The usual length of a history, or `STEPS`.
pub(crate) fn steps(usual: u64) -> u64 {
    given("STEPS").unwrap_or(usual)
}
