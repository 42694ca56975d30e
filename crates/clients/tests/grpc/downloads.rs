//! Bodies that are not what their head promises.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use meridian_clients::grpc::failure::attach;
use meridian_clients::grpc::{GrpcBlobs, GrpcConfig};
use meridian_clients::{BlobApi, BlobRead, Delivery, Handover, ReadBlobError};
use meridian_error::{Classify, Code};
use meridian_oci::{Algorithm, Digest};
use meridian_proto::meridian::blob::v1 as pb;
use pb::read_head::Extent;
use pb::read_response::Message;
use tonic::Status;

use super::harness::{Messages, Peer, ScriptedBlobs, config, repository, settled};

fn head(size: u64, extent: Extent) -> Result<pb::ReadResponse, Status> {
    let extent = Some(extent);
    message(Message::Head(pb::ReadHead {
        size,
        extent,
        stale: None,
    }))
}

fn chunk(bytes: &'static [u8]) -> Result<pb::ReadResponse, Status> {
    message(Message::Chunk(Bytes::from_static(bytes)))
}

fn message(message: Message) -> Result<pb::ReadResponse, Status> {
    Ok(pb::ReadResponse {
        message: Some(message),
    })
}

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, b"it")
}

async fn peer<S>(messages: impl Fn() -> S + Send + Sync + 'static) -> Peer
where
    S: Stream<Item = Result<pb::ReadResponse, Status>> + Send + 'static,
{
    let mut script = ScriptedBlobs::new();
    script.read = Arc::new(move |_| Ok(Box::pin(messages()) as Messages));
    script.start().await
}

async fn open(blobs: &GrpcBlobs) -> Result<BlobRead, ReadBlobError> {
    blobs.read(&repository(), digest(), None).await
}

/// What a reader of the body of these messages gets: the bytes, and how it ends.
async fn read(messages: Vec<Result<pb::ReadResponse, Status>>) -> (Vec<u8>, io::Result<()>) {
    let peer = peer(move || stream::iter(messages.clone())).await;
    let body = match open(&peer.blobs(&config())).await.unwrap() {
        BlobRead::Whole { body, .. } | BlobRead::Part { body, .. } => body,
        BlobRead::Unsatisfiable { .. } => panic!("there is a body"),
    };
    let mut body = body;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => {
                assert!(body.next().await.is_none(), "an error is the end");
                return (bytes, Err(error));
            }
        }
    }
    (bytes, Ok(()))
}

fn whole(size: u64) -> Result<pb::ReadResponse, Status> {
    head(size, Extent::Whole(true))
}

#[tokio::test]
async fn exactly_the_promised_bytes_pass() {
    let (bytes, end) = read(vec![whole(5), chunk(b"ab"), chunk(b""), chunk(b"cde")]).await;
    assert_eq!((&*bytes, end.is_ok()), (&b"abcde"[..], true));
    let (bytes, end) = read(vec![whole(0)]).await;
    assert_eq!((&*bytes, end.is_ok()), (&b""[..], true));
    let part = Extent::Part(pb::Part {
        start: 7,
        end_inclusive: 8,
    });
    let (bytes, end) = read(vec![head(9, part), chunk(b"hi"), chunk(b"")]).await;
    assert_eq!((&*bytes, end.is_ok()), (&b"hi"[..], true));
}

