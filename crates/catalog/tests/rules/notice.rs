//! Notices: what a region tells of images that it can serve, and of how far it is.

use meridian_catalog::{Command, Refusal, Reply, query};
use meridian_clock::Region;
use meridian_event::{Event, EventId, Mark, Notice, shard_of};

use crate::peer::{Peer, batch, meet, merge};
use crate::stage::{Manifested, SETTINGS, Stage, blob, image, index, repository};

const NONE: [u64; 0] = [];

fn stage() -> (Stage, Peer) {
    let mut stage = Stage::new(SETTINGS);
    stage.now += 100;
    let peer = Peer::of(&stage, "us");
    (stage, peer)
}

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn shard(stage: &Stage) -> u16 {
    shard_of(stage.id(), Some(&repository("a")))
}

fn introduce(stage: &mut Stage, names: &[&str]) {
    let regions = names.iter().map(|name| region(name)).collect();
    stage.done(Command::SetPeers(regions));
    for name in names.iter().filter(|name| **name != "eu") {
        meet(stage, region(name));
    }
}

/// The pushes that were told of: those elsewhere, and those here.
fn told(stage: &Stage) -> (Vec<u64>, Vec<u64>) {
    let (mut here, mut everywhere) = (Vec::new(), Vec::new());
    for envelope in stage.events() {
        match envelope.event {
            Event::Replicated(notice) => here.push(notice.push.seq),
            Event::ReplicatedAll { notice, .. } => everywhere.push(notice.push.seq),
            _ => {}
        }
    }
    (here, everywhere)
}

fn beat(stage: &mut Stage) -> Vec<Vec<Mark>> {
    let before = stage.events().len();
    stage.say(Command::Heartbeat { is_full: false });
    let new = stage.events().split_off(before);
    let marks = new.into_iter().map(|envelope| match envelope.event {
        Event::Heartbeat { marks } => marks,
        other => panic!("a heartbeat is {other:?}"),
    });
    marks.collect()
}

/// A peer says that it has merged and completed a shard of this region up to there, but for some.
fn hears(stage: &mut Stage, peer: &mut Peer, complete: u64, except: &[u64]) {
    let mark = Mark {
        origin: region("eu"),
        epoch: 1,
        merged: complete,
        version: None,
        copied: 0,
        complete,
        except: except.to_vec(),
    };
    let heartbeat = Event::Heartbeat { marks: vec![mark] };
    let shard = shard(stage);
    let events = peer.says_in(shard, heartbeat);
    assert!(matches!(stage.say(merge(events)), Reply::Merged { .. }));
}

#[test]
fn a_push_elsewhere_is_told_of_once_its_image_is_here() {
    let (mut stage, mut peer) = stage();
    let (child, other) = (image(&[blob(1)]), image(&[blob(2)]));
    let top = index(&[child.leaf()]).tagged(&["v"]);
    stage.say(merge(batch(vec![peer.puts(&child), peer.puts(&top)])));
    stage.say(merge(peer.puts(&other)));
    stage.done(peer.bytes(&top));
    stage.done(peer.bytes(&child));
    assert_eq!(told(&stage).0, NONE);
    stage.done(peer.blob(blob(1)));
    assert_eq!(told(&stage).0.len(), 2);
    // What is complete when its push is merged is told of at once, and again only for another push.
    stage.say(merge(peer.puts(&child)));
    assert_eq!(told(&stage).0.split_off(2), [4]);
    let notices = stage.events().into_iter();
    let notices = notices.filter_map(|envelope| match envelope.event {
        Event::Replicated(notice) => Some(*notice),
        _ => None,
    });
    let push = EventId {
        region: peer.region,
        epoch: 1,
        shard: shard(&stage),
        seq: 2,
    };
    let of_index = Notice {
        push,
        repository: repository("a"),
        manifest: top.leaf(),
        media_type: top.media_type.clone(),
        tags: top.tags.clone(),
    };
    assert!(notices.into_iter().any(|notice| notice == of_index));
}

