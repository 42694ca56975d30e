//! Upload sessions, each rule at a time.

use std::time::Duration;

use bytes::Bytes;
use meridian_chassis::config::ByteSize;
use meridian_clients::{BlobApi, BlobLocation, MountOutcome, Transfer, UploadError};
use meridian_oci::{Algorithm, ContentRange, Digest, UploadId};

use crate::harness::{
    World, broken, content, hanging, open, pull, push, ranged, repository, sha256, sized, streamed,
};

#[tokio::test]
async fn a_streamed_push_can_be_pulled() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a/b"));
    let bytes = content(1, 300_000);
    let session = open(service, &here).await;
    assert_eq!(session.offset, 0);
    let status = service
        .append(&here, &session.upload, streamed(&bytes))
        .await
        .unwrap();
    assert_eq!(status.offset, 300_000);
    let digest = sha256(&bytes);
    assert!(
        pull(service, &here, digest, None).await.is_err(),
        "visible before the end"
    );
    service
        .finish(&here, &session.upload, digest, Transfer::empty())
        .await
        .unwrap();
    assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
    assert_eq!(
        service.stat(&here, digest, false).await.unwrap().size,
        300_000
    );
    life.stop().await;
}

#[tokio::test]
async fn chunks_are_taken_in_order_only() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(2, 5000);
    let session = open(service, &here).await;
    let first = ranged(&bytes.slice(..2000), 0);
    service.append(&here, &session.upload, first).await.unwrap();
    for start in [0, 1, 1999, 2001, u64::from(u32::MAX)] {
        let chunk = ranged(&bytes.slice(2000..), start);
        match service.append(&here, &session.upload, chunk).await {
            Err(UploadError::OutOfOrder(status)) => assert_eq!(status.offset, 2000),
            other => panic!("start {start}: {other:?}"),
        }
        let chunk = ranged(&bytes.slice(2000..), start);
        match service
            .finish(&here, &session.upload, sha256(&bytes), chunk)
            .await
        {
            Err(UploadError::OutOfOrder(status)) => assert_eq!(status.offset, 2000),
            other => panic!("start {start}: {other:?}"),
        }
    }
    let last = ranged(&bytes.slice(2000..), 2000);
    service
        .finish(&here, &session.upload, sha256(&bytes), last)
        .await
        .unwrap();
    assert_eq!(
        pull(service, &here, sha256(&bytes), None).await.unwrap(),
        bytes
    );
}

#[tokio::test]
async fn a_chunk_of_another_length_is_rolled_back() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(3, 9000);
    let session = open(service, &here).await;
    let head = streamed(&bytes.slice(..3000));
    service.append(&here, &session.upload, head).await.unwrap();
    let range = |end| Some(ContentRange::new(3000, end).unwrap());
    let body = || streamed(&bytes.slice(3000..)).body;
    for (range, length) in [
        (None, Some(5999)),
        (None, Some(6001)),
        (range(8998), None),
        (range(9000), None),
        (range(8999), Some(5999)),
        (range(8998), Some(5999)),
    ] {
        let chunk = Transfer {
            range,
            length,
            body: body(),
        };
        let refused = service.append(&here, &session.upload, chunk).await;
        assert!(
            matches!(refused, Err(UploadError::LengthDiffers { .. })),
            "{range:?} {length:?}"
        );
        let status = service.status(&here, &session.upload).await.unwrap();
        assert_eq!(status.offset, 3000);
    }
    let rest = sized(&bytes.slice(3000..));
    service
        .finish(&here, &session.upload, sha256(&bytes), rest)
        .await
        .unwrap();
    assert_eq!(
        pull(service, &here, sha256(&bytes), None).await.unwrap(),
        bytes
    );
}