#[tokio::test]
async fn too_few_bytes_are_no_end() {
    let (bytes, end) = read(vec![whole(6), chunk(b"ab"), chunk(b"cde")]).await;
    assert_eq!(bytes, b"abcde");
    assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn too_many_bytes_are_not_passed_on() {
    for more in [vec![chunk(b"cdef")], vec![chunk(b"cde"), chunk(b"f")]] {
        let messages = [whole(5), chunk(b"ab")].into_iter().chain(more);
        let (bytes, end) = read(messages.collect()).await;
        assert_eq!(bytes, b"ab");
        assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

#[tokio::test]
async fn a_failure_after_the_last_byte_is_still_one() {
    let failed = attach(
        Status::unavailable(""),
        &ReadBlobError::Unreadable {
            digest: digest(),
            source: io::Error::other("the disk is on fire"),
        },
    );
    for at in [0, 1, 2] {
        let mut messages = vec![chunk(b"ab"), chunk(b"cde")];
        messages.truncate(at);
        messages.push(Err(failed.clone()));
        messages.insert(0, whole(5));
        let (bytes, end) = read(messages).await;
        assert_eq!(bytes, [&b""[..], b"ab", b"ab"][at]);
        let end = end.unwrap_err();
        assert_eq!(end.kind(), ErrorKind::ConnectionAborted);
        assert!(
            meridian_error::chain(&end).contains("the disk is on fire"),
            "{end}"
        );
    }
}

#[tokio::test]
async fn a_message_without_bytes_is_an_error() {
    for odd in [whole(5), Ok(pb::ReadResponse { message: None })] {
        let (bytes, end) = read(vec![whole(5), chunk(b"ab"), odd, chunk(b"cde")]).await;
        assert_eq!(bytes, b"ab");
        assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

#[tokio::test]
async fn a_head_that_means_nothing_is_refused() {
    let part = |start, end_inclusive| {
        Extent::Part(pb::Part {
            start,
            end_inclusive,
        })
    };
    let no_extent = message(Message::Head(pb::ReadHead {
        size: 5,
        extent: None,
        stale: None,
    }));
    for first in [
        head(5, part(0, 5)),
        head(5, part(3, 2)),
        head(5, part(0, u64::MAX)),
        head(0, part(0, 0)),
        head(5, Extent::Whole(false)),
        no_extent,
        chunk(b"abcde"),
        Ok(pb::ReadResponse { message: None }),
    ] {
        let peer = peer(move || stream::iter([first.clone()])).await;
        let refused = open(&peer.blobs(&config())).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), Code::Internal, "{refused}");
    }
}

#[tokio::test]
async fn a_reader_is_sent_elsewhere_only_if_it_asked_for_that() {
    let url = "https://store.example/1?X-Amz-Signature=x";
    let handover = Handover {
        at_least: 1,
        by_link: true,
        presigned: Some(Duration::from_secs(60)),
    };
    for (extent, place) in [
        (Extent::Link(true), Some("a data endpoint")),
        (Extent::Presigned(url.to_owned()), Some(url)),
        (Extent::Link(false), None),
        (Extent::Presigned("ftp://store.example/1".to_owned()), None),
        (Extent::Presigned(String::new()), None),
    ] {
        let first = head(5, extent);
        let peer = peer(move || stream::iter([first.clone()])).await;
        let blobs = peer.blobs(&config());
        let unasked = open(&blobs).await.map(drop).unwrap_err();
        assert_eq!(unasked.code(), Code::Internal, "{unasked}");
        let asked = blobs.deliver(&repository(), digest(), None, handover).await;
        let found = match asked.map(|it| it.delivery) {
            Ok(Delivery::Link { size: 5 }) => Some("a data endpoint".to_owned()),
            Ok(Delivery::Presigned { size: 5, url }) => Some(url.expose().to_owned()),
            Ok(_) => panic!("there are no bytes"),
            Err(error) => {
                assert_eq!(error.code(), Code::Internal, "{error}");
                None
            }
        };
        assert_eq!(found.as_deref(), place);
    }
}

#[tokio::test]
async fn a_peer_that_sends_nothing_is_given_up() {
    let peer = peer(|| stream::iter([whole(5), chunk(b"ab")]).chain(stream::pending())).await;
    let config = GrpcConfig {
        stall_timeout: Duration::from_millis(200),
        ..config()
    };
    let BlobRead::Whole { mut body, .. } = open(&peer.blobs(&config)).await.unwrap() else {
        panic!("it is whole");
    };
    assert_eq!(body.next().await.unwrap().unwrap(), "ab");
    let error = body.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn a_peer_that_sends_no_head_is_given_up_at_the_deadline() {
    let peer = peer(stream::pending).await;
    let config = GrpcConfig {
        deadline: Duration::from_millis(200),
        ..config()
    };
    let error = open(&peer.blobs(&config)).await.map(drop).unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
}

/// Readers that stand still hold a bounded number of bytes each, and nobody else up.
#[tokio::test]
async fn a_body_that_nobody_takes_is_not_sent() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 1024;
    let sent = Arc::new(AtomicUsize::new(0));
    let peer = {
        let sent = Arc::clone(&sent);
        peer(move || {
            let sent = Arc::clone(&sent);
            let pieces = stream::iter(0..PIECES).map(move |_| {
                sent.fetch_add(PIECE, Ordering::SeqCst);
                message(Message::Chunk(Bytes::from_static(&[0; PIECE])))
            });
            stream::iter([whole((PIECE * PIECES) as u64)]).chain(pieces)
        })
        .await
    };
    let blobs = peer.blobs(&config());
    let mut held = Vec::new();
    for _ in 0..12 {
        held.push(open(&blobs).await.unwrap());
    }
    let under_way = settled(&sent).await / held.len();
    assert!(under_way <= 3 * 1024 * 1024, "{under_way} bytes each");
    let BlobRead::Whole { size, mut body } = open(&blobs).await.unwrap() else {
        panic!("it is whole");
    };
    let mut received = 0;
    while let Some(piece) = body.next().await {
        received += piece.unwrap().len() as u64;
    }
    assert_eq!(received, size);
}
