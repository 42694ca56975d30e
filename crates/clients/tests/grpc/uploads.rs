//! Bodies on their way to a peer, and what it makes of them.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, poll, stream};
use meridian_clients::grpc::body::{self, UploadMessage, UploadPart};
use meridian_clients::grpc::failure::attach;
use meridian_clients::grpc::{GrpcBlobs, GrpcConfig, MAX_CHUNK};
use meridian_clients::{
    BlobApi, ByteStream, ReadError, Transfer, UploadError, UploadStatus, WriteError,
};
use meridian_oci::ContentRange;
use meridian_proto::meridian::blob::v1 as pb;
use tokio::sync::mpsc;
use tonic::{Response, Status, Streaming};

use super::harness::{Answer, Peer, ScriptedBlobs, config, repository, settled};

const UPLOAD: &str = "0123456789abcdef";

async fn peer<F>(append: F) -> Peer
where
    F: Fn(Streaming<pb::AppendRequest>) -> BoxFuture<'static, Answer<pb::UploadStatus>>,
    F: Send + Sync + 'static,
{
    let mut script = ScriptedBlobs::new();
    script.append = Arc::new(append);
    script.start().await
}

fn taken(offset: usize) -> Answer<pb::UploadStatus> {
    Ok(Response::new(pb::UploadStatus {
        upload: UPLOAD.to_owned(),
        offset: offset as u64,
        min_chunk: None,
    }))
}

fn chunk(body: ByteStream) -> Transfer {
    Transfer {
        range: None,
        length: None,
        body,
    }
}

fn endless(taken: &Arc<AtomicUsize>) -> ByteStream {
    let taken = Arc::clone(taken);
    Box::pin(stream::repeat_with(move || {
        taken.fetch_add(50_000, Ordering::SeqCst);
        Ok(Bytes::from_static(&[0; 50_000]))
    }))
}

async fn append(blobs: &GrpcBlobs, transfer: Transfer) -> Result<UploadStatus, UploadError> {
    blobs
        .append(&repository(), &UPLOAD.parse().unwrap(), transfer)
        .await
}

fn was_late(outcome: Result<UploadStatus, UploadError>) -> bool {
    matches!(
        outcome,
        Err(UploadError::Metadata(WriteError::Read(
            ReadError::DeadlineExceeded
        )))
    )
}

#[tokio::test]
async fn the_head_comes_first_and_the_end_last() {
    let (tell, mut told) = mpsc::channel(100);
    let peer = peer(move |mut messages| {
        let tell = tell.clone();
        Box::pin(async move {
            while let Some(message) = messages.message().await? {
                tell.send(message.part().unwrap()).await.unwrap();
            }
            taken(1)
        })
    })
    .await;
    let bytes = Bytes::from(vec![7; 2 * MAX_CHUNK + 1]);
    let pieces = [Ok(bytes.slice(..5)), Ok(Bytes::new()), Ok(bytes.slice(5..))];
    let transfer = Transfer {
        range: Some(ContentRange::new(3, 2 * MAX_CHUNK as u64 + 3).unwrap()),
        length: Some(2 * MAX_CHUNK as u64 + 1),
        body: Box::pin(stream::iter(pieces)),
    };
    append(&peer.blobs(&config()), transfer).await.unwrap();
    told.close();
    let Some(UploadPart::Head(head)) = told.recv().await else {
        panic!("the head is missing");
    };
    assert_eq!(head.upload, UPLOAD);
    let head = head.transfer.unwrap();
    assert_eq!(head.length, Some(2 * MAX_CHUNK as u64 + 1));
    assert_eq!(head.range.unwrap().start, 3);
    let mut sent = Vec::new();
    loop {
        match told.recv().await {
            Some(UploadPart::Chunk(chunk)) => {
                assert!((1..=MAX_CHUNK).contains(&chunk.len()));
                sent.extend_from_slice(&chunk);
            }
            Some(UploadPart::End(end)) => {
                assert_eq!(end.broken, None);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sent, bytes);
    assert!(told.recv().await.is_none());
}

/// How a body ends for its receiver.
async fn received(messages: Streaming<pb::AppendRequest>) -> (usize, io::Result<()>) {
    let (_, mut body) = body::receive(messages).await.unwrap();
    let mut length = 0;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => length += piece.len(),
            Err(error) => {
                assert!(body.next().await.is_none(), "an error is the end");
                return (length, Err(error));
            }
        }
    }
    (length, Ok(()))
}