#[tokio::test]
async fn what_arrived_before_a_body_broke_off_is_kept_unless_it_had_a_range() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(4, 10_000);
    for (length, range, kept) in [
        (None, None, 4000),
        (Some(10_000), None, 4000),
        (Some(10_000), Some((0, 9999)), 0),
    ] {
        let session = open(service, &here).await;
        let chunk = Transfer {
            range: range.map(|(start, end)| ContentRange::new(start, end).unwrap()),
            length,
            body: broken(&bytes.slice(..4000)),
        };
        let outcome = service.append(&here, &session.upload, chunk).await;
        assert!(matches!(outcome, Err(UploadError::Body(_))));
        let status = service.status(&here, &session.upload).await.unwrap();
        assert_eq!(status.offset, kept, "{length:?} {range:?}");
        let rest = bytes.slice(usize::try_from(kept).unwrap()..);
        let last = ranged(&rest, kept);
        service
            .finish(&here, &session.upload, sha256(&bytes), last)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_last_chunk_that_breaks_off_is_kept_too() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    for (len, kept) in [(10_000, 4000), (60, 40)] {
        let bytes = content(5, len);
        let session = open(service, &here).await;
        let chunk = Transfer {
            range: None,
            length: Some(len as u64),
            body: broken(&bytes.slice(..kept)),
        };
        let outcome = service
            .finish(&here, &session.upload, sha256(&bytes), chunk)
            .await;
        assert!(matches!(outcome, Err(UploadError::Body(_))));
        let status = service.status(&here, &session.upload).await.unwrap();
        assert_eq!(status.offset, kept as u64);
        let rest = sized(&bytes.slice(kept..));
        service
            .finish(&here, &session.upload, sha256(&bytes), rest)
            .await
            .unwrap();
        assert_eq!(
            pull(service, &here, sha256(&bytes), None).await.unwrap(),
            bytes
        );
    }
}

#[tokio::test]
async fn a_request_that_goes_away_leaves_what_it_sent() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(6, 4000);
    let session = open(service, &here).await;
    let chunk = Transfer {
        range: None,
        length: None,
        body: hanging(&bytes),
    };
    let append = service.append(&here, &session.upload, chunk);
    let given_up = tokio::time::timeout(Duration::from_millis(50), append).await;
    assert!(given_up.is_err());
    let digest = sha256(&bytes);
    let mut outcome = Err(UploadError::Busy);
    for _ in 0..1000 {
        outcome = service
            .finish(&here, &session.upload, digest, Transfer::empty())
            .await;
        if !matches!(outcome, Err(UploadError::Busy)) {
            break;
        }
        tokio::task::yield_now().await;
    }
    outcome.unwrap();
    assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_second_writer_is_told_that_the_session_is_busy() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let session = open(service, &here).await;
    let bytes = content(7, 100);
    let chunk = Transfer {
        range: None,
        length: None,
        body: hanging(&bytes),
    };
    let hanging = service.append(&here, &session.upload, chunk);
    let second = async {
        tokio::task::yield_now().await;
        let append = service.append(&here, &session.upload, sized(&bytes)).await;
        let finish = service
            .finish(&here, &session.upload, sha256(&bytes), Transfer::empty())
            .await;
        let status = service.status(&here, &session.upload).await.unwrap();
        (append, finish, status)
    };
    tokio::select! {
        _ = hanging => panic!("the body hangs"),
        (append, finish, status) = second => {
            assert!(matches!(append, Err(UploadError::Busy)));
            assert!(matches!(finish, Err(UploadError::Busy)));
            assert_eq!(status.offset, 0, "nothing is acknowledged yet");
        }
    }
}

#[tokio::test]
async fn wrong_content_ends_the_session_and_leaves_nothing() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    for len in [10, 5000] {
        for streams in [false, true] {
            let bytes = content(8, len);
            let digest = sha256(b"something else");
            let session = open(service, &here).await;
            let last = if streams {
                service
                    .append(&here, &session.upload, streamed(&bytes))
                    .await
                    .unwrap();
                Transfer::empty()
            } else {
                sized(&bytes)
            };
            let refused = service.finish(&here, &session.upload, digest, last).await;
            assert!(matches!(refused, Err(UploadError::DigestDiffers)));
            assert!(pull(service, &here, digest, None).await.is_err());
            assert!(pull(service, &here, sha256(&bytes), None).await.is_err());
            let status = service.status(&here, &session.upload).await;
            assert!(matches!(status, Err(UploadError::Unknown)));
        }
    }
    assert!(world.store.list(None, 10).await.unwrap().is_empty());
    assert_eq!(service.open_sessions(), 0);
}

#[tokio::test]
async fn a_finished_session_can_be_finished_again_and_nothing_else() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    for len in [10, 5000] {
        let bytes = content(9, len);
        let digest = sha256(&bytes);
        let session = open(service, &here).await;
        service
            .finish(&here, &session.upload, digest, sized(&bytes))
            .await
            .unwrap();
        for chunk in [sized(&bytes), Transfer::empty()] {
            service
                .finish(&here, &session.upload, digest, chunk)
                .await
                .unwrap();
        }
        let other = push(service, &here, &content(10, len)).await.unwrap();
        let unknown = |outcome| matches!(outcome, Err(UploadError::Unknown));
        let finish = service
            .finish(&here, &session.upload, other, Transfer::empty())
            .await;
        assert!(unknown(finish), "another digest");
        let append = service.append(&here, &session.upload, sized(&bytes)).await;
        assert!(unknown(append.map(|_| ())));
        let status = service.status(&here, &session.upload).await;
        assert!(unknown(status.map(|_| ())));
        assert!(unknown(service.cancel(&here, &session.upload).await));
    }
}

