//! What another region is asked for, and what becomes of its answer.

use std::time::Duration;

use meridian_oci::Reference;

use super::{Fixture, Region, default};
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

pub(super) async fn what_is_here_of_an_image_is_told(fixture: &impl Fixture) {
    let at = repository("finding/image");
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let image = eu.stage().push_image(&at, "layer", "tag").await;
    let references: [Reference; 2] = ["tag".parse().unwrap(), digest_of(&image).into()];
    let ask = async |region: &Region, reference: &Reference| {
        let asked = region.replica.image(default(), &at.name, reference);
        asked.await.unwrap()
    };
    for reference in &references {
        let whole = ask(&eu, reference).await.unwrap();
        assert_eq!(whole.digest, Some(digest_of(&image)));
        assert!(whole.is_exposed && whole.missing.is_empty(), "{whole:?}");
        assert_eq!(ask(&us, reference).await, None);
    }
    us.hear(&eu).await;
    let manifest = image.bytes().len() as u64;
    for reference in &references {
        let (whole, heard) = (ask(&eu, reference).await, ask(&us, reference).await);
        let (whole, heard) = (whole.unwrap(), heard.unwrap());
        assert_eq!((heard.version, heard.digest), (whole.version, whole.digest));
        assert!(!heard.is_exposed);
        assert_eq!((heard.bytes, heard.missing.len()), (manifest, 1));
    }
    us.fetch_manifest(&eu, &us.wants().await[0]).await;
    for reference in &references {
        let (whole, part) = (ask(&eu, reference).await, ask(&us, reference).await);
        let (whole, part) = (whole.unwrap(), part.unwrap());
        let missing: u64 = part.missing.iter().map(|leaf| leaf.size).sum();
        assert!(!part.is_exposed);
        assert_eq!((part.bytes, part.bytes - missing), (whole.bytes, manifest));
    }
    us.fetch(&eu).await;
    for reference in &references {
        assert_eq!(ask(&us, reference).await, ask(&eu, reference).await);
    }
    fixture.pass(Duration::from_secs(1)).await;
    let before = ask(&eu, &references[0]).await.unwrap();
    eu.stage().delete(&at, "tag", None).await.unwrap();
    let gone = ask(&eu, &references[0]).await.unwrap();
    assert!(gone.version > before.version);
    assert_eq!((gone.digest, gone.bytes, gone.is_exposed), (None, 0, false));
    assert!(ask(&eu, &references[1]).await.unwrap().is_exposed);
}
