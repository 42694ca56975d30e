//! Single properties, each in a world made for it, against a bound or against the same world
//! without the trouble.

use std::time::Duration;

use bytesize::ByteSize;
use meridian_clock::Region;
use meridian_replication::Body;
use rand::RngExt;

use crate::world::{Faults, MILLI, Plan, SECOND, World};

const MIB: u64 = 1 << 20;

/// Lets a world come to rest; it has to within so many seconds.
fn rest(world: &mut World, seconds: u64) {
    let deadline = world.now + seconds * SECOND;
    let is_done = world.run(deadline, World::is_done);
    assert!(
        is_done,
        "it does not come to rest: {}",
        world.what_is_left()
    );
    world.check_merged();
}

/// When the last of some bodies was stored.
fn stored_at(world: &World, bodies: &[Body]) -> u64 {
    let moments = bodies.iter().map(|body| {
        let moment = world.stored_at.get(body);
        *moment.unwrap_or_else(|| panic!("{body} is not stored: {}", world.what_is_left()))
    });
    moments.max().unwrap()
}

#[test]
fn nothing_crosses_the_ocean_twice() {
    for seed in 0..4 {
        let mut plan = Plan::quiet(seed);
        plan.rate = 125_000_000;
        let mut world = World::new(&plan);
        for _ in 0..100 {
            let origin = world.random.random_range(0..2);
            world.push_something(origin, 3);
            let until = world.now + 50 * MILLI;
            world.run(until, |_| false);
        }
        rest(&mut world, 300);
        let (wan, unique) = (world.wan_bytes(), world.stored_bytes());
        assert!(wan <= unique + unique / 50, "{wan} bytes for {unique}");
        assert_eq!(world.stored_again, 0);
    }
}

#[test]
fn a_push_is_here_soon() {
    for (size, rate) in [
        (MIB, 12_500_000),
        (16 * MIB, 12_500_000),
        (128 * MIB, 125_000_000),
    ] {
        let mut plan = Plan::quiet(1);
        plan.rate = rate;
        let mut world = World::new(&plan);
        world.run(SECOND, |_| false);
        let pushed = world.push_sized(0, 1, &[size]);
        let begun = world.now;
        rest(&mut world, 60);
        let took = stored_at(&world, &pushed.bodies()) - begun;
        let floor = plan.round_trip / 2 + size * SECOND / rate;
        let bound = floor + floor / 4 + 2 * plan.round_trip;
        assert!(
            took <= bound,
            "{took} us for {size} bytes; {floor} us is the floor"
        );
    }
}

/// How long a client waits for a megabyte, while 1500 others are to be fetched.
pub(crate) fn wait_behind_a_backlog() -> u64 {
    let mut world = World::new(&Plan::quiet(1));
    for _ in 0..1_500 {
        world.push_sized(0, 1, &[MIB]);
    }
    let last = world.push_sized(0, 1, &[MIB]);
    world.run(3 * SECOND, |_| false);
    let holder = world.origins[0].region;
    let want = last.want(0, holder);
    assert!(!world.stored_at.contains_key(&want.body));
    assert!(world.demand(0, &want));
    let begun = world.now;
    let body = want.body;
    world.run(begun + 60 * SECOND, |world| {
        world.stored_at.contains_key(&body)
    });
    world.now - begun
}

#[test]
fn what_a_client_waits_for_does_not_queue_behind_a_backlog() {
    let waited = wait_behind_a_backlog();
    // It shares the link with the transfers that were under way.
    assert!(waited <= 2 * SECOND, "{waited} us");
}

/// When all of `asia`'s images are here, with `eu` as it is.
fn asia_is_here(is_eu_dead: bool) -> u64 {
    let mut world = World::new(&Plan::quiet(1));
    if is_eu_dead {
        world.kill(0, u64::MAX);
    }
    let mut bodies = Vec::new();
    for _ in 0..150 {
        world.push_sized(0, 1, &[300_000, 20_000]);
        bodies.extend(world.push_sized(1, 1, &[300_000, 20_000]).bodies());
    }
    world.run(60 * SECOND, |_| false);
    stored_at(&world, &bodies)
}

