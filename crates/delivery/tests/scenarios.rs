//! Single properties, each against a bound.

use std::time::Duration;

use meridian_delivery::{Config, Offered};
use meridian_event::webhook::{DisableReason, Place, Sealed, Status};
use meridian_event::{Envelope, Event, EventId, RegistryId};

use crate::world::{BEGIN, HOUR, MINUTE, Manner, SECOND, World, region, version};

fn exact() -> Config {
    Config {
        jitter_percent: 0,
        ..Config::default()
    }
}

/// The attempts of one message at a receiver that never takes it, in seconds after the push.
pub(crate) fn attempts(manner: Manner) -> Vec<u64> {
    let mut config = exact();
    // So that a breaker says nothing here.
    config.breaker_failures = 1_000;
    let mut world = World::new(config, 1);
    let webhook = world.webhook(manner);
    world.push("team/app", 1);
    world.run(100 * HOUR);
    let seen = world.seen(webhook).iter();
    let first = world.seen(webhook)[0].id;
    assert!(seen.clone().all(|it| it.id == first), "another id");
    seen.map(|it| (it.at - BEGIN) / SECOND).collect()
}

#[test]
fn a_message_is_attempted_on_the_schedule_and_then_a_dead_letter() {
    let expected = [
        0, 5, 305, 2_105, 9_305, 27_305, 63_305, 113_705, 185_705, 272_105,
    ];
    assert_eq!(attempts(Manner::Answers(500)), expected);
    assert_eq!(attempts(Manner::Resets), expected);
    assert_eq!(attempts(Manner::Answers(302)), expected);
}

#[test]
fn whoever_is_busy_is_left_alone_for_a_minute_or_as_it_asks_up_to_twice_that() {
    assert_eq!(attempts(Manner::Busy(None))[..3], [0, 60, 360]);
    assert_eq!(attempts(Manner::Busy(Some(90)))[..3], [0, 90, 390]);
    assert_eq!(attempts(Manner::Busy(Some(u64::MAX)))[..3], [0, 120, 720]);
    assert_eq!(attempts(Manner::Hangs)[..2], [0, 75]);
}

/// How long a message of a healthy receiver waits beside receivers that hang.
pub(crate) fn wait_beside_dead_ones(dead: usize) -> u64 {
    let mut world = World::new(Config::default(), 2);
    for _ in 0..dead {
        world.webhook(Manner::Hangs);
    }
    let healthy = world.webhook(Manner::Takes(5));
    for n in 0..400 {
        world.push(&format!("team/app{}", n % 7), 1);
        world.run(SECOND / 2);
    }
    world.run(MINUTE);
    assert_eq!(world.seen(healthy).len(), 400);
    world.slowest(healthy)
}

/// How many requests a receiver has at once with a backlog, if it takes so many milliseconds for each.
pub(crate) fn at_once(takes: u64) -> usize {
    let mut world = World::new(Config::default(), 9);
    let webhook = world.webhook(Manner::Takes(takes));
    for n in 0..600 {
        world.push(&format!("team/app{n}"), 1);
    }
    world.run(1_000 * SECOND);
    assert_eq!(world.seen(webhook).len(), 600);
    world.most_under_way
}

#[test]
fn a_receiver_that_answers_quickly_has_more_at_once_than_one_that_does_not() {
    assert_eq!(at_once(50), 64);
    assert_eq!(at_once(SECOND), 4);
}

#[test]
fn dead_receivers_delay_no_other() {
    assert!(wait_beside_dead_ones(1) <= 10);
    assert!(wait_beside_dead_ones(20) <= 10);
}

/// How long a message of a small stream waits beside a backlog of another receiver.
pub(crate) fn wait_beside_a_backlog() -> u64 {
    let config = Config {
        slots: 4,
        slots_most: 4,
        slots_in_all: 4,
        ..Config::default()
    };
    let mut world = World::new(config, 3);
    let slow = world.webhook(Manner::Takes(SECOND));
    for n in 0..60 {
        world.push(&format!("team/app{n}"), 1);
    }
    let quick = world.webhook(Manner::Takes(5));
    for n in 0..8 {
        world.push(&format!("team/app{n}"), 1);
        world.run(SECOND);
    }
    world.run(MINUTE);
    assert_eq!(world.seen(slow).len(), 68);
    world.slowest(quick)
}

