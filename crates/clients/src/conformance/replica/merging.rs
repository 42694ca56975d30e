//! What happened in one region, in another.

use std::time::Duration;

use bytes::Bytes;
use meridian_event::shard_of;
use meridian_oci::MAX_MANIFEST_BYTES;

use super::{Fixture, Region, default};
use crate::RepositoryPath;
use crate::conformance::metadata::{digest_of, image_with, index};
use crate::conformance::{repository, sha256};
use crate::replica::{Content, ContentKind, ManifestBytes, Merged, Presence, Stored};

const MOMENT: Duration = Duration::from_secs(1);

/// What the state of a region says of a manifest.
async fn presence(
    region: &Region,
    at: &RepositoryPath,
    manifest: &meridian_oci::Manifest,
) -> Presence {
    let content = Content {
        registry: default(),
        repository: at.name.clone(),
        kind: ContentKind::Manifest,
        leaf: meridian_event::Leaf {
            digest: digest_of(manifest),
            size: manifest.bytes().len() as u64,
        },
    };
    region.replica.look(&[content]).await.unwrap()[0]
}

pub(super) async fn what_was_pushed_elsewhere_is_shown_when_it_is_here(fixture: &impl Fixture) {
    let at = repository("merging/shown");
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let image = eu.stage().push_image(&at, "layer", "latest").await;
    let top = index(&[(digest_of(&image), image.bytes().len() as u64)]);
    eu.stage().put_manifest(&at, &top, &["top"]).await.unwrap();
    us.hear(&eu).await;
    assert_eq!(us.target(&at, "latest").await, None);
    assert_eq!(us.target(&at, "top").await, None);
    us.fetch(&eu).await;
    assert_eq!(us.target(&at, "latest").await, Some(digest_of(&image)));
    assert_eq!(us.target(&at, "top").await, Some(digest_of(&top)));
    assert_eq!(us.wants().await, []);
    let stored = us.metadata.manifest(&at, &"top".parse().unwrap()).await;
    assert_eq!(stored.unwrap().bytes, top.bytes());
}

pub(super) async fn manifests_come_with_their_events_or_after_them(fixture: &impl Fixture) {
    let at = repository("merging/bodies");
    let eu = fixture.open("eu").await;
    let image = eu.stage().push_image(&at, "layer", "latest").await;
    let shard = shard_of(default(), Some(&at.name));
    let events = eu.events(shard, 0).await;
    let bodies = eu.bodies(&events).await;

    let us = fixture.open("us").await;
    us.stage().put_blob(&at, b"layer").await;
    us.stage().put_blob(&at, b"{}").await;
    assert!(matches!(
        us.merge(&events, &bodies).await,
        Merged::Through(_)
    ));
    assert_eq!(us.target(&at, "latest").await, Some(digest_of(&image)));

    let ap = fixture.open("ap").await;
    ap.stage().put_blob(&at, b"layer").await;
    ap.stage().put_blob(&at, b"{}").await;
    assert!(matches!(ap.merge(&events, &[]).await, Merged::Through(_)));
    assert_eq!(presence(&ap, &at, &image).await, Presence::Wanted);
    assert!(matches!(
        ap.merge(&events, &bodies).await,
        Merged::Refused(_)
    ));
    assert_eq!(presence(&ap, &at, &image).await, Presence::Here);
    assert_eq!(ap.target(&at, "latest").await, Some(digest_of(&image)));
}

pub(super) async fn a_manifest_that_cannot_be_read_fails_nothing(fixture: &impl Fixture) {
    let at = repository("merging/unreadable");
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let image = eu.stage().push_image(&at, "layer", "latest").await;
    let events = eu.events(shard_of(default(), Some(&at.name)), 0).await;
    let named = |digest, bytes: &[u8]| ManifestBytes {
        registry: default(),
        digest,
        bytes: Bytes::copy_from_slice(bytes),
    };
    let wrong = named(digest_of(&image), b"other bytes");
    let merged = us.merge(&events, std::slice::from_ref(&wrong)).await;
    assert!(matches!(merged, Merged::Through(_)));
    assert_eq!(presence(&us, &at, &image).await, Presence::Wanted);
    let stored = us.replica.store_manifest(wrong).await.unwrap();
    assert!(matches!(stored, Stored::Unreadable { .. }), "{stored:?}");
    let right = named(digest_of(&image), image.bytes());
    assert_eq!(
        us.replica.store_manifest(right.clone()).await.unwrap(),
        Stored::Kept
    );
    assert_eq!(presence(&us, &at, &image).await, Presence::Here);
    // What nobody wants is nobody's.
    assert_eq!(
        us.replica.store_manifest(right).await.unwrap(),
        Stored::Kept
    );
    let unwanted = named(sha256(b"{}"), b"{}");
    assert_eq!(
        us.replica.store_manifest(unwanted).await.unwrap(),
        Stored::Kept
    );
}

