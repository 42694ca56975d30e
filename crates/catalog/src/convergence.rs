//! Regions that converge.
//!
//! Three regions over the real `apply`, each with a log of its own: clients of all of them contend
//! for the same tags, manifests and names, and what each commits reaches the others late, twice, in
//! any batches and any order that its shards allow, before or after the bytes. After every entry the
//! invariants hold, and no merge is told to anybody. In the end, when everybody has heard of
//! everything and has fetched what it wants from whoever has it, all are alike, and are what a plain
//! fold over all events makes, which knows no order; and nobody wants what nobody has.
//!
//! Then each rule that is said to make that so is taken away, and it must be noticed.
//!
//! A failure names its seed: `SEED=7 STEPS=300 cargo test -p meridian-catalog convergence` plays it
//! again, and with `SEEDS=500` that many from there on.

mod agents;
mod clients;
mod content;
mod hidden;
mod locks;
mod meetings;
mod reference;
mod region;
mod sights;
mod verdict;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use meridian_simulation::{is_usual, seeds};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::apply::guard::{Guard, lower};
use crate::{Command, Reply};
use world::World;

const REGIONS: [&str; 3] = ["ap", "eu", "us"];

/// Plays a seed to its end. Returns what came about.
fn play(seed: u64, steps: u64) -> Result<BTreeSet<&'static str>, String> {
    let mut world = World::new(seed, &REGIONS)?;
    if seed.is_multiple_of(8) {
        world.start_with_attributes()?;
    }
    for _ in 0..steps {
        world.step()?;
    }
    world.settle()?;
    world.check()?;
    world.check_notices()?;
    world.bury()?;
    world.check()?;
    // However late an answer comes, it brings nothing back.
    world.hear(1.0)?;
    world.settle()?;
    world.check()?;
    Ok(world.seen)
}

#[test]
fn regions_that_heard_of_everything_are_alike() {
    let steps = meridian_simulation::steps(250);
    let mut seen = BTreeSet::new();
    for seed in seeds(1000..1064) {
        match play(seed, steps) {
            Ok(what) => seen.extend(what),
            Err(why) => panic!("SEED={seed} STEPS={steps}: {why}"),
        }
    }
    if is_usual() {
        for what in [
            "a deleted manifest is needed",
            "a deletion comes before its put",
            "a floor rises",
            "a repository is still to be swept",
            "a tag is locked",
            "a heartbeat is still to be looked through",
            "a manifest is misdescribed",
            "a push elsewhere waits",
            "a tag is behind",
            "a tag waits",
            "an image waits",
            "an index waits",
            "attributes come before their tag",
            "bytes come before their event",
            "registries are twins",
            "tags are still to be hidden",
            "tombstones are still to be dropped",
            "waiters for a blob are still to be told",
            "waiting tags are still to be judged",
        ] {
            assert!(seen.contains(what), "it never happened that {what}");
        }
    }
}

#[test]
fn one_that_joins_with_a_copy_is_like_the_others() {
    for seed in seeds(500..508) {
        if let Err(why) = play_with_another(seed) {
            panic!("SEED={seed}: {why}");
        }
    }
}

fn play_with_another(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed, &REGIONS[..2])?;
    for _ in 0..80 {
        world.step()?;
    }
    if seed.is_multiple_of(3) {
        world.settle()?;
        world.bury()?;
    }
    world.join(REGIONS[2], usize::from(seed.is_multiple_of(2)))?;
    for _ in 0..80 {
        world.step()?;
    }
    world.settle()?;
    world.check()?;
    // What a copy went past is said again, as everything is now and then.
    for at in 0..REGIONS.len() {
        world.say(at, Command::Heartbeat { is_full: true })?;
    }
    world.settle()?;
    world.check_notices()?;
    world.bury()?;
    world.check()
}

#[test]
fn one_that_fell_behind_has_a_copy_and_is_like_the_others() {
    for seed in seeds(600..608) {
        if let Err(why) = play_with_a_late_one(seed) {
            panic!("SEED={seed}: {why}");
        }
    }
}

/// No event reaches a region, until it is given a copy instead of those that the log has no more. What the others
/// deleted in the meantime must still be told.
fn play_with_a_late_one(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed, &REGIONS)?;
    for _ in 0..60 {
        world.step()?;
    }
    world.settle()?;
    world.deaf = Some(0);
    for _ in 0..60 {
        world.step()?;
    }
    for at in [0, 1, 2] {
        world.say(at, Command::Heartbeat { is_full: true })?;
    }
    for at in [1, 2] {
        world.deliver_all(at)?;
    }
    while matches!(world.say(1, Command::Sweep)?, Reply::Collected { .. }) {}
    world.copy(0, 1)?;
    world.deaf = None;
    for _ in 0..30 {
        world.step()?;
    }
    world.settle()?;
    world.check()?;
    world.bury()?;
    world.check()
}

