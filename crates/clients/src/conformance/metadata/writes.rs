//! What all writes have in common.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::{Stage, fresh, image, put, repository};
use crate::{DeleteManifest, PutManifest, RequestId};

pub(super) async fn a_repeated_request_has_its_effect_once(stage: &Stage) {
    let at = repository("writes/repeated");
    let first = stage.push_image(&at, "first", "tag").await;
    let second = stage.push_image(&at, "second", "tag").await;
    let put = put(&at, &first, &["tag"]);
    let version = stage.0.put_manifest(put.clone()).await.unwrap().version;
    stage.put_manifest(&at, &second, &["tag"]).await.unwrap();
    // The answer was lost, and the client asks again: the tag must not go back.
    let again = stage.0.put_manifest(put).await.unwrap().version;
    assert_eq!(again, version);
    let stat = stage
        .manifest_stat(&at, &"tag".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(stat.digest, super::digest_of(&second));

    let delete = DeleteManifest {
        repository: at.clone(),
        reference: "tag".parse().unwrap(),
        condition: None,
        request: fresh(),
    };
    let deleted = stage.delete_manifest(delete.clone()).await.unwrap();
    let again = stage.delete_manifest(delete).await.unwrap();
    assert_eq!(again.version, deleted.version);

    let id = fresh();
    let reserved = stage.reserve_generations(3, id).await.unwrap();
    assert_eq!(stage.reserve_generations(3, id).await.unwrap(), reserved);
}

pub(super) async fn versions_rise(stage: &Stage) {
    let at = repository("writes/versions");
    let config = stage.put_blob(&at, b"{}").await;
    let manifest = image(&[(config, 2)]);
    let mut last = None;
    for n in 0..10 {
        let put = PutManifest {
            request: RequestId([n; 16]),
            ..put(&at, &manifest, &["tag"])
        };
        let version = stage.0.put_manifest(put).await.unwrap().version;
        assert!(last < Some(version));
        last = Some(version);
    }
}

pub(super) async fn generations_are_given_out_once(stage: &Stage) {
    let blocks = (0..16).map(|n| stage.reserve_generations(1 + n % 4, fresh()));
    let blocks = join_all(blocks).await;
    let mut given = BTreeSet::new();
    for (n, block) in blocks.into_iter().enumerate() {
        let block = block.unwrap();
        assert_eq!(block.count, 1 + n as u64 % 4);
        for generation in block.first..block.first + block.count {
            assert!(
                given.insert((block.epoch, generation)),
                "twice: {generation}"
            );
        }
    }
}
