//! Blobs uploaded bit by bit.

use std::task::Poll;

use bytes::Bytes;
use futures::{StreamExt, stream};
use meridian_oci::UploadId;

use super::{
    Stage, broken, content, pieces, ranged, repository, sha256, sized, streamed, when_free,
};
use crate::{Transfer, UploadError};

pub(super) async fn chunks_make_a_blob(stage: &Stage) {
    let at = repository("sessions/chunks");
    let bytes = content(20, 1_000_000);
    let upload = stage.session(&at).await.upload;
    let cuts = [0, 10, 11, 300_000, 1_000_000];
    for (n, cut) in cuts.windows(2).enumerate() {
        let chunk = bytes.slice(cut[0]..cut[1]);
        let body = if n % 2 == 0 {
            ranged(&chunk, cut[0] as u64)
        } else {
            streamed(&chunk)
        };
        let status = stage.append(&at, &upload, body).await.unwrap();
        assert_eq!((&status.upload, status.offset), (&upload, cut[1] as u64));
        assert_eq!(stage.status(&at, &upload).await.unwrap(), status);
    }
    let digest = sha256(&bytes);
    stage
        .finish(&at, &upload, digest, Transfer::empty())
        .await
        .unwrap();
    assert_eq!(stage.pull(&at, digest, None).await.unwrap(), bytes);
}

pub(super) async fn a_session_takes_the_last_chunk_with_its_end(stage: &Stage) {
    let at = repository("sessions/last");
    let bytes = content(21, 600_000);
    let upload = stage.session(&at).await.upload;
    let (first, last) = (bytes.slice(..400_000), bytes.slice(400_000..));
    stage.append(&at, &upload, sized(&first)).await.unwrap();
    let digest = sha256(&bytes);
    stage
        .finish(&at, &upload, digest, ranged(&last, 400_000))
        .await
        .unwrap();
    assert_eq!(stage.pull(&at, digest, None).await.unwrap(), bytes);
}

pub(super) async fn a_chunk_out_of_order_learns_the_offset(stage: &Stage) {
    let at = repository("sessions/order");
    let bytes = content(22, 1000);
    let upload = stage.session(&at).await.upload;
    stage.append(&at, &upload, sized(&bytes)).await.unwrap();
    for start in [0, 999, 1001] {
        let refused = stage
            .append(&at, &upload, ranged(&bytes, start))
            .await
            .unwrap_err();
        let UploadError::OutOfOrder(status) = refused else {
            panic!("{refused}");
        };
        assert_eq!((&status.upload, status.offset), (&upload, 1000));
    }
    let status = stage
        .append(&at, &upload, ranged(&bytes, 1000))
        .await
        .unwrap();
    assert_eq!(status.offset, 2000);
}

pub(super) async fn what_came_before_a_break_is_kept(stage: &Stage) {
    let at = repository("sessions/break");
    let bytes = content(23, 500_000);
    let upload = stage.session(&at).await.upload;
    let body = Transfer {
        body: broken(&bytes.slice(..300_000)),
        ..streamed(&bytes)
    };
    let refused = stage.append(&at, &upload, body).await.unwrap_err();
    assert!(matches!(refused, UploadError::Body(_)), "{refused}");
    let status = when_free(async || stage.status(&at, &upload).await)
        .await
        .unwrap();
    assert_eq!(status.offset, 300_000);
    let digest = sha256(&bytes);
    stage
        .finish(&at, &upload, digest, streamed(&bytes.slice(300_000..)))
        .await
        .unwrap();
    assert_eq!(stage.pull(&at, digest, None).await.unwrap(), bytes);
}

pub(super) async fn a_chunk_with_a_range_counts_whole_or_not_at_all(stage: &Stage) {
    let at = repository("sessions/whole");
    let bytes = content(24, 500_000);
    let upload = stage.session(&at).await.upload;
    stage
        .append(&at, &upload, sized(&bytes.slice(..1000)))
        .await
        .unwrap();
    let rest = bytes.slice(1000..);
    let body = Transfer {
        body: broken(&rest.slice(..300_000)),
        ..ranged(&rest, 1000)
    };
    let refused = stage.append(&at, &upload, body).await.unwrap_err();
    assert!(matches!(refused, UploadError::Body(_)), "{refused}");
    let short = Transfer {
        body: streamed(&rest.slice(1..)).body,
        ..ranged(&rest, 1000)
    };
    let refused = stage.append(&at, &upload, short).await.unwrap_err();
    assert!(
        matches!(refused, UploadError::LengthDiffers { .. }),
        "{refused}"
    );
    assert_eq!(stage.status(&at, &upload).await.unwrap().offset, 1000);
    let digest = sha256(&bytes);
    stage
        .finish(&at, &upload, digest, ranged(&rest, 1000))
        .await
        .unwrap();
    assert_eq!(stage.pull(&at, digest, None).await.unwrap(), bytes);
}

