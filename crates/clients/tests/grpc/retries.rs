//! When a call is made again, and when not.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use meridian_clients::grpc::GrpcConfig;
use meridian_clients::grpc::failure::attach;
use meridian_clients::{
    BlobApi, Generations, MetadataApi, ReadError, RequestId, UploadError, WriteError,
};
use meridian_error::{Classify, Code};
use meridian_oci::Algorithm;
use meridian_proto::meridian::metadata::v1 as pb;
use tonic::{Response, Status};

use super::harness::{ScriptedBlobs, ScriptedMetadata, config, repository};

#[tokio::test]
async fn a_read_is_repeated_while_the_service_is_away() {
    let mut script = ScriptedMetadata::new();
    script.read = Arc::new(|nth, _| {
        Box::pin(async move {
            match nth {
                // One of somebody between us, one of the service itself.
                0 => Err(Status::unavailable("no route")),
                1 => {
                    let reason = "no leader is known".to_owned();
                    let error = ReadError::Unavailable { reason };
                    Err(attach(Status::unavailable(""), &error))
                }
                _ => Ok(Response::new(pb::ListDueResponse::default())),
            }
        })
    });
    let calls = Arc::clone(&script.calls);
    let peer = script.start().await;
    assert_eq!(peer.metadata(&config()).due(1).await.unwrap(), []);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_repeated_write_is_the_same_request() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut script = ScriptedMetadata::new();
    script.write = {
        let seen = Arc::clone(&seen);
        Arc::new(move |nth, request| {
            seen.lock().unwrap().push(request.into_inner());
            Box::pin(async move {
                if nth < 2 {
                    return Err(attach(
                        Status::unknown(""),
                        &WriteError::from(ReadError::DeadlineExceeded),
                    ));
                }
                Ok(Response::new(pb::ReserveGenerationsResponse {
                    epoch: 1,
                    first: 2,
                    count: 3,
                }))
            })
        })
    };
    let peer = script.start().await;
    let id = RequestId([7; 16]);
    let reserved = peer.metadata(&config()).reserve_generations(3, id).await;
    let expected = Generations {
        epoch: 1,
        first: 2,
        count: 3,
    };
    assert_eq!(reserved, Ok(expected));
    let seen = seen.lock().unwrap();
    let ids: BTreeSet<_> = seen
        .iter()
        .map(|it| it.request.clone().unwrap().id)
        .collect();
    assert_eq!((seen.len(), ids.len()), (3, 1));
    assert!(ids.contains(&id.0[..]));
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    let exhausted = WriteError::Exhausted {
        what: "the outbox is full".to_owned(),
        retry_after: Some(Duration::from_millis(1)),
    };
    let internal = ReadError::Internal {
        reason: "a bug".to_owned(),
    };
    for error in [
        exhausted,
        ReadError::RegistryUnknown.into(),
        internal.into(),
    ] {
        let mut script = ScriptedMetadata::new();
        script.write = {
            let error = error.clone();
            Arc::new(move |_, _| {
                let status = attach(Status::unknown(""), &error);
                Box::pin(async move { Err(status) })
            })
        };
        let calls = Arc::clone(&script.calls);
        let peer = script.start().await;
        let refused = peer
            .metadata(&config())
            .reserve_generations(1, RequestId([1; 16]))
            .await;
        assert_eq!(refused, Err(error));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn what_is_not_known_to_be_the_same_request_is_not_repeated() {
    let mut script = ScriptedBlobs::new();
    script.start = Arc::new(|_, _| Box::pin(async { Err(Status::unavailable("away")) }));
    let calls = Arc::clone(&script.calls);
    let peer = script.start().await;
    let refused = peer
        .blobs(&config())
        .start(&repository(), Algorithm::Sha256)
        .await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, UploadError::Metadata(_)), "{refused}");
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn opening_a_download_is_repeated() {
    let mut script = ScriptedBlobs::new();
    script.read = Arc::new(|nth| {
        Err(if nth < 2 {
            Status::unavailable("away")
        } else {
            attach(Status::not_found(""), &ReadError::BlobUnknown)
        })
    });
    let calls = Arc::clone(&script.calls);
    let peer = script.start().await;
    let digest = meridian_oci::Digest::of(Algorithm::Sha256, b"x");
    let refused = peer
        .blobs(&config())
        .read(&repository(), digest, None)
        .await;
    assert_eq!(refused.map(drop).unwrap_err().code(), Code::NotFound);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_so_does_the_work() {
    struct Abandoned(Arc<Mutex<Option<tokio::sync::oneshot::Sender<()>>>>);
    impl Drop for Abandoned {
        fn drop(&mut self) {
            if let Some(tell) = self.0.lock().unwrap().take() {
                let _nobody_asks = tell.send(());
            }
        }
    }
    let (tell, told) = tokio::sync::oneshot::channel();
    let abandoned = Arc::new(Mutex::new(Some(tell)));
    let timeout = Arc::new(Mutex::new(None));
    let mut script = ScriptedMetadata::new();
    script.read = {
        let timeout = Arc::clone(&timeout);
        Arc::new(move |_, request| {
            let header = request.metadata().get("grpc-timeout");
            *timeout.lock().unwrap() = header.map(|value| value.to_str().unwrap().to_owned());
            let guard = Abandoned(Arc::clone(&abandoned));
            Box::pin(async move {
                let _guard = guard;
                std::future::pending().await
            })
        })
    };
    let peer = script.start().await;
    let config = GrpcConfig {
        deadline: Duration::from_millis(300),
        ..config()
    };
    let begun = Instant::now();
    assert_eq!(
        peer.metadata(&config).due(1).await,
        Err(ReadError::DeadlineExceeded)
    );
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(
        timeout.lock().unwrap().is_some(),
        "the peer is told how long it has"
    );
    tokio::time::timeout(Duration::from_secs(5), told)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn repeating_has_a_budget() {
    let mut script = ScriptedMetadata::new();
    script.read = Arc::new(|_, _| Box::pin(async { Err(Status::unavailable("overloaded")) }));
    let calls = Arc::clone(&script.calls);
    let peer = script.start().await;
    let config = GrpcConfig {
        deadline: Duration::from_secs(2),
        ..config()
    };
    let client = peer.metadata(&config);
    let answers = join_all((0..300).map(|_| client.due(1))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap_err().code() == Code::Unavailable)
    );
    // A fifth of the calls, and what is allowed in any case; without a budget it were six times.
    let made = calls.load(Ordering::SeqCst);
    assert!((300..=300 + 60 + 60).contains(&made), "{made} calls");
}

#[tokio::test]
async fn an_answer_that_means_nothing_is_an_error() {
    let mut script = ScriptedMetadata::new();
    script.read = Arc::new(|_, _| {
        let due = vec![pb::Due::default()];
        Box::pin(async { Ok(Response::new(pb::ListDueResponse { due })) })
    });
    let calls = Arc::clone(&script.calls);
    let peer = script.start().await;
    let error = peer.metadata(&config()).due(1).await.unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert!(error.to_string().contains("due.blob"), "{error}");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
