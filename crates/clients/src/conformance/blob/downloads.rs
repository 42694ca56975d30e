//! Blobs read.

use std::time::Duration;

use futures::StreamExt;
use meridian_error::{Classify, Code};

use super::{Stage, content, gather, repository, sha256};
use crate::{BlobRead, Delivery, Handover, RepositoryPath};

pub(super) async fn a_range_yields_exactly_its_bytes(stage: &Stage) {
    let at = repository("downloads/ranges");
    let bytes = content(30, 1_000_000);
    let digest = stage.push(&at, &bytes).await;
    let size = bytes.len() as u64;
    for (range, from, to) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-262143", 0, 262_143),
        ("bytes=1-262145", 1, 262_145),
        ("bytes=999999-", 999_999, 999_999),
        ("bytes=500000-2000000", 500_000, 999_999),
        ("bytes=-300001", 699_999, 999_999),
        ("bytes=-2000000", 0, 999_999),
    ] {
        match stage.read(&at, digest, Some(range)).await.unwrap() {
            BlobRead::Part {
                size: whole,
                start,
                end_inclusive,
                body,
            } => {
                assert_eq!(
                    (whole, start, end_inclusive),
                    (size, from as u64, to as u64),
                    "{range}"
                );
                assert_eq!(
                    gather(body).await.unwrap(),
                    bytes.slice(from..=to),
                    "{range}"
                );
            }
            // A part that is all of it may be called so.
            BlobRead::Whole { size: whole, body } => {
                assert_eq!((whole, from, to as u64 + 1), (size, 0, size), "{range}");
                assert_eq!(gather(body).await.unwrap(), bytes);
            }
            BlobRead::Unsatisfiable { .. } => panic!("{range} lies within"),
        }
    }
    for range in [
        None,
        Some("bytes=x"),
        Some("items=0-1"),
        Some("bytes=0-1,5-6"),
    ] {
        let read = stage.read(&at, digest, range).await.unwrap();
        let BlobRead::Whole { size: whole, body } = read else {
            panic!("{range:?} means the whole");
        };
        assert_eq!(whole, size);
        assert_eq!(gather(body).await.unwrap(), bytes);
    }
    for range in ["bytes=1000000-", "bytes=-0"] {
        let read = stage.read(&at, digest, Some(range)).await.unwrap();
        let BlobRead::Unsatisfiable { size: whole } = read else {
            panic!("{range} lies outside");
        };
        assert_eq!(whole, size);
    }
}

pub(super) async fn what_is_absent_is_told_apart(stage: &Stage) {
    let at = repository("downloads/absent");
    stage.push(&at, &content(31, 10)).await;
    let nowhere = RepositoryPath {
        registry: "nowhere".parse().unwrap(),
        ..at.clone()
    };
    for at in [&at, &repository("downloads/nowhere"), &nowhere] {
        let stat = stage.stat(at, sha256(b"absent"), true).await.unwrap_err();
        assert_eq!(stat.code(), Code::NotFound);
        let read = stage.read(at, sha256(b"absent"), None).await;
        assert_eq!(read.map(drop).unwrap_err().code(), Code::NotFound);
        let deleted = stage.delete(at, sha256(b"absent")).await.unwrap_err();
        assert_eq!(deleted.code(), Code::NotFound);
    }
}

pub(super) async fn a_reader_may_stop_anywhere(stage: &Stage) {
    let at = repository("downloads/stopped");
    let bytes = content(32, 3_000_000);
    let digest = stage.push(&at, &bytes).await;
    for pieces in 0..4 {
        let BlobRead::Whole { mut body, .. } = stage.read(&at, digest, None).await.unwrap() else {
            panic!("no range was asked for");
        };
        let mut offset = 0;
        for _ in 0..pieces {
            let Some(piece) = body.next().await else {
                break;
            };
            let piece = piece.unwrap();
            assert_eq!(piece, bytes.slice(offset..offset + piece.len()));
            offset += piece.len();
        }
    }
    assert_eq!(stage.pull(&at, digest, None).await.unwrap(), bytes);
}

/// Whether anybody is sent elsewhere is the body's to decide; what is not there, and what nobody may
/// be sent for, is answered as a read would be.
pub(super) async fn a_reader_is_sent_only_for_what_is_there(stage: &Stage) {
    let at = repository("downloads/elsewhere");
    let bytes = content(33, 300_000);
    let digest = stage.push(&at, &bytes).await;
    let size = bytes.len() as u64;
    let wish = |at_least| Handover {
        at_least,
        by_link: true,
        presigned: Some(Duration::from_secs(60)),
    };
    match stage
        .deliver(&at, digest, None, wish(1))
        .await
        .unwrap()
        .delivery
    {
        Delivery::Here(BlobRead::Whole { body, .. }) => {
            assert_eq!(gather(body).await.unwrap(), bytes);
        }
        Delivery::Link { size: told } | Delivery::Presigned { size: told, .. } => {
            assert_eq!(told, size);
        }
        Delivery::Here(_) => panic!("no range was asked for"),
    }
    let small = stage.deliver(&at, digest, Some("bytes=3-6"), wish(size + 1));
    let Delivery::Here(BlobRead::Part { body, .. }) = small.await.unwrap().delivery else {
        panic!("it is too small, and a part was asked for");
    };
    assert_eq!(gather(body).await.unwrap(), bytes.slice(3..=6));
    let outside = stage.deliver(&at, digest, Some("bytes=300000-"), wish(1));
    assert!(matches!(
        outside.await.unwrap().delivery,
        Delivery::Here(BlobRead::Unsatisfiable { size: told }) if told == size
    ));
    let absent = stage.deliver(&at, sha256(b"absent"), None, wish(1)).await;
    assert_eq!(absent.map(drop).unwrap_err().code(), Code::NotFound);
}