#[test]
fn an_image_that_goes_before_it_is_complete_is_never_told_of() {
    let (mut stage, mut peer) = stage();
    let image = image(&[blob(1)]);
    stage.say(merge(peer.puts(&image)));
    stage.say(merge(peer.deletes("a", image.digest)));
    stage.say(merge(peer.puts(&image)));
    stage.done(peer.bytes(&image));
    stage.done(peer.blob(blob(1)));
    assert_eq!(told(&stage).0, [3]);
}

#[test]
fn marks_name_what_is_not_complete_as_far_as_there_is_room() {
    let (mut stage, mut peer) = stage();
    introduce(&mut stage, &["us", "ap"]);
    assert_eq!(beat(&mut stage), Vec::<Vec<Mark>>::new());
    let images: Vec<_> = (1..=70).map(|number| image(&[blob(number)])).collect();
    let puts = images.iter().map(|image| peer.puts(image)).collect();
    stage.say(merge(batch(puts)));
    let mark = beat(&mut stage).remove(0).remove(0);
    assert_eq!((mark.origin, mark.merged), (peer.region, 70));
    assert_eq!(mark.version, Some(peer.last()));
    assert_eq!(mark.complete, 64);
    assert_eq!(mark.except, (1..=64).collect::<Vec<_>>());
    // There is nothing new to say.
    assert_eq!(beat(&mut stage), Vec::<Vec<Mark>>::new());
    for (number, image) in (1..).zip(&images[..69]) {
        stage.done(peer.bytes(image));
        stage.done(peer.blob(blob(number)));
    }
    let mark = beat(&mut stage).remove(0).remove(0);
    assert_eq!((mark.complete, mark.except), (70, vec![70]));
}

#[test]
fn notices_are_no_news() {
    let (mut stage, mut peer) = stage();
    introduce(&mut stage, &["us"]);
    hears(&mut stage, &mut peer, 0, &[]);
    assert!(!query::has_news(&stage.store).unwrap());
    let is_full = false;
    assert_eq!(stage.say(Command::Heartbeat { is_full }), Reply::Nothing);
}

#[test]
fn a_push_is_told_of_when_every_region_has_completed_it() {
    let (mut stage, mut us) = stage();
    let mut ap = Peer::of(&stage, "ap");
    introduce(&mut stage, &["us", "ap", "eu"]);
    stage.put(image(&[]).tagged(&["v"]));
    stage.upload("a", 1);
    stage.put(image(&[blob(1)]).tagged(&["w"]));
    hears(&mut stage, &mut us, 3, &[1]);
    assert_eq!(told(&stage).1, NONE);
    hears(&mut stage, &mut ap, 3, &[3]);
    assert_eq!(told(&stage).1, NONE);
    hears(&mut stage, &mut ap, 3, &[]);
    assert_eq!(told(&stage).1, [3]);
    hears(&mut stage, &mut us, 4, &[]);
    assert_eq!(told(&stage).1, [3, 1]);
    hears(&mut stage, &mut us, 6, &[]);
    hears(&mut stage, &mut ap, 6, &[]);
    assert_eq!(told(&stage).1, [3, 1]);
    let all = stage.events().into_iter();
    let mut regions = all.filter_map(|envelope| match envelope.event {
        Event::ReplicatedAll { regions, .. } => Some(regions),
        _ => None,
    });
    assert_eq!(regions.next_back().unwrap(), [region("ap"), region("us")]);
}

#[test]
fn what_was_superseded_is_not_told_of() {
    let (mut stage, mut us) = stage();
    introduce(&mut stage, &["us"]);
    stage.put(image(&[]).tagged(&["v"]));
    stage.upload("a", 1);
    let newer = image(&[blob(1)]);
    stage.put(newer.clone().tagged(&["v"]));
    stage.put(newer.clone());
    stage.delete("a", newer.digest);
    stage.put(image(&[]));
    hears(&mut stage, &mut us, 6, &[]);
    assert_eq!(told(&stage).1, [6]);
}