#[test]
fn one_that_was_removed_brings_nothing_back() {
    let mut returned = BTreeSet::new();
    for seed in seeds(700..712) {
        match play_without_one(seed) {
            Ok(is_back) => returned.insert(is_back),
            Err(why) => panic!("SEED={seed}: {why}"),
        };
    }
    assert_eq!(
        returned,
        BTreeSet::from([false, true]),
        "some come back, some do not"
    );
}

/// A region is removed, the others go on, and it comes back with what it had. Returns whether it is let in.
fn play_without_one(seed: u64) -> Result<bool, String> {
    let mut world = World::new(seed, &REGIONS)?;
    for _ in 0..100 {
        world.step()?;
    }
    world.remove(usize::from(seed.is_multiple_of(2)))?;
    if !seed.is_multiple_of(4) {
        for _ in 0..100 {
            world.step()?;
        }
        world.settle()?;
        world.check()?;
        world.bury()?;
        world.check()?;
    }
    let is_back = world.return_as_it_was()?;
    for _ in 0..50 {
        world.step()?;
    }
    world.settle()?;
    world.check()?;
    world.hear(1.0)?;
    world.settle()?;
    world.check()?;
    Ok(is_back)
}

#[test]
fn without_any_of_the_rules_they_are_not() {
    for guard in [
        Guard::DelIsAJoin,
        Guard::TagIsARegister,
        Guard::PutVersionDecidesMediaType,
        Guard::LoserRaises,
        Guard::NeedKeepsPresent,
        Guard::DeadWinnerHides,
        Guard::WaitersAreTold,
        Guard::CursorIsDense,
        Guard::ImagesAreAwaited,
        Guard::AllAreAwaited,
        Guard::FloorIsMerged,
        Guard::SettledIsDiscarded,
        Guard::StrangersAreIgnored,
        Guard::NewcomersMeetFirst,
        Guard::OutdatedStayOut,
        Guard::OldestBearsName,
        Guard::AttributeIsARegister,
        Guard::DeletionIsAJoin,
        Guard::DeletionCovers,
        Guard::CoveredIsHidden,
        Guard::AttributesEnd,
        Guard::LocksHold,
        Guard::WebhookIsARegister,
    ] {
        let is_unnoticed = |seed| {
            let played = AssertUnwindSafe(|| match guard {
                // These show where somebody comes,
                Guard::SettledIsDiscarded | Guard::NewcomersMeetFirst => {
                    play(seed, 150).and_then(|_| play_with_another(seed))
                }
                // or was late,
                Guard::FloorIsMerged => play_with_a_late_one(seed),
                // or comes back.
                Guard::StrangersAreIgnored | Guard::OutdatedStayOut => {
                    play_without_one(seed).map(drop)
                }
                _ => play(seed, 150).map(drop),
            });
            // Counters that run below zero are a way to notice, too.
            lower(guard, || catch_unwind(played)).is_ok_and(|played| played.is_ok())
        };
        assert!(
            !(0..60).all(is_unnoticed),
            "nobody notices that {guard:?} is missing"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    /// Merging is commutative and associative, beyond the order that shards keep; and idempotent.
    #[test]
    fn a_set_of_events_is_merged_in_any_order(seed in any::<u64>(), order in any::<u64>()) {
        prop_assert_eq!(overhear(seed, order), Ok(()));
    }
}

/// Two regions play; a third one hears of each of their events by itself, in any order, some twice.
fn overhear(seed: u64, order: u64) -> Result<(), String> {
    let mut world = World::new(seed, &REGIONS)?;
    // Below a floor nothing comes again from a log.
    world.beats = false;
    for _ in 0..60 {
        world.step()?;
    }
    let mut events = world.events();
    let again = events.len() / 3;
    events.extend_from_within(..again);
    events.shuffle(&mut ChaCha8Rng::seed_from_u64(order));
    for envelope in events
        .iter()
        .filter(|event| event.id.region.as_str() != REGIONS[0])
    {
        world.overhear(0, envelope)?;
    }
    world.settle()?;
    world.check()
}
