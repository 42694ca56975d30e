//! Manifests and tags: put, read, deleted.

use meridian_error::{Classify, Code};
use meridian_oci::{Algorithm, Digest, MAX_DESCRIPTORS, MAX_MANIFEST_BYTES, Reference};

use super::{Stage, digest_of, fresh, image, image_with, index, put, repository, sha256};
use crate::{Condition, DeleteManifest, PutManifest, ReadError, RepositoryPath, WriteError};

async fn target(stage: &Stage, at: &RepositoryPath, tag: &str) -> Option<Digest> {
    match stage.manifest_stat(at, &tag.parse().unwrap()).await {
        Ok(stat) => Some(stat.digest),
        Err(ReadError::ManifestUnknown) => None,
        Err(error) => panic!("{error}"),
    }
}

pub(super) async fn a_manifest_is_read_as_it_was_put(stage: &Stage) {
    let at = repository("manifests/read");
    let config = stage.put_blob(&at, b"{}").await;
    let manifest = image(&[(config, 2)]);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let digest = manifest.digest(algorithm);
        let put = PutManifest {
            digest,
            ..put(&at, &manifest, &["1", "latest"])
        };
        let version = stage.0.put_manifest(put).await.unwrap().version;
        for reference in [
            "1".parse().unwrap(),
            "latest".parse().unwrap(),
            Reference::from(digest),
        ] {
            let stored = stage.manifest(&at, &reference).await.unwrap();
            assert_eq!(stored.bytes, manifest.bytes(), "{reference}");
            assert_eq!(stored.stat.digest, digest);
            assert_eq!(&stored.stat.media_type, manifest.media_type());
            assert_eq!(stored.stat.size, manifest.bytes().len() as u64);
            assert_eq!(stored.stat.version, version);
            assert_eq!(
                stage.manifest_stat(&at, &reference).await.unwrap(),
                stored.stat
            );
        }
    }
}

pub(super) async fn what_is_absent_is_told_apart(stage: &Stage) {
    let at = repository("manifests/absent");
    stage.push_image(&at, "layer", "latest").await;
    let absent = Reference::from(sha256(b"absent"));
    for reference in [absent, "absent".parse().unwrap()] {
        let read = stage.manifest(&at, &reference).await;
        assert_eq!(read.unwrap_err(), ReadError::ManifestUnknown);
        let deleted = stage.delete(&at, &reference.to_string(), None).await;
        assert_eq!(deleted.unwrap_err(), ReadError::ManifestUnknown.into());
        let nowhere = repository("manifests/nowhere");
        let read = stage.manifest_stat(&nowhere, &reference).await;
        assert_eq!(read.unwrap_err(), ReadError::RepositoryUnknown);
        let nowhere = RepositoryPath {
            registry: "nowhere".parse().unwrap(),
            ..at.clone()
        };
        let read = stage.manifest(&nowhere, &reference).await;
        assert_eq!(read.unwrap_err(), ReadError::RegistryUnknown);
    }
}