#[test]
fn a_region_that_is_removed_is_waited_for_no_more() {
    let (mut stage, mut us) = stage();
    introduce(&mut stage, &["us", "ap"]);
    stage.put(image(&[]).tagged(&["v"]));
    hears(&mut stage, &mut us, 1, &[]);
    assert_eq!(told(&stage).1, NONE);
    introduce(&mut stage, &["us", "sa"]);
    assert_eq!(told(&stage).1, [1]);
    // One that comes later is not asked for what was before.
    stage.put(image(&[]).tagged(&["w"]));
    hears(&mut stage, &mut us, 3, &[]);
    assert_eq!(told(&stage).1, [1]);
}

#[test]
fn what_came_with_a_copy_is_complete_when_nothing_is_missing() {
    let (mut stage, mut peer) = stage();
    introduce(&mut stage, &["us"]);
    let waits = image(&[blob(1)]);
    stage.say(merge(peer.puts(&waits)));
    stage.done(Command::SetCursor {
        origin: peer.region,
        shard: shard(&stage),
        epoch: 1,
        seq: 40,
    });
    let mark = beat(&mut stage).remove(0).remove(0);
    assert_eq!((mark.merged, mark.copied, mark.version), (40, 40, None));
    assert!(!mark.is_complete(40));
    // What comes after it is known by its event.
    let mut put = peer.puts(&image(&[]));
    put.events[0].seq = 41;
    stage.say(merge(put));
    stage.done(peer.bytes(&image(&[])));
    let mark = beat(&mut stage).remove(0).remove(0);
    assert!(mark.is_complete(41) && !mark.is_complete(40));
    stage.done(peer.bytes(&waits));
    stage.done(peer.blob(blob(1)));
    let mark = beat(&mut stage).remove(0).remove(0);
    assert_eq!((mark.merged, mark.copied, mark.complete), (41, 0, 41));
}

#[test]
fn what_a_region_said_once_it_need_not_say_again() {
    let (mut stage, mut us) = stage();
    let mut ap = Peer::of(&stage, "ap");
    introduce(&mut stage, &["us", "ap"]);
    for tag in ["v", "w", "x"] {
        stage.put(image(&[]).tagged(&[tag]));
    }
    hears(&mut stage, &mut us, 3, &[2]);
    // It copies the state of this region, and does not know of what by then.
    hears(&mut stage, &mut us, 0, &[]);
    hears(&mut stage, &mut ap, 2, &[]);
    assert_eq!(told(&stage).1, [1]);
    hears(&mut stage, &mut us, 3, &[]);
    assert_eq!(told(&stage).1, [1, 2]);
    hears(&mut stage, &mut ap, 3, &[]);
    assert_eq!(told(&stage).1, [1, 2, 3]);
}

#[test]
fn nobody_has_what_is_not_committed() {
    let (mut stage, mut us) = stage();
    introduce(&mut stage, &["us"]);
    hears(&mut stage, &mut us, u64::MAX, &[]);
    stage.put(image(&[]).tagged(&["v"]));
    assert_eq!(told(&stage).1, NONE);
    hears(&mut stage, &mut us, 1, &[]);
    assert_eq!(told(&stage).1, [1]);
}

#[test]
fn what_a_stranger_says_and_what_is_said_of_others_is_passed_over() {
    let (mut stage, mut us) = stage();
    let mut stranger = Peer::of(&stage, "sa");
    introduce(&mut stage, &["us"]);
    stage.put(image(&[]).tagged(&["v"]));
    let shard = shard(&stage);
    let events = stranger.says_in(shard, Event::Heartbeat { marks: Vec::new() });
    let refused = Reply::Refused(Refusal::Stranger(stranger.region));
    assert_eq!(stage.say(merge(events)), refused);
    assert_eq!(told(&stage).1, NONE);
    let events = us.says_in(shard, Event::Heartbeat { marks: Vec::new() });
    stage.say(merge(events));
    assert_eq!(stage.say(Command::Sweep), Reply::Nothing);
    assert!(!query::has_sweeps(&stage.store).unwrap());
}

