//! Blobs uploaded in one step, mounted, deleted.

use bytes::Bytes;
use futures::stream;
use meridian_error::{Classify, Code};
use meridian_oci::{Algorithm, Digest};

use super::{Stage, broken, content, repository, sha256, sized, streamed};
use crate::{MountOutcome, Transfer, UploadError};

pub(super) async fn blobs_of_all_sizes_come_back(stage: &Stage) {
    let at = repository("uploads/sizes");
    let chunk = 256 * 1024;
    for length in [
        0,
        1,
        63,
        64,
        65,
        4096,
        chunk - 1,
        chunk,
        chunk + 1,
        5 * 1024 * 1024 + 13,
    ] {
        let bytes = content(u32::try_from(length).unwrap(), length);
        let digest = sha256(&bytes);
        for body in [sized(&bytes), streamed(&bytes)] {
            stage.upload(&at, digest, body).await.unwrap();
        }
        for for_push in [false, true] {
            let stat = stage.stat(&at, digest, for_push).await.unwrap();
            assert_eq!(stat.size, length as u64);
        }
        assert_eq!(
            stage.pull(&at, digest, None).await.unwrap(),
            bytes,
            "{length} bytes"
        );
    }
}

pub(super) async fn a_body_may_be_cut_anyhow(stage: &Stage) {
    let at = repository("uploads/cuts");
    let bytes = content(3, 1_500_000);
    let cuts = [0, 0, 1, 2, 500_000, 500_000, 1_499_999, 1_500_000];
    let mut pieces = Vec::new();
    for cut in cuts.windows(2) {
        pieces.push(Ok(bytes.slice(cut[0]..cut[1])));
    }
    let body = Transfer {
        range: None,
        length: Some(1_500_000),
        body: Box::pin(stream::iter(pieces)),
    };
    let digest = sha256(&bytes);
    stage.upload(&at, digest, body).await.unwrap();
    assert_eq!(stage.pull(&at, digest, None).await.unwrap(), bytes);
}

pub(super) async fn both_algorithms_serve(stage: &Stage) {
    let at = repository("uploads/algorithms");
    let bytes = content(4, 100_000);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let digest = Digest::of(algorithm, &bytes);
        stage.upload(&at, digest, streamed(&bytes)).await.unwrap();
        assert_eq!(stage.pull(&at, digest, None).await.unwrap(), bytes);
        let session = stage.start(&at, algorithm).await.unwrap();
        let finished = stage
            .finish(&at, &session.upload, digest, sized(&bytes))
            .await;
        finished.unwrap();
    }
}

pub(super) async fn another_digest_is_refused(stage: &Stage) {
    let at = repository("uploads/digest");
    for length in [10, 300_000] {
        let digest = sha256(&content(6, length));
        let refused = stage.upload(&at, digest, sized(&content(5, length))).await;
        assert!(matches!(refused, Err(UploadError::DigestDiffers)));
        let absent = stage.stat(&at, digest, false).await.unwrap_err();
        assert_eq!(absent.code(), Code::NotFound);
    }
}

pub(super) async fn another_length_is_refused(stage: &Stage) {
    let at = repository("uploads/length");
    for (length, announced) in [(10, 11), (10, 9), (300_000, 300_001), (300_000, 299_999)] {
        let bytes = content(7, length);
        let body = Transfer {
            length: Some(announced),
            ..streamed(&bytes)
        };
        let refused = stage.upload(&at, sha256(&bytes), body).await.unwrap_err();
        let UploadError::LengthDiffers { expected, actual } = refused else {
            panic!("{refused}");
        };
        assert_eq!(expected, announced);
        assert_ne!(actual, announced);
    }
}

pub(super) async fn a_broken_body_leaves_nothing(stage: &Stage) {
    let at = repository("uploads/broken");
    for length in [0, 10, 300_000] {
        // What came is a whole blob, were it not for the break.
        let bytes = content(8, length);
        let body = Transfer {
            body: broken(&bytes),
            ..streamed(&bytes)
        };
        let refused = stage.upload(&at, sha256(&bytes), body).await.unwrap_err();
        assert!(matches!(refused, UploadError::Body(_)), "{refused}");
        assert!(meridian_error::chain(&refused).contains("the client is gone"));
        let absent = stage.stat(&at, sha256(&bytes), false).await.unwrap_err();
        assert_eq!(absent.code(), Code::NotFound);
    }
}

pub(super) async fn a_blob_is_mounted_or_uploaded(stage: &Stage) {
    let [from, to, third] = ["mounts/from", "mounts/to", "mounts/third"].map(repository);
    let bytes = content(9, 1000);
    let digest = stage.push(&from, &bytes).await;
    let mounted = stage.mount(&to, Some(&from.name), digest).await.unwrap();
    assert_eq!(mounted, MountOutcome::Mounted);
    assert_eq!(stage.pull(&to, digest, None).await.unwrap(), bytes);
    let mounted = stage.mount(&third, None, digest).await.unwrap();
    assert_eq!(mounted, MountOutcome::Mounted);

    let other = Bytes::from_static(b"not there yet");
    for from in [Some(&from.name), None] {
        let outcome = stage.mount(&to, from, sha256(&other)).await.unwrap();
        let MountOutcome::Session(session) = outcome else {
            panic!("mounted what is nowhere");
        };
        assert_eq!(session.offset, 0);
    }
    let outcome = stage.mount(&to, None, sha256(&other)).await.unwrap();
    let MountOutcome::Session(session) = outcome else {
        panic!("mounted what is nowhere");
    };
    stage
        .finish(&to, &session.upload, sha256(&other), sized(&other))
        .await
        .unwrap();
    assert_eq!(stage.pull(&to, sha256(&other), None).await.unwrap(), other);
}

pub(super) async fn a_deleted_blob_is_absent(stage: &Stage) {
    let at = repository("uploads/deleted");
    let bytes = content(10, 1000);
    let digest = stage.push(&at, &bytes).await;
    stage.delete(&at, digest).await.unwrap();
    let absent = stage.read(&at, digest, None).await.map(drop).unwrap_err();
    assert_eq!(absent.code(), Code::NotFound);
    let again = stage.delete(&at, digest).await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound);
    stage.push(&at, &bytes).await;
    assert_eq!(stage.pull(&at, digest, None).await.unwrap(), bytes);
}
