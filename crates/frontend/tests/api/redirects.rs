//! Blobs that reach their clients some other way.

use meridian_chassis::config::ByteSize;
use meridian_clients::link::{Link, Links};
use meridian_clock::ManualClock;
use meridian_frontend::{BlobsConfig, LinkMaker, Rule, Way};

use super::*;

const NOW: u64 = 1_700_000_000_000;
const STORE: &str = "https://store.example/blobs/1?X-Amz-Signature=secret";

fn links() -> Links {
    let key = "0123456789abcdef0123456789abcdef";
    Links::new("eu".parse().unwrap(), key.parse().unwrap())
}

/// A registry that sends clients elsewhere for blobs of 10 bytes or more.
fn registry(blobs: BlobsConfig) -> Registry {
    let config = Config {
        blobs: BlobsConfig {
            min_size: ByteSize::bytes(10),
            data_url: Some("https://blobs.example".parse().unwrap()),
            ..blobs
        },
        ..Config::default()
    };
    let memory = Arc::new(Memory::default());
    let maker = LinkMaker {
        links: links(),
        clock: Arc::new(ManualClock::at(NOW)),
    };
    let backends = Backends {
        metadata: Arc::clone(&memory) as _,
        blobs: Arc::clone(&memory) as _,
        links: Some(maker),
        counters: counters(None),
        regions: None,
    };
    let readiness = Supervisor::new().readiness().clone();
    let frontend = Frontend::new(&config, backends, readiness);
    Registry { frontend, memory }
}

fn all(delivery: Way) -> BlobsConfig {
    BlobsConfig {
        delivery,
        ..BlobsConfig::default()
    }
}

/// What the link of a 307 says.
fn followed(reply: &Reply) -> Link {
    assert_eq!(
        reply.status,
        307,
        "{:?}",
        String::from_utf8_lossy(&reply.body)
    );
    let link = reply.header("location");
    let link = link.strip_prefix("https://blobs.example").unwrap();
    let (path, query) = link.split_once('?').unwrap();
    links().open(path, Some(query), NOW).unwrap()
}

#[tokio::test]
async fn a_client_is_sent_to_the_data_endpoint_with_a_link_to_the_blob() {
    let registry = registry(all(Way::Redirect));
    let digest = registry.push_blob("team/app", b"content of a layer").await;
    let path = format!("/v2/team/app/blobs/{digest}");
    let reply = registry.get(&path).await;
    let link = followed(&reply);
    assert_eq!((link.digest, link.left.as_secs()), (digest, 240));
    assert_eq!(link.repository.registry.as_str(), "default");
    assert_eq!(link.repository.name.as_str(), "team/app");
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(reply.body.is_empty() && !reply.headers.contains_key("etag"));
    // The range goes along with the client, and the condition of the range.
    let etag = format!("\"{digest}\"");
    for headers in [
        &[("range", "bytes=5-")][..],
        &[("range", "bytes=5-"), ("if-range", &etag)],
        &[("if-match", &etag)],
        &[("authorization", "Bearer x")],
    ] {
        let reply = registry.call(&format!("GET {path}"), headers, "").await;
        assert_eq!(followed(&reply).digest, digest, "{headers:?}");
    }
}

#[tokio::test]
async fn what_needs_no_bytes_is_answered_here() {
    let registry = registry(all(Way::Redirect));
    let digest = registry.push_blob("a", b"content of a layer").await;
    let path = format!("/v2/a/blobs/{digest}");
    let head = registry.call(&format!("HEAD {path}"), &[], "").await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length")),
        (200, "18")
    );
    let etag = format!("\"{digest}\"");
    let other = format!("\"{}\"", sha256(b"another"));
    for (headers, status) in [
        (&[("if-none-match", &*etag)][..], 304),
        (&[("if-match", &*other)], 412),
        (&[("range", "bytes=18-")], 416),
    ] {
        let reply = registry.call(&format!("GET {path}"), headers, "").await;
        assert_eq!(reply.status, status, "{headers:?}");
        assert!(!reply.headers.contains_key("location"));
    }
    let absent = format!("/v2/a/blobs/{}", sha256(b"another"));
    assert_eq!(
        registry.get(&absent).await.refusal(),
        (404, "BLOB_UNKNOWN".to_owned())
    );
    // Another request would cost more than the bytes.
    let small = registry.push_blob("a", b"9 bytes  ").await;
    let reply = registry.get(&format!("/v2/a/blobs/{small}")).await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.body),
        (200, &b"9 bytes  "[..])
    );
}

#[tokio::test]
async fn a_client_is_sent_to_the_store_where_that_signs_urls() {
    let registry = registry(all(Way::Presigned));
    let digest = registry.push_blob("a", b"content of a layer").await;
    let path = format!("/v2/a/blobs/{digest}");
    let linked = registry.get(&path).await;
    assert_eq!(followed(&linked).digest, digest, "it does not sign");
    registry.memory.presign(STORE);
    let reply = registry.get(&path).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("location")),
        (307, STORE)
    );
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    assert_eq!(reply.header("cache-control"), "no-store");
    // A store has other entity tags.
    let etag = format!("\"{digest}\"");
    let headers = [("range", "bytes=5-"), ("if-range", &*etag)];
    let reply = registry.call(&format!("GET {path}"), &headers, "").await;
    assert_eq!(followed(&reply).digest, digest);
}

#[tokio::test]
async fn the_clients_network_decides() {
    let registry = registry(BlobsConfig {
        rules: vec![Rule {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            delivery: Way::Redirect,
        }],
        ..BlobsConfig::default()
    });
    let digest = registry.push_blob("a", b"content of a layer").await;
    let path = format!("/v2/a/blobs/{digest}");
    for (client, status) in [
        (Some("10.1.2.3"), 307),
        (Some("192.0.2.1"), 200),
        (None, 200),
    ] {
        let request = Request::get(&path).extension(origin(client));
        let reply = registry.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, status, "{client:?}");
    }
}