#[test]
fn receivers_take_turns_where_there_are_more_requests_than_may_be() {
    assert!(wait_beside_a_backlog() <= 2 * SECOND + 100);
}

/// What is held, and how often it was called, while a receiver is down for a day and so many pushes.
pub(crate) fn down_for_a_day(pushes: u64) -> (usize, usize) {
    let mut world = World::new(Config::default(), 4);
    let webhook = world.webhook(Manner::Resets);
    for n in 0..pushes {
        world.push(&format!("team/app{}", n % 20), 1);
        world.run(24 * HOUR / pushes);
    }
    let calls = world.seen(webhook).len();
    let held = world.engine.load().messages;
    assert!(world.kept.values().any(|kept| !kept.lanes.is_empty()));
    world.manners.insert(webhook, Manner::Takes(5));
    world.run(40 * HOUR);
    assert!(world.owed.is_empty());
    (held, calls)
}

#[test]
fn a_receiver_that_is_down_holds_its_cursor_and_no_memory() {
    let (held, calls) = down_for_a_day(5_000);
    assert_eq!(held, 0);
    // Ten failures, then a probe each half hour.
    assert!(calls < 120, "{calls} calls");
}

/// How many messages are held at most behind receivers that are slow.
pub(crate) fn held_for_slow_ones() -> usize {
    let config = Config {
        held_in_all: 100,
        ..Config::default()
    };
    let mut world = World::new(config, 5);
    let webhooks: Vec<_> = (0..10)
        .map(|_| world.webhook(Manner::Takes(SECOND)))
        .collect();
    for _ in 0..400 {
        world.push("team/app", 1);
    }
    world.run(1_000 * SECOND);
    assert!(world.owed.is_empty());
    assert!(webhooks.iter().all(|it| world.seen(*it).len() == 400));
    world.most_held
}

#[test]
fn what_is_held_has_a_bound() {
    assert!(held_for_slow_ones() <= 110);
}

/// How many requests a receiver has at once that comes back after it was left alone.
pub(crate) fn probes() -> usize {
    let mut world = World::new(exact(), 6);
    let webhook = world.webhook(Manner::Resets);
    for n in 0..60 {
        world.push(&format!("team/app{n}"), 1);
    }
    world.run(30 * SECOND);
    let before = world.seen(webhook).len();
    assert!(
        (10..=14).contains(&before),
        "{before} calls before it is left alone"
    );
    world.manners.insert(webhook, Manner::Hangs);
    world.run(45 * SECOND);
    world.seen(webhook).len() - before
}

#[test]
fn whether_a_receiver_is_back_is_asked_with_one_message() {
    assert_eq!(probes(), 1);
}

pub(crate) fn gone() -> bool {
    let mut world = World::new(exact(), 7);
    let webhook = world.webhook(Manner::Answers(410));
    world.push("team/app", 1);
    world.push("team/app", 1);
    world.run(MINUTE);
    let is_disabled = world.disabled == [(webhook, DisableReason::Gone)];
    is_disabled && world.seen(webhook).len() == 1 && world.dead() == 1
}

#[test]
fn a_receiver_that_is_gone_is_disabled_and_what_it_was_told_is_a_dead_letter() {
    assert!(gone());
}

/// After how many hours of nothing but failures a webhook is disabled.
pub(crate) fn failing(comes_back: bool) -> Option<u64> {
    let mut world = World::new(exact(), 8);
    let webhook = world.webhook(Manner::Answers(500));
    for hour in 0..130 {
        world.push(&format!("team/app{}", hour % 3), 1);
        world.run(HOUR / 2);
        if hour == 100 && comes_back {
            world.manners.insert(webhook, Manner::Takes(5));
            world.run(HOUR);
            world.manners.insert(webhook, Manner::Answers(500));
        }
        world.crash(hour);
        world.run(HOUR / 2);
        if !world.disabled.is_empty() {
            return Some(hour);
        }
    }
    None
}

