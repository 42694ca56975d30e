//! Waiting for conditions, where randomness comes from, and what a test says of itself.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks until the answer is there.
///
/// # Panics
///
/// When it is not there within `deadline`; the message says what was waited for.
pub async fn eventually<T, F>(what: &str, deadline: Duration, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {deadline:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Says that a test was left out, and why.
pub fn left_out(why: &str) {
    eprintln!("left out: {why}");
}

/// The seed of this run: `SEED`, or `default`. Printed, so that a failure can be repeated.
pub fn seed(default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how a run is repeated by hand")]
    let asked = std::env::var("SEED").ok();
    let seed = asked.map_or(default, |text| text.parse().expect("SEED is a number"));
    eprintln!("SEED={seed}");
    seed
}
