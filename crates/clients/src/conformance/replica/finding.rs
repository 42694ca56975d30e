//! What another region is asked for, and what becomes of its answer.

use std::time::Duration;

use meridian_oci::Reference;

use super::Fixture;
use crate::conformance::metadata::digest_of;
use crate::conformance::{repository, sha256};
use crate::replica::{ContentKind, Found};

pub(super) async fn what_is_found_is_shown_when_its_blobs_are_here(fixture: &impl Fixture) {
    let at = repository("finding/shown");
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let image = eu.stage().push_image(&at, "layer", "tag").await;
    let reference: Reference = "tag".parse().unwrap();
    assert_eq!(us.find(&at.name, &reference).await, []);
    let found = eu.find(&at.name, &reference).await;
    let has_bytes = found.iter().any(|found| {
        let Found::Manifest { manifest, .. } = found else {
            return false;
        };
        manifest.bytes.as_ref() == Some(image.bytes())
    });
    assert!(has_bytes, "{found:?}");
    us.replica.merge_found(found.clone()).await.unwrap();
    assert_eq!(us.target(&at, "tag").await, None);
    let wanted = us.wants().await;
    assert_eq!(wanted.len(), 2);
    assert!(wanted.iter().all(|it| it.kind == ContentKind::Blob));
    us.fetch(&eu).await;
    assert_eq!(us.target(&at, "tag").await, Some(digest_of(&image)));
    // What is known here, too, is found here as it was there; and merging is not the cursor's.
    assert_eq!(us.find(&at.name, &reference).await, found);
    assert_eq!(us.replica.progress().await.unwrap().cursors, []);
    us.hear(&eu).await;
    assert_eq!(us.target(&at, "tag").await, Some(digest_of(&image)));
}

pub(super) async fn what_was_found_before_changes_nothing(fixture: &impl Fixture) {
    let at = repository("finding/before");
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let image = eu.stage().push_image(&at, "layer", "tag").await;
    let reference: Reference = "tag".parse().unwrap();
    let before = eu.find(&at.name, &reference).await;
    us.replica.merge_found(before.clone()).await.unwrap();
    us.fetch(&eu).await;
    fixture.pass(Duration::from_secs(1)).await;
    eu.stage().delete(&at, "tag", None).await.unwrap();
    let after = eu.find(&at.name, &reference).await;
    let [Found::Tag { tag, .. }] = &*after else {
        panic!("a tag that was deleted is known: {after:?}");
    };
    assert_eq!(tag.digest, None);
    us.replica.merge_found(after.clone()).await.unwrap();
    assert_eq!(us.target(&at, "tag").await, None);
    us.replica.merge_found(before).await.unwrap();
    assert_eq!(us.target(&at, "tag").await, None);
    assert_eq!(us.find(&at.name, &reference).await, after);
    let digest = digest_of(&image).to_string();
    assert_eq!(us.target(&at, &digest).await, Some(digest_of(&image)));
}

pub(super) async fn of_what_nobody_knows_nothing_is_found(fixture: &impl Fixture) {
    let at = repository("finding/nothing");
    let eu = fixture.open("eu").await;
    let absent = Reference::from(sha256(b"absent"));
    for reference in [absent, "absent".parse().unwrap()] {
        assert_eq!(eu.find(&at.name, &reference).await, []);
    }
    eu.replica.merge_found(Vec::new()).await.unwrap();
}
