//! A region that joins.

use std::time::Duration;

use super::{Fixture, Region};
use crate::conformance::repository;
use crate::replica::{CopyMark, CursorAt, Found};

/// The whole copy, in parts of so many.
async fn copied(region: &Region, limit: usize) -> Vec<Found> {
    let (mut all, mut after): (_, Option<CopyMark>) = (Vec::new(), None);
    loop {
        let page = region.replica.copy(after, limit).await.unwrap();
        all.extend(page.found);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

async fn join(region: &Region, other: &Region) {
    let progress = other.replica.progress().await.unwrap();
    let mut after = None;
    loop {
        let page = other.replica.copy(after, 2).await.unwrap();
        region.replica.merge_found(page.found).await.unwrap();
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let heads = (0..).zip(&progress.heads).map(|(shard, place)| CursorAt {
        origin: progress.region,
        shard,
        place: *place,
    });
    let cursors = heads.chain(progress.cursors.iter().copied());
    region.replica.set_cursors(cursors.collect()).await.unwrap();
}

pub(super) async fn a_copy_and_the_events_after_it_are_as_good_as_all_events(
    fixture: &impl Fixture,
) {
    let places = ["copy/one", "copy/two", "copy/three"].map(repository);
    let eu = fixture.open("eu").await;
    let (joined, heard) = (fixture.open("us").await, fixture.open("ap").await);
    for at in &places {
        for name in ["a", "b", "c"] {
            eu.stage().push_image(at, name, name).await;
        }
        fixture.pass(Duration::from_secs(1)).await;
        eu.stage().delete(at, "a", None).await.unwrap();
        let gone = eu.target(at, "b").await.unwrap().to_string();
        eu.stage().delete(at, &gone, None).await.unwrap();
    }
    join(&joined, &eu).await;
    eu.stage().push_image(&places[0], "d", "c").await;
    let gone = eu.target(&places[1], "c").await.unwrap().to_string();
    eu.stage().delete(&places[1], &gone, None).await.unwrap();
    for region in [&joined, &heard] {
        region.hear(&eu).await;
        region.fetch(&eu).await;
    }
    let whole = copied(&eu, 1_000).await;
    for region in [&joined, &heard] {
        assert_eq!(copied(region, 1_000).await, whole);
        assert_eq!(copied(region, 1).await, whole);
        for at in &places {
            for tag in ["a", "b", "c"] {
                assert_eq!(region.target(at, tag).await, eu.target(at, tag).await);
            }
        }
        assert_eq!(region.wants().await, []);
    }
    let progress = async |region: &Region| region.replica.progress().await.unwrap().cursors;
    let mut cursors = progress(&joined).await;
    cursors.retain(|it| it.place.seq > 0);
    assert_eq!(cursors, progress(&heard).await);
}