pub(super) async fn a_session_has_one_writer(stage: &Stage) {
    let at = repository("sessions/busy");
    // More than what can be on the way: when all of it is taken, some has arrived.
    let bytes = content(25, 8 * 1024 * 1024);
    let upload = stage.session(&at).await.upload;
    let (asked, mut asks) = tokio::sync::mpsc::channel(1);
    let waiting = stream::poll_fn(move |_| {
        let _is_full = asked.try_send(());
        Poll::Pending
    });
    let body = Transfer {
        body: Box::pin(stream::iter(pieces(&bytes, 100_000)).chain(waiting)),
        ..streamed(&bytes)
    };
    let mut first = stage.append(&at, &upload, body);
    tokio::select! {
        done = &mut first => panic!("done: {done:?}"),
        _asked = asks.recv() => {}
    }
    let second = stage.append(&at, &upload, sized(&bytes.slice(..10))).await;
    assert!(matches!(second, Err(UploadError::Busy)), "{second:?}");
    // A sender that goes away frees the session; how much of it had arrived is not certain.
    drop(first);
    let status = when_free(async || {
        let status = stage.status(&at, &upload).await?;
        let chunk = ranged(&Bytes::from_static(b"x"), status.offset);
        match stage.append(&at, &upload, chunk).await {
            // More was kept in between.
            Err(UploadError::OutOfOrder(_)) => Err(UploadError::Busy),
            outcome => outcome,
        }
    });
    let offset = usize::try_from(status.await.unwrap().offset).unwrap() - 1;
    assert!(offset <= bytes.len());
    let whole = [&bytes[..offset], b"x"].concat();
    stage
        .finish(&at, &upload, sha256(&whole), Transfer::empty())
        .await
        .unwrap();
}

pub(super) async fn a_session_is_known_in_its_repository_only(stage: &Stage) {
    let (at, other) = (repository("sessions/here"), repository("sessions/there"));
    let bytes = content(26, 100);
    let upload = stage.session(&at).await.upload;
    let invented: UploadId = "0123456789abcdef-0123456789abcdef".parse().unwrap();
    for (at, upload) in [(&other, &upload), (&at, &invented)] {
        let status = stage.status(at, upload).await;
        assert!(matches!(status, Err(UploadError::Unknown)));
        let append = stage.append(at, upload, sized(&bytes)).await;
        assert!(matches!(append, Err(UploadError::Unknown)));
        let finish = stage
            .finish(at, upload, sha256(&bytes), sized(&bytes))
            .await;
        assert!(matches!(finish, Err(UploadError::Unknown)));
        assert!(matches!(
            stage.cancel(at, upload).await,
            Err(UploadError::Unknown)
        ));
    }
    assert_eq!(stage.status(&at, &upload).await.unwrap().offset, 0);
}

pub(super) async fn a_cancelled_session_is_over(stage: &Stage) {
    let at = repository("sessions/cancelled");
    let bytes = content(27, 300_000);
    let upload = stage.session(&at).await.upload;
    stage.append(&at, &upload, sized(&bytes)).await.unwrap();
    stage.cancel(&at, &upload).await.unwrap();
    assert!(matches!(
        stage.status(&at, &upload).await,
        Err(UploadError::Unknown)
    ));
    let append = stage.append(&at, &upload, sized(&bytes)).await;
    assert!(matches!(append, Err(UploadError::Unknown)));
    assert!(matches!(
        stage.cancel(&at, &upload).await,
        Err(UploadError::Unknown)
    ));
}

pub(super) async fn a_finished_session_is_finished_again(stage: &Stage) {
    let at = repository("sessions/again");
    let bytes = content(28, 300_000);
    let digest = sha256(&bytes);
    let upload = stage.session(&at).await.upload;
    stage.append(&at, &upload, sized(&bytes)).await.unwrap();
    for _ in 0..2 {
        stage
            .finish(&at, &upload, digest, Transfer::empty())
            .await
            .unwrap();
    }
    assert!(matches!(
        stage.status(&at, &upload).await,
        Err(UploadError::Unknown)
    ));
    let other = stage
        .finish(&at, &upload, sha256(b"other"), Transfer::empty())
        .await;
    assert!(matches!(other, Err(UploadError::Unknown)));
}
