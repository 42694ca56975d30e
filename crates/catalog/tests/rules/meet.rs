//! Regions that get to know each other, and tombstones that go.

use meridian_catalog::{Command, Counted, Introduction, Refusal, Reply, query};
use meridian_clock::{Region, Version};
use meridian_event::{Event, Mark, shard_of};

use crate::peer::{Peer, acquaintance, introduction, meet, merge};
use crate::stage::{Manifested as _, SETTINGS, Stage, image, repository};

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
    let expect_outdated = |stage: &mut Stage, said: &Introduction| {
        hear(stage, said.clone());
        let outdated = Reply::Refused(Refusal::Outdated(us()));
        assert_eq!(hear(stage, said.clone()), outdated);
        assert_eq!(acquaintance(stage, us()).accepted, None);
        let refused = stage.say(merge(event.clone()));
        assert_eq!(refused, Reply::Refused(Refusal::Stranger(us())));
    };
    expect_outdated(&mut stage, &said);

    // One that was met before hears no more, either,
    meet(&mut stage, us());
    assert!(matches!(
        stage.say(merge(event.clone())),
        Reply::Merged { .. }
    ));
    let mut anew = introduction(&stage, us());
    anew.counted.as_mut().unwrap().since.counter += 1;
    anew.floors = said.floors.clone();
    expect_outdated(&mut stage, &anew);
    // also if it has merged what others have forgotten, but they have not merged what it did.
    anew.floors[usize::from(shard)] = Some(peer.last());
    expect_outdated(&mut stage, &anew);
    let events = stage.events();
    let seq = events.iter().filter(|it| it.id.shard == shard).count() as u64;
    anew.merged = vec![None; usize::from(meridian_event::SHARDS)];
    anew.merged[usize::from(shard)] = Some((1, seq));
    assert!(matches!(hear(&mut stage, anew), Reply::Done { .. }));
    assert!(acquaintance(&stage, us()).accepted.is_some());
}

/// What another region says when it has merged a shard of this one up to a version.
fn beat(stage: &mut Stage, peer: &mut Peer, version: Option<Version>) {
    let shard = shard_of(stage.id(), Some(&repository("a")));
    let events = stage.events();
    let seq = events.iter().filter(|it| it.id.shard == shard).count() as u64;
    let mark = Mark {
        origin: "eu".parse().unwrap(),
        epoch: 1,
        merged: seq,
        version,
        copied: 0,
        complete: seq,
        except: Vec::new(),
    };
    stage.now += 10;
    let marks = vec![mark];
    stage.say(merge(peer.says_in(shard, Event::Heartbeat { marks })));
}

/// A region that has met another one, and deleted a manifest and its tag since; when it did.
fn deleted(others: &[&str]) -> (Stage, Peer, Version) {
    let mut stage = Stage::new(SETTINGS);
    stage.now += 100;
    name(&mut stage, others);
    for other in others {
        meet(&mut stage, other.parse().unwrap());
    }
    let pushed = image(&[]).tagged(&["v1"]);
    stage.put(pushed.clone());
    let deleted = stage.done(Command::DeleteManifest {
        registry: pushed.registry,
        repository: pushed.repository,
        digest: pushed.digest,
        condition: None,
    });
    let mut peer = Peer::of(&stage, "us");
    peer.now = stage.now + 1;
    (stage, peer, deleted)
}

fn tombstone(stage: &Stage) -> Option<Version> {
    query::oldest_tombstone(&stage.store).unwrap()
}

#[test]
fn what_is_deleted_is_forgotten_when_all_are_past_it_and_not_before() {
    let (mut stage, mut peer, deleted) = deleted(&["us"]);
    beat(&mut stage, &mut peer, None);
    assert!(tombstone(&stage).is_some(), "it does not say how far it is");
    let before = Version {
        millis: deleted.millis - 1,
        ..deleted
    };
    beat(&mut stage, &mut peer, Some(before));
    assert!(
        tombstone(&stage).is_some(),
        "it has not merged the deletion"
    );
    beat(&mut stage, &mut peer, Some(deleted));
    assert_eq!(tombstone(&stage), None);
    let (registry, digest) = (stage.id(), image(&[]).digest);
    let found = query::manifest_cell(&stage.store, registry, &repository("a"), digest);
    assert_eq!(found.unwrap(), None);
}

#[test]
fn nothing_is_forgotten_while_others_may_know_more_of_a_removed_region() {
    let (mut stage, mut peer, deleted) = deleted(&["ap", "us"]);
    beat(&mut stage, &mut peer, Some(deleted));
    assert!(tombstone(&stage).is_some(), "another one has said nothing");
    name(&mut stage, &["us"]);
    let removals = query::removals(&stage.store).unwrap();
    let removal = removals[0];
    let ap = "ap".parse().unwrap();
    assert_eq!(
        (removals.len(), removal.removed, removal.with),
        (1, ap, us())
    );
    let level = |is_done| Command::Level {
        removed: ap,
        born: removal.born,
        with: us(),
        is_done,
    };
    beat(&mut stage, &mut peer, Some(deleted));
    assert!(tombstone(&stage).is_some());
    assert_eq!(stage.say(level(true)), Reply::Nothing, "it is not copied");
    stage.done(level(false));
    assert_eq!(stage.say(level(false)), Reply::Nothing);
    beat(&mut stage, &mut peer, Some(deleted));
    assert!(tombstone(&stage).is_some(), "the other one may copy still");
    stage.done(level(true));
    beat(&mut stage, &mut peer, Some(deleted));
    assert_eq!(tombstone(&stage), None);
}

#[test]
fn what_another_region_has_forgotten_is_not_replayed_from_its_log() {
    let mut stage = Stage::new(SETTINGS);
    name(&mut stage, &["us"]);
    let mut peer = Peer::of(&stage, "us");
    let event = peer.puts(&image(&[]));
    let shard = event.shard;
    let mut said = introduction(&stage, us());
    said.floors = vec![Some(said.last); usize::from(meridian_event::SHARDS)];
    hear(&mut stage, said.clone());
    said.counted.as_mut().unwrap().accepted = Some(acquaintance(&stage, us()).since);
    hear(&mut stage, said);
    let uncopied = Reply::Refused(Refusal::EpochUnknown { epoch: 0 });
    assert_eq!(stage.say(merge(event.clone())), uncopied);
    for shard in 0..meridian_event::SHARDS {
        stage.done(Command::SetCursor {
            origin: us(),
            shard,
            epoch: 1,
            seq: 0,
        });
    }
    assert!(
        matches!(stage.say(merge(event)), Reply::Merged { .. }),
        "{shard}"
    );
    assert!(!query::acquaintances(&stage.store).unwrap()[0].is_uncopied);
}
