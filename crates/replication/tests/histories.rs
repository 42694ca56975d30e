//! Long random histories, in which everything goes wrong, and then nothing does any more.
//!
//! While they last the world checks every step; after they end all is merged and all is here. A
//! failure names its seed: `SEED=7 STEPS=500 cargo test -p meridian-replication histories` plays
//! that history, and with `SEEDS=500` that many from there on.

use std::collections::BTreeSet;
use std::time::Duration;

use bytesize::ByteSize;
use meridian_simulation::{seeds, steps};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world::{Faults, MILLI, Plan, SECOND, World};

/// A world with small limits, so that they are met.
pub(crate) fn crowded(seed: u64) -> Plan {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0xc0de);
    let mut plan = Plan::quiet(seed);
    plan.agents = random.random_range(1..=2);
    plan.round_trip = random.random_range(5 * MILLI..150 * MILLI);
    plan.rate = *[1_250_000, 12_500_000, 125_000_000]
        .get(random.random_range(0..3))
        .unwrap();
    plan.base = *[0, (1 << 31) - 20, (1 << 63) - 20]
        .get(random.random_range(0..3))
        .unwrap();
    plan.faults = Faults {
        forgets_parts: random.random_bool(0.5),
        ..Faults::ALL
    };
    plan.config.stream.window_events = random.random_range(8..200);
    plan.config.stream.batch_events = random.random_range(1..=plan.config.stream.window_events);
    plan.config.stream.body_wait = Duration::from_millis(random.random_range(0..200));
    plan.config.stream.refill_events = random.random_range(1..50);
    plan.config.fetch.wants = random.random_range(32..400);
    plan.config.fetch.demands = 8;
    plan.config.fetch.stage_bytes = ByteSize::mib(4);
    plan.config.fetch.range_bytes = ByteSize::b(random.random_range(100_000..8_000_000));
    plan.config.fetch.question = random.random_range(1..64);
    plan.config.backfill.page = random.random_range(1..100);
    if random.random_bool(0.3) {
        plan.config.fetch.budget = Some(ByteSize::b(random.random_range(1_000_000..20_000_000)));
    }
    plan
}

/// Plays a history; says what happened in it.
pub(crate) fn play(plan: &Plan, steps: u64) -> BTreeSet<&'static str> {
    let mut world = World::new(plan);
    world.begin_disasters();
    for _ in 0..steps {
        let origin = world.random.random_range(0..2);
        match world.random.random_range(0..100) {
            0..70 => {
                world.push_something(origin, 3);
            }
            70..80 => world.delete_something(),
            80..90 => world.demand_something(),
            _ => {}
        }
        let span = world.random.random_range(0..300 * MILLI);
        let until = world.now + span;
        world.run(until, |_| false);
    }
    world.calm_down();
    let deadline = world.now + 1_800 * SECOND;
    let is_done = world.run(deadline, World::is_done);
    assert!(
        is_done,
        "it does not come to rest: {}",
        world.what_is_left()
    );
    world.check_merged();
    world.seen
}

#[test]
fn whatever_goes_wrong_all_is_merged_and_all_is_here_in_the_end() {
    let mut seen = BTreeSet::new();
    let usual = 0..24;
    let range = seeds(usual.clone());
    for seed in range.clone() {
        seen.append(&mut play(&crowded(seed), steps(200)));
    }
    if range == usual {
        let must_happen = [
            "a body could not be put away",
            "a lie was found out",
            "a peer asked for a pause",
            "a peer died",
            "a peer had it no more",
            "a peer lied",
            "a peer lost bodies",
            "a peer was asked for bodies",
            "a peer was slow",
            "a proposal was lost",
            "a proposal was refused",
            "a record was late",
            "a record was lost",
            "a record was of a newer version",
            "a search was not answered",
            "a stream was handed over",
            "a stream was resynced",
            "a stream was stopped",
            "a stream waited for our clock",
            "a topic lost its beginning",
            "a transfer broke off",
            "a window was full",
            "an agent crashed",
            "an alarm ended",
            "an epoch began",
            "an old cursor was read",
            "an outbox was trimmed",
            "records were repeated",
            "the answer to a proposal was lost",
            "the origin was asked for events",
            "the state did not answer",
            "what a client waited for was nowhere",
        ];
        let missing: Vec<_> = must_happen
            .iter()
            .filter(|it| !seen.contains(*it))
            .collect();
        assert!(
            missing.is_empty(),
            "{missing:?} never happened, only {seen:#?}"
        );
    }
}

#[test]
fn the_same_seed_has_the_same_history() {
    let trace = |seed| {
        let mut world = World::new(&crowded(seed));
        world.begin_disasters();
        for _ in 0..30 {
            world.push_something(0, 2);
            let until = world.now + 100 * MILLI;
            world.run(until, |_| false);
        }
        (world.wan.clone(), world.state.cursors.clone())
    };
    assert_eq!(trace(3), trace(3));
}
