//! URLs that clients are sent to.

use std::time::Duration;

use bytes::Bytes;
use harness::s3::S3Server;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use meridian_blobstore::{MAX_PRESIGNED, Presign, Presigned, S3BlobStore};
use meridian_error::{Classify, Code};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{content, key, put};

/// Fetches a URL as anybody would.
async fn fetch(url: &str, headers: &[(String, String)]) -> (StatusCode, Bytes) {
    let uri: Uri = url.parse().unwrap();
    let authority = uri.authority().unwrap().as_str();
    let stream = TcpStream::connect(authority).await.unwrap();
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let path = uri.path_and_query().unwrap().as_str();
    let mut request = Request::get(path).header("host", authority);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status();
    (
        status,
        answer.into_body().collect().await.unwrap().to_bytes(),
    )
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_url_gives_one_object_to_whoever_has_it() {
    let server = S3Server::start().await;
    let store = server.store().await;
    let bytes = content(1, 300_000);
    put(&store, &key(1), &bytes).await;
    put(&store, &key(2), &bytes).await;
    let Presigned { url, headers } = store.presign_get(&key(1), None, MINUTE).await.unwrap();
    let (status, body) = fetch(&url, &headers).await;
    assert_eq!((status, body == bytes), (StatusCode::OK, true));
    // Its receiver may ask for a range of its own.
    let range = [("range".to_owned(), "bytes=5-9".to_owned())];
    let (status, body) = fetch(&url, &range).await;
    assert_eq!(
        (status, &body[..]),
        (StatusCode::PARTIAL_CONTENT, &bytes[5..10])
    );
    let other = url.replace(&key(1).to_string(), &key(2).to_string());
    assert_ne!(other, url);
    assert_eq!(fetch(&other, &headers).await.0, StatusCode::FORBIDDEN);

    let signed = store
        .presign_get(&key(1), Some(7..9), MINUTE)
        .await
        .unwrap();
    let (status, body) = fetch(&signed.url, &signed.headers).await;
    assert_eq!(
        (status, &body[..]),
        (StatusCode::PARTIAL_CONTENT, &bytes[7..9])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_for_where_clients_find_the_store_and_does_not_show() {
    let server = S3Server::start().await;
    let mut config = server.config();
    config.public_endpoint = Some("https://blobs.example".to_owned());
    let store = S3BlobStore::open(config).await.unwrap();
    let presigned = store.presign_get(&key(1), None, MINUTE).await.unwrap();
    assert!(presigned.url.starts_with("https://blobs.example/"));
    assert!(
        presigned.url.contains("X-Amz-Expires=60"),
        "{}",
        presigned.url
    );
    let shown = format!("{presigned:?}");
    assert!(
        !shown.contains("Signature") && shown.contains("***"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_lives_for_five_minutes_at_most() {
    let server = S3Server::start().await;
    let store = server.store().await;
    assert!(
        store
            .presign_get(&key(1), None, MAX_PRESIGNED)
            .await
            .is_ok()
    );
    let second = Duration::from_secs(1);
    for (range, expires) in [
        (None, Duration::ZERO),
        (None, MAX_PRESIGNED + second),
        (Some(5..5), second),
    ] {
        let refused = store
            .presign_get(&key(1), range, expires)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}