#[test]
fn a_webhook_that_only_failed_for_five_days_is_disabled_across_restarts() {
    assert!(matches!(failing(false), Some(119..=121)));
    assert_eq!(failing(true), None);
}

#[test]
fn a_disabled_webhook_is_told_nothing_and_gets_later_what_was_kept() {
    let mut world = World::new(exact(), 9);
    let webhook = world.webhook(Manner::Answers(500));
    world.push("team/app", 1);
    world.run(SECOND);
    world.set_status(webhook, Status::Disabled);
    world.push("team/app", 1);
    world.run(HOUR);
    assert_eq!((world.seen(webhook).len(), world.rows()), (1, 1));
    world.manners.insert(webhook, Manner::Takes(5));
    world.set_status(webhook, Status::Enabled);
    world.run(MINUTE);
    world.push("team/app", 1);
    world.run(MINUTE);
    let seen = world.seen(webhook);
    assert_eq!(seen.iter().filter(|it| it.is_taken).count(), 2);
    assert_eq!(world.rows(), 0);
}

#[test]
fn a_dead_letter_is_kept_for_thirty_days() {
    let mut world = World::new(exact(), 10);
    let webhook = world.webhook(Manner::Answers(500));
    world.push("team/app", 1);
    world.run(76 * HOUR);
    assert_eq!((world.dead(), world.seen(webhook).len()), (1, 10));
    world.run(29 * 24 * HOUR);
    assert_eq!(world.dead(), 1);
    world.run(2 * 24 * HOUR);
    assert_eq!(world.dead(), 0);
}

#[test]
fn a_dead_letter_that_is_asked_for_is_attempted_again() {
    let mut world = World::new(exact(), 11);
    let webhook = world.webhook(Manner::Answers(500));
    world.push("team/app", 1);
    world.run(76 * HOUR);
    world.manners.insert(webhook, Manner::Takes(5));
    let now = world.now;
    for (shard, kept) in &mut world.kept {
        for row in kept.rows.values_mut() {
            row.due = Some(now);
            world.engine.pending(webhook, *shard, now);
        }
    }
    world.run(MINUTE);
    assert_eq!(world.rows(), 0);
    assert!(world.owed.is_empty());
}

#[test]
fn new_messages_and_a_backlog_of_old_ones_alternate() {
    let mut world = World::new(exact(), 12);
    let webhook = world.webhook(Manner::Answers(500));
    for n in 0..200 {
        // Failing throughout, without the breaker: one is taken from time to time.
        let manner = if n % 5 == 0 {
            Manner::Takes(5)
        } else {
            Manner::Answers(500)
        };
        world.manners.insert(webhook, manner);
        world.push(&format!("team/app{n}"), 1);
        world.run(10);
    }
    assert!(world.rows() > 100);
    world.manners.insert(webhook, Manner::Takes(200));
    let before = world.seen(webhook).len();
    for n in 0..300 {
        world.push(&format!("team/app{n}"), 1);
        world.run(100);
    }
    let seen = &world.seen(webhook)[before..];
    let again = seen.iter().filter(|it| it.attempt > 1).count();
    assert!(again > 100, "{again} of {} were old", seen.len());
    assert!(
        seen.len() - again > 150,
        "{again} of {} were old",
        seen.len()
    );
}

#[test]
fn an_hour_without_metadata_forgets_nothing_and_bounds_what_waits() {
    let config = Config {
        record_rows: 20,
        breaker_failures: 1_000,
        ..exact()
    };
    let mut world = World::new(config, 13);
    let webhook = world.webhook(Manner::Resets);
    world.is_away = true;
    for n in 0..500 {
        world.push(&format!("team/app{n}"), 1);
        world.run(SECOND);
    }
    // Three shards with what may wait in each, what is in their first record, and what is under way.
    assert!(world.seen(webhook).len() <= 3 * (20 + 4) * 2);
    world.is_away = false;
    world.manners.insert(webhook, Manner::Takes(5));
    world.run(HOUR);
    assert!(world.owed.is_empty());
    assert_eq!(world.rows(), 0);
}