#[test]
fn when_the_last_other_region_is_removed_nothing_waits_any_more() {
    let (mut stage, _) = stage();
    introduce(&mut stage, &["us"]);
    for tag in ["v", "w"] {
        stage.put(image(&[]).tagged(&[tag]));
    }
    introduce(&mut stage, &[]);
    assert_eq!(told(&stage).1, [1, 2]);
    stage.put(image(&[]).tagged(&["x"]));
    assert_eq!(told(&stage).1, [1, 2]);
}

#[test]
fn a_full_heartbeat_says_everything_once_more() {
    let (mut stage, mut peer) = stage();
    introduce(&mut stage, &["us"]);
    stage.say(merge(peer.puts(&image(&[]))));
    assert_eq!(beat(&mut stage).len(), 1);
    assert_eq!(beat(&mut stage).len(), 0);
    let before = stage.events().len();
    stage.say(Command::Heartbeat { is_full: true });
    assert_eq!(stage.events().len(), before + 1);
}

#[test]
fn very_many_notices_are_news_of_how_far_they_are_merged() {
    let (mut stage, mut us) = stage();
    introduce(&mut stage, &["us"]);
    for _ in 0..255 {
        hears(&mut stage, &mut us, 0, &[]);
    }
    assert_eq!(beat(&mut stage).len(), 0);
    hears(&mut stage, &mut us, 0, &[]);
    assert_eq!(beat(&mut stage)[0][0].merged, 256);
}

#[test]
fn rows_stay_until_every_other_region_has_merged_them() {
    let (mut stage, mut us) = stage();
    let mut ap = Peer::of(&stage, "ap");
    introduce(&mut stage, &["us", "ap"]);
    for number in 1..=5 {
        stage.upload("a", number);
    }
    let shard = shard(&stage);
    let seqs = |stage: &Stage| {
        let rows = query::outbox(&stage.store, shard, 0, 100).unwrap();
        let seqs = rows.iter().map(|row| row.envelope.id.seq);
        seqs.collect::<Vec<_>>()
    };
    let waiting = |stage: &Stage| query::backlog(&stage.store, shard, 100).unwrap().rows;
    let acknowledge = |seq| Command::Acknowledge {
        epoch: 1,
        through: vec![(shard, seq)],
    };
    stage.say(acknowledge(4));
    assert_eq!((seqs(&stage), waiting(&stage)), (vec![1, 2, 3, 4, 5], 1));
    hears(&mut stage, &mut us, 5, &[]);
    assert_eq!(seqs(&stage), [1, 2, 3, 4, 5]);
    hears(&mut stage, &mut ap, 2, &[]);
    assert_eq!(seqs(&stage), [3, 4, 5]);
    let events = query::events(&stage.store, shard, (3, 9), 1 << 20).unwrap();
    assert_eq!(events.unwrap().len(), 3);
    assert_eq!(
        query::events(&stage.store, shard, (2, 9), 1 << 20).unwrap(),
        None
    );
    hears(&mut stage, &mut ap, 5, &[]);
    // What is not acknowledged stays, whoever has it.
    assert_eq!(seqs(&stage), [5]);
    stage.say(acknowledge(5));
    assert_eq!(seqs(&stage), NONE);
}

#[test]
fn a_region_that_stays_away_does_not_keep_everything() {
    let (mut stage, _) = stage();
    introduce(&mut stage, &["us"]);
    crate::stage::set_counters(&mut stage.store, 10_000, 1);
    let shard = shard(&stage);
    for _ in 0..8_200 {
        stage.quietly(Command::PutManifest(Box::new(image(&[]))));
    }
    let through = vec![(shard, 18_199)];
    let acknowledge = Command::Acknowledge { epoch: 1, through };
    while stage.say(acknowledge.clone()) != Reply::Nothing {}
    let rows = query::outbox(&stage.store, shard, 0, 1).unwrap();
    assert_eq!(rows[0].envelope.id.seq, 18_199 - 8_192 + 1);
}
