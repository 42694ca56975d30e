//! What these tests are worth: without any one of its rules, the engine is caught.

use std::panic::{AssertUnwindSafe, catch_unwind};

use meridian_delivery::guard::{Guard, lower};

use crate::histories::play;
use crate::world::{Manner, SECOND};
use crate::{meanings, scenarios};

/// Plays histories until one fails; says whether one did.
fn some_history_fails() -> bool {
    let fails = |seed| catch_unwind(AssertUnwindSafe(|| play(seed, 150))).is_err();
    (0..12).any(fails)
}

/// Whether something is wrong without a rule.
fn is_noticed(guard: Guard) -> bool {
    let panics = |run: fn()| catch_unwind(AssertUnwindSafe(run)).is_err();
    match guard {
        Guard::FirstInOrder
        | Guard::SettledBelow
        | Guard::FailedIsKept
        | Guard::SameId
        | Guard::BehindReads
        | Guard::SlotsPerEndpoint
        | Guard::SlotsInAll => some_history_fails(),
        Guard::SlowHasFew => scenarios::at_once(SECOND) > 4,
        Guard::Consecutive => panics(scenarios::continues),
        Guard::BreakerOpens => panics(|| assert!(scenarios::down_for_a_day(300).1 < 120)),
        Guard::ProbesWithOne => scenarios::probes() > 1,
        Guard::TurnsAreTaken => scenarios::wait_beside_a_backlog() > 3 * SECOND,
        Guard::RoomIsLimited => panics(|| assert!(scenarios::held_for_slow_ones() <= 110)),
        Guard::GoneDisables => !scenarios::gone(),
        Guard::FailingDisables => scenarios::failing(false).is_none(),
        Guard::RedirectFails => scenarios::attempts(Manner::Answers(302)).len() == 1,
        Guard::BusyWaits => scenarios::attempts(Manner::Hangs)[1] < 60,
        Guard::RetryAfterHeard => scenarios::attempts(Manner::Busy(Some(90)))[1] < 90,
        Guard::AttemptsEnd => scenarios::attempts(Manner::Answers(500)).len() > 10,
        Guard::RegionBound
        | Guard::PushWhenServed
        | Guard::ConditionHolds
        | Guard::NothingOlder => panics(meanings::rules),
    }
}

#[test]
fn without_any_of_its_rules_something_goes_wrong() {
    let unnoticed = Guard::ALL.iter();
    let unnoticed = unnoticed.filter(|guard| !lower(**guard, || is_noticed(**guard)));
    let unnoticed: Vec<_> = unnoticed.collect();
    assert!(unnoticed.is_empty(), "nobody notices: {unnoticed:?}");
}

#[test]
fn with_all_of_them_nothing_does() {
    assert!(!some_history_fails());
}
