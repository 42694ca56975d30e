//! Events, and how far they are merged.

use std::sync::Arc;

use meridian_error::{Classify, Code};
use meridian_event::{Envelope, shard_of};

use super::{Fixture, Region, default};
use crate::RepositoryPath;
use crate::conformance::repository;
use crate::replica::{CursorAt, EventRange, Events, Merged, Place, RemoteBatch};

/// A region with some events in the shard of a repository: which, and all of them.
async fn busy(fixture: &impl Fixture, at: &RepositoryPath) -> (Region, u16, Vec<Arc<Envelope>>) {
    let region = fixture.open("eu").await;
    for name in ["one", "two", "three"] {
        region.stage().push_image(at, name, name).await;
    }
    let shard = shard_of(default(), Some(&at.name));
    let events = region.events(shard, 0).await;
    assert!(events.len() >= 6, "{events:?}");
    (region, shard, events)
}

const fn at_seq(seq: u64) -> Place {
    Place { epoch: 1, seq }
}

/// Where one of these events stands.
fn place(events: &[Arc<Envelope>], seq: u64) -> Place {
    Place {
        epoch: events[0].id.epoch,
        seq,
    }
}

pub(super) async fn events_are_dense_and_come_in_order(fixture: &impl Fixture) {
    let (eu, shard, events) = busy(fixture, &repository("streams/dense")).await;
    let progress = eu.replica.progress().await.unwrap();
    assert_eq!(progress.region.as_str(), "eu");
    assert_eq!(progress.cursors, []);
    let count = events.len() as u64;
    assert_eq!(progress.heads[usize::from(shard)], place(&events, count));
    let seqs = events.iter().map(|event| event.id.seq);
    assert!(seqs.eq(1..=count));

    let range = EventRange {
        shard,
        epoch: events[0].id.epoch,
        from: 2,
        to: 4,
        max_bytes: usize::MAX,
    };
    let ask = async |range| eu.replica.events(&range).await.unwrap();
    let here = |events: &[Arc<Envelope>]| {
        Events::Here(events.iter().map(|event| (**event).clone()).collect())
    };
    assert_eq!(ask(range).await, here(&events[1..4]));
    let little = EventRange {
        max_bytes: 1,
        ..range
    };
    assert_eq!(ask(little).await, here(&events[1..2]));
    let later = EventRange {
        from: count + 1,
        to: count + 9,
        ..range
    };
    assert_eq!(ask(later).await, here(&[]));
    let other = EventRange {
        epoch: range.epoch + 1,
        ..range
    };
    assert_eq!(ask(other).await, Events::Gone);
}

pub(super) async fn a_batch_is_merged_where_the_cursor_stands(fixture: &impl Fixture) {
    let (_, shard, events) = busy(fixture, &repository("streams/cursor")).await;
    let count = events.len() as u64;
    let us = fixture.open("us").await;
    // Nothing is skipped,
    assert_eq!(
        us.merge(&events[1..], &[]).await,
        Merged::Refused(Place::START)
    );
    assert_eq!(
        us.merge(&events[..2], &[]).await,
        Merged::Through(place(&events, 2))
    );
    assert_eq!(
        us.merge(&events[3..], &[]).await,
        Merged::Refused(place(&events, 2))
    );
    // nothing is merged twice,
    assert_eq!(
        us.merge(&events[..1], &[]).await,
        Merged::Refused(place(&events, 2))
    );
    // and what was merged before does not hold up what comes behind it.
    assert_eq!(
        us.merge(&events, &[]).await,
        Merged::Through(place(&events, count))
    );
    assert_eq!(
        us.merge(&events, &[]).await,
        Merged::Refused(place(&events, count))
    );
    let cursor = CursorAt {
        origin: "eu".parse().unwrap(),
        shard,
        place: place(&events, count),
    };
    assert_eq!(us.replica.progress().await.unwrap().cursors, [cursor]);
}

pub(super) async fn what_contradicts_itself_is_refused(fixture: &impl Fixture) {
    let (eu, _, events) = busy(fixture, &repository("streams/refused")).await;
    let us = fixture.open("us").await;
    let mut of_two_epochs = events.clone();
    Arc::make_mut(&mut of_two_epochs[1]).id.epoch += 1;
    let mut of_another_shard = events.clone();
    for event in &mut of_another_shard {
        let id = &mut Arc::make_mut(event).id;
        id.shard = (id.shard + 1) % 16;
    }
    let with_a_gap = vec![Arc::clone(&events[0]), Arc::clone(&events[2])];
    for (region, events) in [
        (&us, Vec::new()),
        (&us, with_a_gap),
        (&us, of_two_epochs),
        (&us, of_another_shard),
        // What comes back to where it happened.
        (&eu, events),
    ] {
        let batch = RemoteBatch {
            events,
            manifests: Vec::new(),
        };
        let refused = region.replica.merge(batch).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    assert_eq!(us.replica.progress().await.unwrap().cursors, []);
}

pub(super) async fn cursors_move_forward_only(fixture: &impl Fixture) {
    let us = fixture.open("us").await;
    let at = |shard, place| CursorAt {
        origin: "eu".parse().unwrap(),
        shard,
        place,
    };
    let set = async |cursors: &[CursorAt]| us.replica.set_cursors(cursors.to_vec()).await;
    set(&[at(3, at_seq(7)), at(5, at_seq(1))]).await.unwrap();
    set(&[at(3, at_seq(6)), at(5, at_seq(2))]).await.unwrap();
    let cursors = us.replica.progress().await.unwrap().cursors;
    assert_eq!(cursors, [at(3, at_seq(7)), at(5, at_seq(2))]);
    let own = CursorAt {
        origin: "us".parse().unwrap(),
        ..at(3, at_seq(1))
    };
    let refused = set(&[own]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
}