pub(super) async fn the_greatest_manifest_passes(stage: &Stage) {
    let at = repository("manifests/greatest");
    let config = stage.put_blob(&at, b"{}").await;
    let padded = |length| {
        let padding = "x".repeat(length);
        image_with(
            &[(config, 2)],
            &format!(r#","annotations":{{"padding":"{padding}"}}"#),
        )
    };
    let frame = padded(0).bytes().len();
    let greatest = padded(MAX_MANIFEST_BYTES - frame);
    assert_eq!(greatest.bytes().len(), MAX_MANIFEST_BYTES);
    stage
        .put_manifest(&at, &greatest, &["greatest"])
        .await
        .unwrap();
    let stored = stage
        .manifest(&at, &"greatest".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(stored.bytes, greatest.bytes());
}

pub(super) async fn absent_leaves_are_named(stage: &Stage) {
    let at = repository("manifests/dangling");
    let config = stage.put_blob(&at, b"{}").await;
    let (a, b) = (sha256(b"a"), Digest::of(Algorithm::Sha512, b"b"));
    let dangling = image(&[(config, 2), (a, 1), (b, 1)]);
    let refused = stage
        .put_manifest(&at, &dangling, &["x"])
        .await
        .unwrap_err();
    let WriteError::LeavesUnknown(mut leaves) = refused else {
        panic!("{refused}");
    };
    leaves.sort_unstable();
    let mut expected = [a, b];
    expected.sort_unstable();
    assert_eq!(leaves, expected);
    let child = index(&[(sha256(b"child"), 5)]);
    let refused = stage.put_manifest(&at, &child, &["x"]).await.unwrap_err();
    assert_eq!(refused, WriteError::LeavesUnknown(vec![sha256(b"child")]));
    // A blob that only another repository has does not count.
    let elsewhere = repository("manifests/elsewhere");
    stage.put_blob(&elsewhere, b"a").await;
    let again = stage
        .put_manifest(&at, &image(&[(config, 2), (a, 1)]), &["x"])
        .await;
    assert_eq!(again.unwrap_err(), WriteError::LeavesUnknown(vec![a]));
    assert_eq!(stage.put_blob(&at, b"a").await, a);
    stage
        .put_manifest(&at, &image(&[(config, 2), (a, 1)]), &["x"])
        .await
        .unwrap();
}

pub(super) async fn every_one_of_very_many_absent_leaves_is_named(stage: &Stage) {
    let at = repository("manifests/many");
    let config = stage.put_blob(&at, b"{}").await;
    let absent: Vec<_> = (0..MAX_DESCRIPTORS - 1)
        .map(|n| (Digest::of(Algorithm::Sha512, &n.to_le_bytes()), 1))
        .collect();
    let leaves: Vec<_> = std::iter::once((config, 2))
        .chain(absent.iter().copied())
        .collect();
    let refused = stage
        .put_manifest(&at, &image(&leaves), &[])
        .await
        .unwrap_err();
    let WriteError::LeavesUnknown(named) = refused else {
        panic!(
            "{}",
            refused.to_string().chars().take(200).collect::<String>()
        );
    };
    assert_eq!(named.len(), absent.len());
    assert!(absent.iter().all(|(digest, _)| named.contains(digest)));
}

pub(super) async fn a_wrong_size_is_named(stage: &Stage) {
    let at = repository("manifests/sizes");
    let config = stage.put_blob(&at, b"{}").await;
    let refused = stage
        .put_manifest(&at, &image(&[(config, 3)]), &["x"])
        .await;
    assert_eq!(refused.unwrap_err(), WriteError::SizesDiffer(vec![config]));
}

pub(super) async fn conditions_decide(stage: &Stage) {
    let at = repository("manifests/conditions");
    let first = stage.push_image(&at, "first", "tag").await;
    let second = stage.push_image(&at, "second", "other").await;
    let (first_digest, second_digest) = (digest_of(&first), digest_of(&second));
    let put = async |tag, condition| {
        stage
            .put_manifest_if(&at, &second, &[tag], Some(condition))
            .await
            .map(drop)
    };
    let failed = |current| WriteError::ConditionFailed { current };

    let refused = put("tag", Condition::Absent).await.unwrap_err();
    assert_eq!(refused, failed(Some(first_digest)));
    let refused = put("tag", Condition::PointsAt(second_digest))
        .await
        .unwrap_err();
    assert_eq!(refused, failed(Some(first_digest)));
    let refused = put("new", Condition::PointsAt(first_digest))
        .await
        .unwrap_err();
    assert_eq!(refused, failed(None));
    put("tag", Condition::PointsAt(first_digest)).await.unwrap();
    put("new", Condition::Absent).await.unwrap();
    assert_eq!(target(stage, &at, "tag").await, Some(second_digest));

    let delete = async |condition| stage.delete(&at, "tag", Some(condition)).await;
    let refused = delete(Condition::PointsAt(first_digest)).await.unwrap_err();
    assert_eq!(refused, failed(Some(second_digest)));
    delete(Condition::PointsAt(second_digest)).await.unwrap();
    assert_eq!(target(stage, &at, "tag").await, None);
}

pub(super) async fn a_tag_is_deleted_alone(stage: &Stage) {
    let at = repository("manifests/tag");
    let manifest = stage.push_image(&at, "layer", "one").await;
    stage.put_manifest(&at, &manifest, &["two"]).await.unwrap();
    stage.delete(&at, "one", None).await.unwrap();
    assert_eq!(target(stage, &at, "one").await, None);
    assert_eq!(target(stage, &at, "two").await, Some(digest_of(&manifest)));
    let by_digest = Reference::from(digest_of(&manifest));
    assert!(stage.manifest_stat(&at, &by_digest).await.is_ok());
}

pub(super) async fn a_manifest_takes_its_tags_along(stage: &Stage) {
    let at = repository("manifests/deleted");
    let manifest = stage.push_image(&at, "layer", "one").await;
    stage.push_image(&at, "another layer", "two").await;
    stage
        .delete(&at, &digest_of(&manifest).to_string(), None)
        .await
        .unwrap();
    assert_eq!(target(stage, &at, "one").await, None);
    assert!(target(stage, &at, "two").await.is_some());
    // A later put brings back what it says, and nothing else.
    stage.put_manifest(&at, &manifest, &[]).await.unwrap();
    assert_eq!(target(stage, &at, "one").await, None);
    let by_digest = Reference::from(digest_of(&manifest));
    assert!(stage.manifest_stat(&at, &by_digest).await.is_ok());
}

pub(super) async fn what_is_needed_stays(stage: &Stage) {
    let at = repository("manifests/needed");
    let child = stage.push_image(&at, "layer", "child").await;
    let child_digest = digest_of(&child);
    let parent = index(&[(child_digest, child.bytes().len() as u64)]);
    stage.put_manifest(&at, &parent, &["parent"]).await.unwrap();
    let refused = stage
        .delete(&at, &child_digest.to_string(), None)
        .await
        .unwrap_err();
    assert_eq!(refused, WriteError::InUse(vec![digest_of(&parent)]));
    let refused = stage
        .delete_blob(&at, sha256(b"layer"), fresh())
        .await
        .unwrap_err();
    assert_eq!(refused, WriteError::InUse(vec![child_digest]));
    assert_eq!(refused.code(), Code::Conflict);
    for digest in [digest_of(&parent), child_digest] {
        let delete = DeleteManifest {
            repository: at.clone(),
            reference: digest.into(),
            condition: None,
            request: fresh(),
        };
        stage.delete_manifest(delete).await.unwrap();
    }
    stage
        .delete_blob(&at, sha256(b"layer"), fresh())
        .await
        .unwrap();
}
