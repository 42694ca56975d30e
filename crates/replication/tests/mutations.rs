//! What these tests are worth: without any one of its rules, the engine is caught.

use std::panic::{AssertUnwindSafe, catch_unwind};

use meridian_replication::guard::{Guard, lower};

use crate::histories::{crowded, play};
use crate::scenarios;
use crate::world::SECOND;

/// Plays histories until one fails; says whether one did.
fn some_history_fails() -> bool {
    let fails = |seed| catch_unwind(AssertUnwindSafe(|| play(&crowded(seed), 60))).is_err();
    (0..12).any(fails)
}

/// Whether something is wrong without a rule.
fn is_noticed(guard: Guard) -> bool {
    let panics = |run: fn()| catch_unwind(AssertUnwindSafe(run)).is_err();
    match guard {
        Guard::Consecutive
        | Guard::EpochRises
        | Guard::FutureWaits
        | Guard::UndecodableStops
        | Guard::SingleFlight
        | Guard::Resumes => some_history_fails(),
        Guard::RoomIsLimited => panics(scenarios::hold_within_bounds),
        Guard::GapRefilled => panics(scenarios::without_an_event_log),
        Guard::CorruptDiscarded => scenarios::fetch_past_a_liar() > 5 * SECOND,
        Guard::DemandFirst => scenarios::wait_behind_a_backlog() > 2 * SECOND,
        Guard::RegistriesTakeTurns => scenarios::push_beside_a_backlog(3_000) > 4 * SECOND,
        Guard::BudgetKept => panics(|| {
            let (most, _) = scenarios::budget_kept();
            assert!(most <= 1_100);
        }),
        Guard::StallsEnd => !scenarios::die_and_come_back(),
        Guard::UnwantedCancelled => scenarios::fetched_though_deleted() > 400,
        Guard::StateIsSearched => !scenarios::crash_after_merging(),
    }
}

#[test]
fn without_any_of_its_rules_something_goes_wrong() {
    let all = [
        Guard::Consecutive,
        Guard::EpochRises,
        Guard::FutureWaits,
        Guard::UndecodableStops,
        Guard::GapRefilled,
        Guard::SingleFlight,
        Guard::Resumes,
        Guard::CorruptDiscarded,
        Guard::DemandFirst,
        Guard::RegistriesTakeTurns,
        Guard::BudgetKept,
        Guard::StallsEnd,
        Guard::UnwantedCancelled,
        Guard::RoomIsLimited,
        Guard::StateIsSearched,
    ];
    let unnoticed = all
        .iter()
        .filter(|guard| !lower(**guard, || is_noticed(**guard)));
    let unnoticed: Vec<_> = unnoticed.collect();
    assert!(unnoticed.is_empty(), "nobody notices: {unnoticed:?}");
}

#[test]
fn with_all_of_them_nothing_does() {
    assert!(!some_history_fails());
}