#[tokio::test]
async fn a_broken_source_arrives_broken_and_comes_back_as_it_was() {
    let peer = peer(|messages| {
        Box::pin(async move {
            let (length, end) = received(messages).await;
            assert_eq!(length, 5);
            let error = UploadError::Body(end.unwrap_err());
            Err(attach(Status::invalid_argument(""), &error))
        })
    })
    .await;
    let why = io::Error::new(ErrorKind::ConnectionReset, "the client is gone");
    let pieces = [Ok(Bytes::from_static(b"abcde")), Err(why)];
    let outcome = append(
        &peer.blobs(&config()),
        chunk(Box::pin(stream::iter(pieces))),
    )
    .await;
    let Err(UploadError::Body(error)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(error.to_string(), "the client is gone");
}

#[tokio::test]
async fn a_sender_that_goes_away_is_no_end() {
    let (tell, mut told) = mpsc::channel(1);
    let peer = peer(move |messages| {
        let tell = tell.clone();
        // Beyond the call, which is dropped with its sender: as a service does that keeps what came.
        let work = async move { tell.send(received(messages).await).await.unwrap() };
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(work);
        tasks.detach_all();
        Box::pin(std::future::pending())
    })
    .await;
    let blobs = peer.blobs(&config());
    let pieces = stream::iter([Ok(Bytes::from_static(b"abcde"))]).chain(stream::pending());
    let (asked, mut asks) = mpsc::channel(1);
    let pieces = pieces.inspect(move |_| {
        let _is_full = asked.try_send(());
    });
    {
        let mut call = Pin::from(Box::new(append(&blobs, chunk(Box::pin(pieces)))));
        tokio::select! {
            _ = &mut call => panic!("nobody answers"),
            _ = asks.recv() => {}
        }
        // Until it is on its way.
        for _ in 0..100 {
            assert!(poll!(&mut call).is_pending());
            tokio::task::yield_now().await;
        }
    }
    let told = tokio::time::timeout(Duration::from_secs(5), told.recv());
    let (length, end) = told.await.unwrap().unwrap();
    assert!(length <= 5);
    let end = end.unwrap_err();
    assert!(
        matches!(
            end.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
        ),
        "{end:?}"
    );
}

#[tokio::test]
async fn an_answer_may_come_before_the_body_is_over() {
    let peer = peer(|messages| {
        Box::pin(async move {
            drop(messages);
            Err(attach(Status::failed_precondition(""), &UploadError::Busy))
        })
    })
    .await;
    let blobs = peer.blobs(&config());
    let taken = Arc::default();
    for body in [Box::pin(stream::pending()) as ByteStream, endless(&taken)] {
        let outcome = append(&blobs, chunk(body)).await;
        assert!(matches!(outcome, Err(UploadError::Busy)), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_source_is_asked_for_no_more_than_the_peer_takes() {
    let peer = peer(|messages| {
        Box::pin(async move {
            let _held = messages;
            std::future::pending().await
        })
    })
    .await;
    let taken = Arc::new(AtomicUsize::new(0));
    let blobs = peer.blobs(&config());
    let call = append(&blobs, chunk(endless(&taken)));
    let under_way = tokio::select! {
        _ = call => panic!("nobody answers"),
        under_way = settled(&taken) => under_way,
    };
    assert!(under_way <= 4 * 1024 * 1024, "{under_way} bytes");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_given_up() {
    let peer = peer(|messages| {
        Box::pin(async move {
            let _held = messages;
            std::future::pending().await
        })
    })
    .await;
    let config = GrpcConfig {
        stall_timeout: Duration::from_millis(200),
        ..config()
    };
    let blobs = peer.blobs(&config);
    assert!(was_late(
        append(&blobs, chunk(endless(&Arc::default()))).await
    ));
    // Nor may it be silent after the last byte.
    assert!(was_late(append(&blobs, Transfer::empty()).await));
}

#[tokio::test]
async fn a_slow_source_is_waited_for() {
    let peer = peer(|messages| {
        Box::pin(async move {
            let (length, end) = received(messages).await;
            end.unwrap();
            taken(length)
        })
    })
    .await;
    let config = GrpcConfig {
        stall_timeout: Duration::from_millis(150),
        deadline: Duration::from_millis(150),
        ..config()
    };
    let slow = stream::iter(0..4).then(|_| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(Bytes::from_static(b"ab"))
    });
    let status = append(&peer.blobs(&config), chunk(Box::pin(slow)))
        .await
        .unwrap();
    assert_eq!(status.offset, 8);
}

#[tokio::test]
async fn an_upload_without_a_head_is_refused() {
    let (tell, mut told) = mpsc::channel(4);
    let peer = peer(move |messages| {
        let tell = tell.clone();
        Box::pin(async move {
            let refused = body::receive(messages).await.map(drop).unwrap_err();
            tell.send(refused.to_string()).await.unwrap();
            taken(0)
        })
    })
    .await;
    let mut raw = pb::blob_client::BlobClient::connect(peer.endpoint())
        .await
        .unwrap();
    let chunk = pb::AppendRequest::new(UploadPart::Chunk(Bytes::from_static(b"x")));
    let nothing = pb::AppendRequest { message: None };
    for messages in [vec![chunk], vec![nothing], Vec::new()] {
        raw.append(tokio_stream::iter(messages)).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), "field head is missing");
    }
}
