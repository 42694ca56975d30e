//! Crash points, in builds for tests.
//!
//! `MERIDIAN_CRASH_POINT=name@3` ends the process without any cleaning up when the named point is
//! reached for the third time. A panic would only end a task, so it is an abort. Other actions are
//! set by `FAILPOINTS`, in the notation of the `fail` crate.

use std::sync::atomic::{AtomicU64, Ordering};

use fail::FailScenario;

/// Arms what the environment asks for. The points are live while the scenario is held.
pub(crate) fn arm() -> FailScenario<'static> {
    let scenario = FailScenario::setup();
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of test builds, not a setting"
    )]
    let asked = std::env::var("MERIDIAN_CRASH_POINT").unwrap_or_default();
    for point in asked.split(',').filter(|point| !point.is_empty()) {
        let (name, count) = point.split_once('@').unwrap_or((point, "1"));
        let count = count.parse::<u64>().unwrap_or(1);
        arm_point(name.to_owned(), count);
    }
    scenario
}

fn arm_point(name: String, count: u64) {
    let hits = AtomicU64::new(0);
    let point = name.clone();
    let armed = fail::cfg_callback(name, move || {
        if hits.fetch_add(1, Ordering::SeqCst) + 1 == count {
            eprintln!("meridian: crash point {point} reached");
            std::process::abort();
        }
    });
    if let Err(error) = armed {
        eprintln!("meridian: crash point cannot be armed: {error}");
    }
}
