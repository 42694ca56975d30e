//! Requests: answered once, remembered for a while.

use meridian_catalog::{Command, Condition, Entry, Refusal, Reply, RequestId, Settings, query};

use crate::stage::{Manifested, SETTINGS, Stage, image};

fn entry(stage: &Stage, id: u8, command: Command) -> Entry {
    Entry {
        millis: stage.now,
        request: Some(RequestId([id; 16])),
        trace: None,
        command,
    }
}

fn reserve(count: u64) -> Command {
    Command::ReserveGenerations { count }
}

/// Whether a request takes effect once more.
fn is_forgotten(stage: &Stage, id: u8) -> bool {
    let mut stage = stage.clone();
    let before = stage.store.clone();
    let again = entry(&stage, id, reserve(1));
    stage.apply(&again);
    stage.store != before
}

fn remembered(stage: &Stage) -> u64 {
    query::system(&stage.store).unwrap().unwrap().requests
}

#[test]
fn a_request_takes_effect_once_and_has_one_answer() {
    let mut stage = Stage::new(SETTINGS);
    let first = entry(&stage, 200, reserve(3));
    let answer = stage.apply(&first);
    stage.now += 50;
    let before = stage.store.clone();
    let later = Entry {
        millis: stage.now,
        ..first
    };
    assert_eq!(stage.apply(&later), answer);
    assert_eq!(stage.store, before);
}

#[test]
fn a_conditional_put_whose_answer_was_lost_is_answered_again() {
    let mut stage = Stage::new(SETTINGS);
    let new = image(&[]).tagged(&["v"]).given(Condition::Absent);
    let put = entry(&stage, 200, Command::PutManifest(Box::new(new.clone())));
    let answer = stage.apply(&put);
    assert!(matches!(answer, Reply::Done { .. }));
    assert_eq!(stage.apply(&put), answer);
    let other = entry(&stage, 201, put.command);
    let failed = Refusal::ConditionFailed(Some(new.digest));
    assert_eq!(stage.apply(&other), Reply::Refused(failed));
}

#[test]
fn a_refused_request_may_be_tried_again() {
    let mut stage = Stage::new(SETTINGS);
    let put = Command::PutManifest(Box::new(image(&[crate::stage::blob(1)])));
    let put = entry(&stage, 200, put);
    assert!(matches!(stage.apply(&put), Reply::Refused(_)));
    stage.upload("a", 1);
    assert!(matches!(stage.apply(&put), Reply::Done { .. }));
}

#[test]
fn requests_are_forgotten_by_age_in_the_time_of_the_log() {
    let mut stage = Stage::new(Settings {
        request_millis: 1_000,
        ..SETTINGS
    });
    let first = entry(&stage, 200, reserve(1));
    stage.apply(&first);
    stage.now += 1_000;
    let second = entry(&stage, 201, reserve(1));
    stage.apply(&second);
    assert!(!is_forgotten(&stage, 200));
    stage.now += 1;
    let third = entry(&stage, 202, reserve(1));
    stage.apply(&third);
    assert!(is_forgotten(&stage, 200));
    assert!(!is_forgotten(&stage, 201));
    // A clock that falls back makes nothing younger, and forgets nothing.
    stage.now -= 100_000;
    let fourth = entry(&stage, 203, reserve(1));
    stage.apply(&fourth);
    assert!(!is_forgotten(&stage, 201));
}

#[test]
fn requests_are_forgotten_by_number() {
    let mut stage = Stage::new(Settings {
        request_count: 3,
        ..SETTINGS
    });
    for id in 200..206 {
        let entry = entry(&stage, id, reserve(1));
        stage.apply(&entry);
    }
    assert_eq!(remembered(&stage), 3);
    assert!((200..203).all(|id| is_forgotten(&stage, id)));
    assert!((203..206).all(|id| !is_forgotten(&stage, id)));
}

#[test]
fn a_lowered_limit_is_reached_a_few_at_a_time() {
    let mut stage = Stage::new(SETTINGS);
    for id in 200..220 {
        let entry = entry(&stage, id, reserve(1));
        stage.apply(&entry);
    }
    let limit = Settings {
        request_count: 2,
        ..SETTINGS
    };
    let mut before = remembered(&stage);
    stage.done(Command::Configure(limit));
    while remembered(&stage) > 2 {
        let now = remembered(&stage);
        assert!(now <= before + 1);
        before = now;
        let unnamed = Entry {
            millis: stage.now,
            request: None,
            trace: None,
            command: reserve(1),
        };
        stage.apply(&unnamed);
        assert!(remembered(&stage) < before && remembered(&stage) + 4 >= before);
    }
}

#[test]
fn without_room_nothing_is_remembered() {
    let mut stage = Stage::new(Settings {
        request_count: 0,
        ..SETTINGS
    });
    let first = entry(&stage, 200, reserve(1));
    stage.apply(&first);
    assert_eq!(remembered(&stage), 0);
    assert!(is_forgotten(&stage, 200));
}