pub(super) async fn the_greatest_manifests_pass(fixture: &impl Fixture) {
    let at = repository("merging/greatest");
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let config = eu.stage().put_blob(&at, b"{}").await;
    us.stage().put_blob(&at, b"{}").await;
    let padded = |name: &str, length| {
        let more = format!(
            r#","annotations":{{"name":"{name}","padding":"{}"}}"#,
            "x".repeat(length)
        );
        image_with(&[(config, 2)], &more)
    };
    let frame = padded("a", 0).bytes().len();
    for name in ["a", "b"] {
        let greatest = padded(name, MAX_MANIFEST_BYTES - frame);
        eu.stage()
            .put_manifest(&at, &greatest, &[name])
            .await
            .unwrap();
    }
    let events = eu.events(shard_of(default(), Some(&at.name)), 0).await;
    let bodies = eu.bodies(&events).await;
    assert_eq!(bodies.len(), 2);
    // More than one entry carries, in one batch.
    let merged = us.merge(&events, &bodies).await;
    let last = events.last().unwrap().id.seq;
    assert!(matches!(merged, Merged::Through(place) if place.seq == last));
    for (name, body) in ["a", "b"].iter().zip(&bodies) {
        assert_eq!(us.target(&at, name).await, Some(body.digest));
    }
}

pub(super) async fn the_newest_put_wins_in_either_order(fixture: &impl Fixture) {
    let at = repository("merging/newest");
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let late = fixture.open("ap").await;
    eu.stage().push_image(&at, "older", "tag").await;
    fixture.pass(MOMENT).await;
    let newer = us.stage().push_image(&at, "newer", "tag").await;
    for (region, other) in [(&eu, &us), (&us, &eu), (&late, &us), (&late, &eu)] {
        region.hear(other).await;
        region.fetch(other).await;
    }
    for region in [&eu, &us, &late] {
        assert_eq!(region.target(&at, "tag").await, Some(digest_of(&newer)));
    }
}

pub(super) async fn a_deletion_wins_over_an_older_put(fixture: &impl Fixture) {
    let at = repository("merging/deleted");
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let late = fixture.open("ap").await;
    let image = eu.stage().push_image(&at, "layer", "tag").await;
    us.hear(&eu).await;
    us.fetch(&eu).await;
    assert_eq!(us.target(&at, "tag").await, Some(digest_of(&image)));
    fixture.pass(MOMENT).await;
    let digest = digest_of(&image).to_string();
    us.stage().delete(&at, &digest, None).await.unwrap();
    // One hears of the deletion after the put, another one before it.
    eu.hear(&us).await;
    late.hear(&us).await;
    late.hear(&eu).await;
    for region in [&eu, &us, &late] {
        assert_eq!(region.target(&at, "tag").await, None);
        assert_eq!(region.target(&at, &digest).await, None);
        assert_eq!(region.wants().await, []);
    }
    // A newer put comes back.
    fixture.pass(MOMENT).await;
    let again = eu.stage().push_image(&at, "layer", "tag").await;
    for region in [&us, &late] {
        region.hear(&eu).await;
        region.fetch(&eu).await;
        assert_eq!(region.target(&at, "tag").await, Some(digest_of(&again)));
    }
}

pub(super) async fn a_merge_is_not_told_again(fixture: &impl Fixture) {
    let at = repository("merging/echo");
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    eu.stage().push_image(&at, "one", "tag").await;
    let untagged = eu.stage().push_image(&at, "two", "tag").await;
    let digest = digest_of(&untagged).to_string();
    eu.stage().delete(&at, &digest, None).await.unwrap();
    let before = us.heads().await;
    us.hear(&eu).await;
    for wanted in us.wants().await {
        us.fetch_manifest(&eu, &wanted).await;
    }
    let found = eu.find(&at.name, &"tag".parse().unwrap()).await;
    us.replica.merge_found(found).await.unwrap();
    assert_eq!(us.heads().await, before);
}