#[test]
fn quiet_webhooks_cost_nothing() {
    let mut world = World::new(Config::default(), 14);
    for _ in 0..50 {
        let webhook = world.webhook(Manner::Takes(5));
        world.webhooks.get_mut(&webhook).unwrap().webhook.scope = "team/app:*".parse().unwrap();
        let subscription = world.webhooks[&webhook].clone();
        world.engine.subscribe(subscription);
    }
    world.push("other/app", 1);
    world.run(MINUTE);
    assert_eq!(world.engine.load().lanes, 0);
    assert!(world.kept.values().all(|kept| kept.lanes.is_empty()));
    world.push("team/app", 1);
    world.run(MINUTE);
    assert_eq!(world.engine.load().lanes, 0);
    assert!(world.is_settled());
}

fn heartbeat(epoch: u64, seq: u64) -> Envelope {
    Envelope {
        id: EventId {
            region: region(),
            epoch,
            shard: 0,
            seq,
        },
        version: version(BEGIN),
        registry: RegistryId::first(),
        event: Event::Heartbeat { marks: Vec::new() },
    }
}

pub(crate) fn continues() {
    let mut world = World::new(exact(), 15);
    let at = |epoch, seq| Place { epoch, seq };
    let mut offer = |epoch, seq| world.engine.offer(&heartbeat(epoch, seq));
    assert_eq!(offer(1, 1), Offered::Taken);
    assert_eq!(offer(1, 1), Offered::Old);
    assert_eq!(offer(1, 3), Offered::Gap(at(1, 1)));
    assert_eq!(offer(1, 2), Offered::Taken);
    assert_eq!(offer(7, 2), Offered::Gap(at(1, 2)));
    assert_eq!(offer(7, 1), Offered::Taken);
    assert_eq!(offer(1, 3), Offered::Old);
    world.engine.skip(0, at(7, 1 << 63));
    assert_eq!(
        world.engine.offer(&heartbeat(7, (1 << 63) + 1)),
        Offered::Taken
    );
    let mut elsewhere = heartbeat(7, 1);
    elsewhere.id.shard = 9;
    assert_eq!(world.engine.offer(&elsewhere), Offered::Elsewhere);
}

#[test]
fn what_is_offered_continues_what_was_offered_before() {
    continues();
}

#[test]
fn a_shard_that_moved_is_left_when_its_record_is_refused() {
    let mut world = World::new(exact(), 16);
    world.webhook(Manner::Resets);
    world.push("team/app", 1);
    let kept = world.kept.clone();
    // Somebody else has all shards from now on.
    for shard in [0, 1, 2] {
        world.taken_over(shard);
    }
    world.run(MINUTE);
    assert!(
        world
            .kept
            .iter()
            .all(|(shard, it)| it.rows.len() == kept[shard].rows.len())
    );
    let offers = [0, 1, 2].map(|shard| {
        let mut it = heartbeat(1, 9);
        it.id.shard = shard;
        world.engine.offer(&it)
    });
    assert!(offers.contains(&Offered::Elsewhere));
}

#[test]
fn cursors_of_webhooks_that_are_disabled_or_deleted_do_not_stay() {
    let mut world = World::new(exact(), 18);
    let disabled = world.webhook(Manner::Takes(5));
    let deleted = world.webhook(Manner::Takes(5));
    world.push("team/app", 1);
    world.run(MINUTE);
    let shard = *world.log.keys().next().unwrap();
    let kept = world.kept.get_mut(&shard).unwrap();
    kept.lanes.insert(disabled, Place::default());
    kept.lanes.insert(deleted, Place::default());
    world.set_status(disabled, Status::Disabled);
    world.webhooks.remove(&deleted);
    world.crash(1);
    world.run(MINUTE);
    assert!(world.is_settled());
    assert_eq!(world.engine.load().lanes, 0);
}

