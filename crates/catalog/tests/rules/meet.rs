//! Regions that get to know each other, and tombstones that go.

use meridian_catalog::{Command, Counted, Introduction, Refusal, Reply, query};
use meridian_clock::{Region, Version};
use meridian_event::{Event, Mark, shard_of};

use crate::peer::{Peer, acquaintance, introduction, meet, merge};
use crate::stage::{SETTINGS, Stage, image, repository, tag};

fn us() -> Region {
    "us".parse().unwrap()
}

fn name(stage: &mut Stage, regions: &[&str]) {
    let regions = regions.iter().map(|name| name.parse().unwrap());
    stage.done(Command::SetPeers(regions.collect()));
}

fn hear(stage: &mut Stage, said: Introduction) -> Reply {
    stage.say(Command::Meet(Box::new(said)))
}

fn joining(regions: &[&str]) -> Reply {
    let regions = regions.iter().map(|name| name.parse().unwrap());
    Reply::Refused(Refusal::Joining(regions.collect()))
}

#[test]
fn a_new_region_takes_no_manifests_before_all_others_count_on_it() {
    let mut stage = Stage::new(SETTINGS);
    name(&mut stage, &["ap", "us"]);
    assert_eq!(stage.put(image(&[])), joining(&["ap", "us"]));
    let said = introduction(&stage, us());
    hear(&mut stage, said.clone());
    assert_eq!(stage.put(image(&[])), joining(&["ap"]));
    let ap = "ap".parse().unwrap();
    let said_by_ap = introduction(&stage, ap);
    hear(&mut stage, said_by_ap);
    let version = match stage.put(image(&[])) {
        Reply::Done { version } => version,
        other => panic!("{other:?}"),
    };
    assert!(
        version > said.last,
        "it is newer than all that is forgotten"
    );

    // One that has something already goes on while it meets a further one.
    name(&mut stage, &["ap", "sa", "us"]);
    assert!(matches!(stage.put(image(&[])), Reply::Done { .. }));
}

#[test]
fn nothing_is_merged_before_both_count_on_each_other() {
    let mut stage = Stage::new(SETTINGS);
    stage.put(image(&[]));
    stage.now += 1_000;
    name(&mut stage, &["us"]);
    let mut peer = Peer::of(&stage, "us");
    let event = peer.puts(&image(&[]));
    let cursor = Command::SetCursor {
        origin: us(),
        shard: 3,
        epoch: 1,
        seq: 9,
    };
    let stranger = Reply::Refused(Refusal::Stranger(us()));
    let expect_stranger = |stage: &mut Stage| {
        assert_eq!(stage.say(merge(event.clone())), stranger);
        assert_eq!(stage.say(cursor.clone()), stranger);
    };
    expect_stranger(&mut stage);
    let said = introduction(&stage, us());
    hear(&mut stage, said.clone());
    // It has not accepted yet.
    expect_stranger(&mut stage);
    meet(&mut stage, us());
    assert!(matches!(
        stage.say(merge(event.clone())),
        Reply::Merged { .. }
    ));

    // It counts on us no more.
    let silent = Introduction {
        counted: None,
        ..said.clone()
    };
    hear(&mut stage, silent);
    expect_stranger(&mut stage);

    // One that bears its name now counts on one that bore ours.
    let other = Introduction {
        born: peer.last(),
        counted: Some(Counted {
            born: Some(said.born),
            ..said.counted.unwrap()
        }),
        ..said
    };
    hear(&mut stage, other);
    expect_stranger(&mut stage);
    assert_eq!(acquaintance(&stage, us()).accepted, None);
}

#[test]
fn one_that_has_not_merged_what_others_forgot_is_outdated() {
    let mut stage = Stage::new(SETTINGS);
    stage.put(image(&[]));
    stage.now += 1_000;
    name(&mut stage, &["us"]);
    let shard = shard_of(stage.id(), Some(&repository("a")));
    let mut peer = Peer::of(&stage, "us");
    let event = peer.puts(&image(&[]));
    let mut said = introduction(&stage, us());
    said.floors = vec![None; usize::from(meridian_event::SHARDS)];
    let above = Version {
        counter: 1,
        ..peer.last()
    };
    said.floors[usize::from(shard)] = Some(above);
    let outdated = Reply::Refused(Refusal::Outdated(us()));
    assert_eq!(hear(&mut stage, said.clone()), outdated);

    // Up to what it has merged, others may have forgotten everything.
    meet(&mut stage, us());
    stage.say(merge(event));
    let mut anew = introduction(&stage, us());
    anew.counted.as_mut().unwrap().since.counter += 1;
    anew.floors = said.floors.clone();
    assert_eq!(hear(&mut stage, anew.clone()), outdated);
    anew.floors[usize::from(shard)] = Some(peer.last());
    assert!(matches!(hear(&mut stage, anew), Reply::Done { .. }));
}

#[test]
fn what_is_deleted_is_forgotten_when_all_are_past_it_and_not_before() {
    let mut stage = Stage::new(SETTINGS);
    stage.now += 100;
    name(&mut stage, &["us"]);
    meet(&mut stage, us());
    let mut pushed = image(&[]);
    pushed.tags = vec![tag("v1")];
    stage.put(pushed.clone());
    let delete = Command::DeleteManifest {
        registry: pushed.registry.clone(),
        repository: pushed.repository.clone(),
        digest: pushed.digest,
        condition: None,
    };
    let deleted = stage.done(delete);
    let shard = shard_of(stage.id(), Some(&pushed.repository));
    let mut peer = Peer::of(&stage, "us");
    peer.now = stage.now + 1;
    let mut beat = |stage: &mut Stage, version| {
        let seq = stage
            .events()
            .iter()
            .filter(|it| it.id.shard == shard)
            .count() as u64;
        let mark = Mark {
            origin: "eu".parse().unwrap(),
            epoch: 1,
            merged: seq,
            version,
            copied: 0,
            complete: seq,
            except: Vec::new(),
        };
        let marks = vec![mark];
        stage.now += 10;
        stage.say(merge(peer.says_in(shard, Event::Heartbeat { marks })));
    };
    let tombstone = |stage: &Stage| query::oldest_tombstone(&stage.store).unwrap();
    beat(&mut stage, None);
    assert!(tombstone(&stage).is_some(), "it does not say how far it is");
    let before = Version {
        millis: deleted.millis - 1,
        ..deleted
    };
    beat(&mut stage, Some(before));
    assert!(
        tombstone(&stage).is_some(),
        "it has not merged the deletion"
    );
    beat(&mut stage, Some(deleted));
    assert_eq!(tombstone(&stage), None);
    let found = query::manifest_cell(&stage.store, stage.id(), &pushed.repository, pushed.digest);
    assert_eq!(found.unwrap(), None);
}

#[test]
fn nothing_is_forgotten_while_others_may_know_more_of_a_removed_region() {
    let mut stage = Stage::new(SETTINGS);
    name(&mut stage, &["ap", "us"]);
    name(&mut stage, &["us"]);
    let removals = query::removals(&stage.store).unwrap();
    let ap = "ap".parse().unwrap();
    assert_eq!(removals.len(), 1);
    assert_eq!((removals[0].removed, removals[0].with), (ap, us()));
    let level = Command::Level {
        removed: ap,
        with: us(),
    };
    stage.done(level.clone());
    assert_eq!(query::removals(&stage.store).unwrap(), []);
    assert_eq!(stage.say(level), Reply::Nothing);
}
