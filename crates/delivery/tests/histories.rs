//! Long random histories: whatever happens, all is told in the end.

use std::time::Duration;

use meridian_delivery::Config;
use meridian_event::webhook::WebhookId;
use meridian_simulation::{seeds, steps};

use crate::world::{HOUR, MINUTE, Manner, SECOND, World};

/// Little of everything, so that all bounds are met.
fn narrow() -> Config {
    Config {
        slots: 2,
        slots_most: 3,
        slots_in_all: 5,
        window: 6,
        held_in_all: 24,
        log_page: 9,
        due_page: 3,
        record_rows: 4,
        breaker_failures: 4,
        again: Duration::from_secs(20),
        ..Config::default()
    }
}

fn manner(world: &mut World) -> Manner {
    match world.pick(10) {
        0..=3 => Manner::Takes(5),
        4 => Manner::Takes(3 * SECOND),
        5 => Manner::Answers(500),
        6 => Manner::Busy([None, Some(3), Some(1 << 40)][world.pick(3)]),
        7 => Manner::Hangs,
        8 => Manner::Resets,
        _ => [Manner::Answers(302), Manner::NoWayOut][world.pick(2)],
    }
}

fn step(world: &mut World, webhooks: &[WebhookId]) {
    match world.pick(20) {
        0..=9 => {
            let repository = format!("team/app{}", world.pick(5));
            let tags = world.pick(4);
            world.push(&repository, tags);
        }
        10 => world.heartbeat(1),
        11..=13 => {
            let webhook = webhooks[world.pick(webhooks.len())];
            let manner = manner(world);
            world.manners.insert(webhook, manner);
        }
        14 => world.is_away = world.one_in(3),
        15 if world.one_in(3) => {
            let seed = world.now;
            world.crash(seed);
        }
        16 => {
            let shard = [0, 1, 2][world.pick(3)];
            world.assign(shard);
        }
        _ => {
            let spans = [10, SECOND, 20 * SECOND, 10 * MINUTE];
            let span = spans[world.pick(spans.len())];
            world.run(span);
        }
    }
    world.run(7);
}

/// Plays a history, then ends all faults, and looks whether anything is missing.
pub(crate) fn play(seed: u64, steps: u64) -> World {
    let mut world = World::new(narrow(), seed);
    let webhooks: Vec<_> = (0..4).map(|_| world.webhook(Manner::Takes(5))).collect();
    for _ in 0..steps {
        step(&mut world, &webhooks);
    }
    world.is_away = false;
    for webhook in &webhooks {
        world.manners.insert(*webhook, Manner::Takes(5));
    }
    // The longest wait that any message can have by then.
    world.run(30 * HOUR);
    assert!(world.owed.is_empty(), "never told: {:?}", world.owed);
    assert_eq!(world.rows(), 0, "kept though it was told");
    assert!(world.is_settled(), "{:?}", world.kept);
    assert!(world.disabled.is_empty());
    let load = world.engine.load();
    assert_eq!((load.messages, load.lanes, load.open), (0, 0, 0));
    world
}

#[test]
fn whatever_happens_all_is_told_in_the_end() {
    for seed in seeds(0..150) {
        play(seed, steps(150));
    }
}

#[test]
fn the_same_seed_has_the_same_history() {
    assert_eq!(play(3, 100).seen, play(3, 100).seen);
}