#[test]
fn old_news_of_failures_disable_nobody() {
    let mut world = World::new(exact(), 19);
    let webhook = world.webhook(Manner::Answers(500));
    world.push("team/app", 1);
    world.run(SECOND);
    let old = world.webhooks[&webhook].clone();
    assert_eq!(old.failing_since, Some(BEGIN + 5));
    world.manners.insert(webhook, Manner::Takes(5));
    world.run(130 * HOUR);
    // Somebody changed it long ago, and tells now.
    world.engine.subscribe(old);
    world.manners.insert(webhook, Manner::Answers(500));
    world.push("team/app", 1);
    world.run(MINUTE);
    assert!(world.disabled.is_empty());
}

#[test]
fn a_receiver_that_is_well_here_is_well_whatever_others_saw() {
    let mut world = World::new(exact(), 20);
    let webhook = world.webhook(Manner::Takes(5));
    world.push("team/app", 1);
    world.run(MINUTE);
    // Another dispatcher works on shards of which it takes nothing.
    let since = Some(BEGIN);
    world.webhooks.get_mut(&webhook).unwrap().failing_since = since;
    let hours = (0..120).take_while(|_| {
        world.push("team/app", 1);
        world.run(HOUR);
        world.webhooks[&webhook].failing_since == since
    });
    assert!((1..60).contains(&hours.count()));
}

#[test]
fn one_that_leaves_begins_nothing_and_records_what_it_did() {
    let mut world = World::new(exact(), 21);
    let webhook = world.webhook(Manner::Takes(200));
    for _ in 0..3 {
        world.push("team/app", 1);
    }
    world.run(50);
    assert!(world.engine.is_busy());
    world.engine.leave();
    world.run(400);
    assert!(!world.engine.is_busy());
    assert_eq!(world.seen(webhook).len(), 1);
    world.crash(2);
    world.run(MINUTE);
    assert_eq!(
        world.seen(webhook).len(),
        3,
        "what was recorded is not told again"
    );
}

/// Bench row: a million messages that wait cost what one does.
#[test]
fn what_waits_for_its_next_attempt_is_not_in_memory() {
    let config = Config {
        breaker_failures: 10_000,
        schedule: vec![Duration::ZERO, Duration::from_secs(86_400)],
        ..exact()
    };
    let mut world = World::new(config, 17);
    world.webhook(Manner::Answers(500));
    for n in 0..2_000 {
        world.push(&format!("team/app{}", n % 50), 1);
        world.run(20);
    }
    world.run(MINUTE);
    assert_eq!(world.rows(), 2_000);
    let load = world.engine.load();
    assert_eq!((load.messages, load.requests, load.lanes), (0, 0, 3));
}

#[test]
fn a_receiver_that_is_said_to_be_well_is_left_alone_no_longer() {
    let mut world = World::new(exact(), 19);
    let webhook = world.webhook(Manner::Resets);
    for n in 0..20 {
        world.push(&format!("team/app{n}"), 1);
    }
    world.run(30 * SECOND);
    assert_eq!(world.engine.load().open, 1);
    world.manners.insert(webhook, Manner::Takes(5));
    world.run(SECOND);
    assert!(world.seen(webhook).iter().all(|it| !it.is_taken));
    world.engine.relent(webhook);
    world.run(SECOND);
    assert_eq!(world.engine.load().open, 0);
    assert!(world.owed.is_empty());
}

#[test]
fn what_a_receiver_did_says_nothing_of_the_one_that_is_called_after_it() {
    let mut world = World::new(exact(), 20);
    let webhook = world.webhook(Manner::Hangs);
    world.push("team/app", 1);
    world.run(SECOND);
    let subscription = world.webhooks.get_mut(&webhook).unwrap();
    subscription.sealed = Sealed(b"another one".to_vec());
    let subscription = subscription.clone();
    world.engine.subscribe(subscription);
    world.manners.insert(webhook, Manner::Takes(5));
    // As soon as the other one has taken too long: nothing waits because of it.
    world.run(15 * SECOND);
    let seen = world.seen(webhook);
    assert_eq!((seen.len(), seen[1].is_taken), (2, true));
    assert_eq!(world.webhooks[&webhook].failing_since, None);
    assert!(world.owed.is_empty());
}