#[test]
fn a_dead_peer_delays_nobody_else() {
    let (alive, dead) = (asia_is_here(false), asia_is_here(true));
    assert!(dead <= alive + alive / 20, "{dead} us instead of {alive}");
}

/// How far the busiest and the idlest second are from the budget, in thousandths of it.
pub(crate) fn budget_kept() -> (u64, u64) {
    let budget = 4_000_000;
    let mut plan = Plan::quiet(1);
    plan.rate = 125_000_000;
    plan.config.fetch.budget = Some(ByteSize::b(budget));
    let mut world = World::new(&plan);
    for n in 0..20 {
        world.push_sized(0, n % 3, &[2 * MIB, 20_000, 5_000]);
    }
    rest(&mut world, 60);
    let (begin, end) = (world.wan[0].0, world.wan[world.wan.len() - 1].0);
    assert!(end - begin > 5 * SECOND, "nothing was held back");
    let mut most = 0;
    let mut least = u64::MAX;
    let mut from = begin + SECOND / 2;
    while from + SECOND < end - SECOND / 2 {
        let within = |at: u64| at >= from && at < from + SECOND;
        let arrived = world.wan.iter().filter(|(at, ..)| within(*at));
        let bytes: u64 = arrived.map(|(.., bytes)| bytes).sum();
        most = most.max(bytes);
        least = least.min(bytes);
        from += SECOND / 10;
    }
    (most * 1_000 / budget, least * 1_000 / budget)
}

#[test]
fn a_budget_is_kept_within_a_tenth_in_every_second() {
    let (most, least) = budget_kept();
    assert!(most <= 1_100, "{most} thousandths");
    assert!(least >= 900, "{least} thousandths");
}

/// How long a push of a registry takes, while another one has a backlog of so many images.
pub(crate) fn push_beside_a_backlog(images: u64) -> u64 {
    let mut plan = Plan::quiet(1);
    plan.shards = 16;
    let mut world = World::new(&plan);
    for _ in 0..images {
        world.push_sized(0, 1, &[30_000]);
    }
    world.run(2 * SECOND, |_| false);
    let pushed = world.push_sized(0, 2, &[MIB]);
    let begun = world.now;
    let bodies = pushed.bodies();
    world.run(begun + 300 * SECOND, |world| {
        bodies.iter().all(|it| world.stored_at.contains_key(it))
    });
    world.now - begun
}

#[test]
fn a_registry_with_a_backlog_of_ten_thousand_does_not_delay_another() {
    let alone = push_beside_a_backlog(0);
    let beside = push_beside_a_backlog(10_000);
    assert!(
        beside <= alone + 2 * SECOND,
        "{beside} us instead of {alone}"
    );
}

#[test]
fn small_images_do_not_come_one_by_one() {
    let mut plan = Plan::quiet(1);
    plan.rate = 125_000_000;
    plan.shards = 16;
    let mut world = World::new(&plan);
    for _ in 0..1_000 {
        world.push_sized(0, 1, &[20_000, 2_000]);
    }
    rest(&mut world, 60);
    // One by one, each of them takes at least two round trips.
    let per_second = 1_000 * SECOND / world.now;
    assert!(per_second >= 250, "{per_second} images per second");
}

#[test]
fn an_agent_that_crashes_fetches_little_again() {
    let size = 50 * MIB;
    let mut world = World::new(&Plan::quiet(1));
    world.push_sized(0, 1, &[size]);
    world.run(2 * SECOND, |_| false);
    let before = world.wan_bytes();
    assert!(before > 10 * MIB && before < size, "{before}");
    world.begin_life(0);
    rest(&mut world, 60);
    // What was on its way, at most a piece of each transfer.
    let again = world.wan_bytes() - world.stored_bytes();
    assert!(again <= 14 * 256 * 1024, "{again} bytes came again");
}

/// Whether all is here in the end if an agent crashes after it has merged and before it has fetched.
pub(crate) fn crash_after_merging() -> bool {
    let mut world = World::new(&Plan::quiet(1));
    for _ in 0..20 {
        world.push_sized(0, 1, &[MIB]);
    }
    world.run(SECOND, |_| false);
    world.begin_life(0);
    let deadline = world.now + 120 * SECOND;
    world.run(deadline, World::is_done)
}

