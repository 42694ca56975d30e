//! Peers that are not there, or only seem to be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meridian_clients::grpc::{GrpcConfig, GrpcMetadata};
use meridian_clients::{BlobApi, MetadataApi};
use meridian_error::{Classify, Code};
use meridian_oci::Algorithm;
use meridian_proto::meridian::metadata::v1 as pb;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tonic::Response;

use super::harness::{ScriptedMetadata, config, repository};

#[tokio::test]
async fn nobody_listens() {
    // Bound, so that nobody else gets the port, but not listened on.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    let config = GrpcConfig {
        deadline: Duration::from_millis(500),
        ..config()
    };
    let metadata = GrpcMetadata::at(&endpoint, &config).unwrap();
    let error = metadata.due(1).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_peer_that_comes_up_within_the_deadline_is_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let metadata = {
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        GrpcMetadata::at(&endpoint, &config()).unwrap()
    };
    // It accepts and hangs up, as a proxy does before its service is there.
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut script = ScriptedMetadata::new();
        script.read =
            Arc::new(|_, _| Box::pin(async { Ok(Response::new(pb::ListDueResponse::default())) }));
        for _ in 0..2 {
            drop(listener.accept().await.unwrap());
        }
        let peer = script.start().await;
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            let mut to = tokio::net::TcpStream::connect(peer.address).await.unwrap();
            let _ended = tokio::io::copy_bidirectional(&mut from, &mut to).await;
        }
    });
    assert_eq!(metadata.due(1).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_peer_that_is_gone_without_a_word_is_given_up_before_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut some = [0; 16];
        stream.read_exact(&mut some).await.unwrap();
        // The kernel answers for it, but nobody reads any more.
        std::future::pending::<()>().await;
        drop(stream);
    });
    let config = GrpcConfig {
        deadline: Duration::from_secs(30),
        ping_every: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(200),
        ..config()
    };
    let begun = Instant::now();
    let blobs = meridian_clients::grpc::GrpcBlobs::at(&endpoint, &config).unwrap();
    let error = blobs
        .start(&repository(), Algorithm::Sha256)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}