#[tokio::test]
async fn a_session_is_cancelled_once() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let fresh = open(service, &here).await;
    let begun = open(service, &here).await;
    let bytes = content(11, 5000);
    service
        .append(&here, &begun.upload, streamed(&bytes))
        .await
        .unwrap();
    for session in [fresh, begun] {
        service.cancel(&here, &session.upload).await.unwrap();
        let again = service.cancel(&here, &session.upload).await;
        assert!(matches!(again, Err(UploadError::Unknown)));
        let append = service
            .append(&here, &session.upload, streamed(&bytes))
            .await;
        assert!(matches!(append, Err(UploadError::Unknown)));
        let status = service.status(&here, &session.upload).await;
        assert!(matches!(status, Err(UploadError::Unknown)));
    }
    assert!(world.store.list(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cancel_wins_over_a_writer_that_hangs() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let session = open(service, &here).await;
    let chunk = Transfer {
        range: None,
        length: None,
        body: hanging(&content(12, 5000)),
    };
    let append = service.append(&here, &session.upload, chunk);
    let cancel = async {
        tokio::task::yield_now().await;
        service.cancel(&here, &session.upload).await
    };
    let (append, cancel) = tokio::join!(append, cancel);
    assert!(append.is_err());
    cancel.unwrap();
    assert!(world.store.list(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_id_is_unknown_elsewhere_and_when_altered() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let session = open(service, &here).await;
    let elsewhere = repository("a/b");
    let status = service.status(&elsewhere, &session.upload).await;
    assert!(matches!(status, Err(UploadError::Unknown)));
    let append = service
        .append(&elsewhere, &session.upload, sized(&content(1, 9)))
        .await;
    assert!(matches!(append, Err(UploadError::Unknown)));
    let text = session.upload.as_str();
    let guess: UploadId = format!("{}AAAA", &text[..text.len() - 4]).parse().unwrap();
    let status = service.status(&here, &guess).await;
    assert!(matches!(status, Err(UploadError::Unknown)));
    assert_eq!(service.open_sessions(), 0, "a guess costs no memory");
}

#[tokio::test]
async fn a_blob_that_is_too_large_is_refused_before_and_while_it_is_read() {
    let mut world = World::new();
    world.config.uploads.max_blob_bytes = ByteSize::kib(8);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let large = content(13, 9000);
    let announced = service.upload(&here, sha256(&large), sized(&large)).await;
    assert!(matches!(
        announced,
        Err(UploadError::TooLarge { limit: 8192 })
    ));
    let session = open(service, &here).await;
    let half = streamed(&large.slice(..5000));
    service.append(&here, &session.upload, half).await.unwrap();
    for chunk in [streamed(&large.slice(..5000)), sized(&large.slice(..5000))] {
        let refused = service.append(&here, &session.upload, chunk).await;
        assert!(matches!(
            refused,
            Err(UploadError::TooLarge { limit: 8192 })
        ));
        let status = service.status(&here, &session.upload).await.unwrap();
        assert_eq!(status.offset, 5000);
    }
    let huge = Transfer {
        length: Some(u64::MAX),
        ..Transfer::empty()
    };
    let refused = service.append(&here, &session.upload, huge).await;
    assert!(matches!(refused, Err(UploadError::TooLarge { .. })));
}

#[tokio::test]
async fn sessions_that_hold_bytes_are_bounded() {
    let mut world = World::new();
    world.config.uploads.max_open = 3;
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(14, 100);
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(open(service, &here).await);
    }
    for session in &sessions[..3] {
        service
            .append(&here, &session.upload, streamed(&bytes))
            .await
            .unwrap();
    }
    let refused = service
        .append(&here, &sessions[3].upload, streamed(&bytes))
        .await;
    assert!(matches!(refused, Err(UploadError::TooManySessions)));
    service.cancel(&here, &sessions[0].upload).await.unwrap();
    service
        .append(&here, &sessions[3].upload, streamed(&bytes))
        .await
        .unwrap();
}

#[tokio::test]
async fn small_blobs_go_into_the_record_and_large_ones_into_the_store() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    for (len, inline) in [(0, true), (1, true), (64, true), (65, false), (5000, false)] {
        for streams in [false, true] {
            let bytes = content(100 + len, usize::try_from(len).unwrap());
            let digest = sha256(&bytes);
            let session = open(service, &here).await;
            let last = if streams {
                service
                    .append(&here, &session.upload, streamed(&bytes))
                    .await
                    .unwrap();
                Transfer::empty()
            } else {
                streamed(&bytes)
            };
            service
                .finish(&here, &session.upload, digest, last)
                .await
                .unwrap();
            let location = world.metadata.location(digest).unwrap();
            assert_eq!(matches!(location, BlobLocation::Inline(_)), inline, "{len}");
            assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
        }
    }
    let objects = world.store.list(None, 10).await.unwrap();
    assert!(objects.iter().all(|object| object.finished), "{objects:?}");
    // The second upload of a stored blob is doomed, and gone with the next run.
    service.collect().await.unwrap();
    assert_eq!(world.store.list(None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_small_push_is_one_write_and_touches_no_store() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    push(service, &here, &content(15, 10)).await.unwrap();
    let before = world
        .metadata
        .writes
        .load(std::sync::atomic::Ordering::SeqCst);
    let session = open(service, &here).await;
    let bytes = content(16, 10);
    service
        .finish(&here, &session.upload, sha256(&bytes), sized(&bytes))
        .await
        .unwrap();
    let after = world
        .metadata
        .writes
        .load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(after - before, 1);
    assert!(world.store.list(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn sha512_is_verified_also_when_the_session_began_with_sha256() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    for len in [10, 5000] {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for streams in [false, true] {
                let bytes = content(17, len);
                let right = Digest::of(Algorithm::Sha512, &bytes);
                let wrong = Digest::of(Algorithm::Sha512, b"else");
                for digest in [wrong, right] {
                    let session = service.start(&here, algorithm).await.unwrap();
                    let last = if streams {
                        let chunk = streamed(&bytes);
                        service.append(&here, &session.upload, chunk).await.unwrap();
                        Transfer::empty()
                    } else {
                        sized(&bytes)
                    };
                    let done = service.finish(&here, &session.upload, digest, last).await;
                    assert_eq!(done.is_ok(), digest == right);
                }
                assert_eq!(pull(service, &here, right, None).await.unwrap(), bytes);
                assert!(pull(service, &here, sha256(&bytes), None).await.is_err());
            }
        }
    }
}

#[tokio::test]
async fn a_mount_moves_no_bytes_and_falls_back_to_a_session() {
    let world = World::new();
    let life = world.start().await;
    let (service, here, there) = (&life.service, repository("a"), repository("b"));
    let bytes = content(18, 5000);
    let digest = push(service, &here, &bytes).await.unwrap();
    let mounted = service
        .mount(&there, Some(&here.name), digest)
        .await
        .unwrap();
    assert_eq!(mounted, MountOutcome::Mounted);
    assert_eq!(pull(service, &there, digest, None).await.unwrap(), bytes);
    let absent = sha256(b"absent");
    for from in [Some(&here.name), None] {
        let outcome = service.mount(&there, from, absent).await.unwrap();
        let MountOutcome::Session(session) = outcome else {
            panic!("nothing to mount");
        };
        assert_eq!(session.offset, 0);
        assert_eq!(
            service.status(&there, &session.upload).await.unwrap(),
            session
        );
    }
}

#[tokio::test]
async fn a_body_of_no_bytes_changes_nothing() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let session = open(service, &here).await;
    for chunk in [Transfer::empty(), streamed(&Bytes::new())] {
        let status = service.append(&here, &session.upload, chunk).await.unwrap();
        assert_eq!(status.offset, 0);
    }
    assert!(world.store.list(None, 10).await.unwrap().is_empty());
    let digest = sha256(b"");
    service
        .finish(&here, &session.upload, digest, Transfer::empty())
        .await
        .unwrap();
    assert_eq!(
        pull(service, &here, digest, None).await.unwrap(),
        Bytes::new()
    );
}

#[tokio::test]
async fn an_upload_in_one_step_that_fails_leaves_nothing() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(19, 5000);
    let digest = sha256(&bytes);
    for body in [
        broken(&bytes.slice(..4000)),
        streamed(&bytes.slice(..4000)).body,
    ] {
        let body = Transfer {
            body,
            ..sized(&bytes)
        };
        assert!(service.upload(&here, digest, body).await.is_err());
    }
    let wrong = service.upload(&here, sha256(b"else"), sized(&bytes)).await;
    assert!(matches!(wrong, Err(UploadError::DigestDiffers)));
    assert!(world.store.list(None, 10).await.unwrap().is_empty());
    assert_eq!(service.open_sessions(), 0);
}