#[test]
fn what_was_merged_and_not_fetched_is_found_after_a_crash() {
    assert!(crash_after_merging());
}

/// The part of the bytes of 100 images, in thousandths, that is fetched though all of them are
/// deleted soon.
pub(crate) fn fetched_though_deleted() -> u64 {
    let mut world = World::new(&Plan::quiet(1));
    let pushed: Vec<_> = (0..100).map(|_| world.push_sized(0, 1, &[MIB])).collect();
    world.run(SECOND, |_| false);
    for pushed in &pushed {
        world.delete(0, pushed);
    }
    rest(&mut world, 120);
    world.wan_bytes() * 1_000 / (100 * MIB)
}

#[test]
fn what_is_deleted_is_not_fetched_any_more() {
    let fetched = fetched_though_deleted();
    assert!(fetched <= 400, "{fetched} thousandths");
}

/// How long a body takes that the nearest holder has only in a damaged copy.
pub(crate) fn fetch_past_a_liar() -> u64 {
    let mut plan = Plan::quiet(1);
    plan.config.backfill.every = Duration::from_secs(300);
    let mut world = World::new(&plan);
    let pushed = world.push_sized(0, 1, &[MIB]);
    let bodies = pushed.bodies();
    for body in &bodies {
        world.damage(0, *body);
    }
    let begun = world.now;
    world.run(begun + 60 * SECOND, |world| {
        bodies.iter().all(|body| world.state.stored.contains(body))
    });
    world.now - begun
}

#[test]
fn a_damaged_copy_is_replaced_from_another_region() {
    let took = fetch_past_a_liar();
    assert!(took <= 5 * SECOND, "{took} us");
}

/// Whether all is here in the end if a peer dies in the midst of it and comes back.
pub(crate) fn die_and_come_back() -> bool {
    let mut world = World::new(&Plan::quiet(1));
    for _ in 0..50 {
        world.push_sized(0, 1, &[MIB]);
    }
    world.run(SECOND, |_| false);
    world.kill(0, 8 * SECOND);
    let deadline = world.now + 240 * SECOND;
    world.run(deadline, World::is_done)
}

#[test]
fn a_peer_that_comes_back_is_used_again() {
    assert!(die_and_come_back());
}

#[test]
fn without_an_event_log_everything_comes_from_the_origin() {
    without_an_event_log();
}

pub(crate) fn without_an_event_log() {
    let mut plan = Plan::quiet(1);
    plan.faults = Faults {
        loses: 1_000,
        ..Faults::NONE
    };
    let mut world = World::new(&plan);
    for _ in 0..200 {
        world.push_sized(0, 1, &[10_000]);
        let until = world.now + 20 * MILLI;
        world.run(until, |_| false);
    }
    rest(&mut world, 60);
    assert!(world.seen.contains("the origin was asked for events"));
}

#[test]
fn a_merge_waits_for_no_body() {
    let mut world = World::new(&Plan::quiet(1));
    // Everything that names `eu` dies, the event log lives.
    world.kill(0, u64::MAX);
    for _ in 0..100 {
        world.push_sized(0, 1, &[MIB]);
    }
    let eu: Region = world.origins[0].region;
    world.run(5 * SECOND, |_| false);
    for (stream, cursor) in &world.state.cursors {
        let log = &world.origins[0].logs[usize::from(stream.shard)];
        assert!(
            stream.origin != eu || *cursor == log.head(),
            "{stream}: {cursor}"
        );
    }
}

#[test]
fn a_backlog_is_held_within_bounds_and_taken_from_the_state_piece_by_piece() {
    hold_within_bounds();
}

/// The world looks now and then how much is held.
pub(crate) fn hold_within_bounds() {
    let mut plan = Plan::quiet(1);
    plan.rate = 125_000_000;
    plan.config.stream.window_events = 100;
    plan.config.stream.batch_events = 50;
    plan.config.fetch.wants = 200;
    plan.config.backfill.page = 50;
    let mut world = World::new(&plan);
    for n in 0..1_000 {
        world.push_sized(n % 2, n as u64 % 3, &[20_000]);
    }
    rest(&mut world, 600);
    assert!(world.seen.contains("a window was full"));
    assert_eq!(world.stored_again, 0);
}
