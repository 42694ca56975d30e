//! The data endpoint: what follows a link.

mod handover;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use meridian_blob_service::{DataEndpoint, DataPorts};
use meridian_blobstore::BlobKey;
use meridian_chassis::metrics::Metrics;
use meridian_clients::link::{CLOCK_SKEW, Links};
use meridian_clients::{BlobApi, BlobLocation};
use meridian_clock::Clock;
use meridian_oci::Digest;
use tower::ServiceExt;

use crate::harness::{Life, World, content, pull, push, repository};

const MINUTE: Duration = Duration::from_secs(60);

fn links() -> Links {
    let key = "0123456789abcdef0123456789abcdef";
    Links::new("eu".parse().unwrap(), key.parse().unwrap())
}

/// A service, and a data endpoint beside it.
struct Endpoint {
    world: World,
    life: Life,
    endpoint: DataEndpoint,
    metrics: Metrics,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Headers of a request.
type Headers<'a> = &'a [(&'a str, &'a str)];

// === impl Endpoint ===

impl Endpoint {
    async fn new(world: World) -> Self {
        let life = world.start().await;
        let metrics = Metrics::default();
        let ports = DataPorts {
            blobs: Arc::clone(&life.service) as _,
            links: links(),
            clock: Arc::clone(&world.clock) as _,
        };
        let endpoint = DataEndpoint::new(ports, MINUTE, &metrics);
        Self {
            world,
            life,
            endpoint,
            metrics,
        }
    }

    async fn push(&self, bytes: &Bytes) -> Digest {
        push(&self.life.service, &repository("a"), bytes)
            .await
            .unwrap()
    }

    /// A link that is good for a minute.
    fn link(&self, digest: Digest) -> String {
        links().make(
            &repository("a"),
            &digest,
            self.world.clock.now_millis(),
            MINUTE,
        )
    }

    async fn ask(&self, method: Method, target: &str, headers: Headers<'_>) -> Reply {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let answer = self.endpoint.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        assert_eq!(parts.headers["x-request-id"].len(), 32);
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    async fn get(&self, target: &str, headers: Headers<'_>) -> Reply {
        self.ask(Method::GET, target, headers).await
    }

    async fn stop(self) {
        let Self { life, endpoint, .. } = self;
        drop(endpoint);
        life.stop().await;
    }
}

// === impl Reply ===

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The status, the code and the message of a refusal.
    fn refusal(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        (
            self.status.as_u16(),
            String::from_utf8(self.body.to_vec()).unwrap(),
        )
    }
}

#[tokio::test]
async fn a_link_gives_the_blob_or_the_part_that_is_asked_for() {
    let endpoint = Endpoint::new(World::new()).await;
    // The first rests with its record, the other in the store.
    for len in [50, 200_000] {
        let bytes = content(1, len);
        let digest = endpoint.push(&bytes).await;
        let link = endpoint.link(digest);
        let etag = format!("\"{digest}\"");
        let whole = endpoint.get(&link, &[("authorization", "Bearer x")]).await;
        assert_eq!((whole.status, &whole.body), (StatusCode::OK, &bytes));
        let head = endpoint.ask(Method::HEAD, &link, &[]).await;
        assert_eq!(head.header("content-length"), Some(&*len.to_string()));
        assert!(head.body.is_empty());
        for reply in [&whole, &head] {
            assert_eq!(reply.status, 200);
            assert_eq!(
                reply.header("content-type"),
                Some("application/octet-stream")
            );
            assert_eq!(
                reply.header("docker-content-digest"),
                Some(&*digest.to_string())
            );
            assert_eq!(reply.header("etag"), Some(&*etag));
            assert_eq!(reply.header("accept-ranges"), Some("bytes"));
            assert_eq!(reply.header("cache-control"), Some("private, max-age=60"));
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        }
        let parts: [(Headers<'_>, Range<usize>); 5] = [
            (&[("range", "bytes=0-0")], 0..1),
            (&[("range", "bytes=10-19")], 10..20),
            (&[("range", "bytes=10-")], 10..len),
            (&[("range", "bytes=-10")], len - 10..len),
            (&[("range", "bytes=10-"), ("if-range", &etag)], 10..len),
        ];
        for (headers, part) in parts {
            let reply = endpoint.get(&link, headers).await;
            assert_eq!(reply.status, 206, "{headers:?}");
            let (start, end) = (part.start, part.end - 1);
            let range = format!("bytes {start}-{end}/{len}");
            assert_eq!(reply.header("content-range"), Some(&*range));
            assert_eq!(reply.body, bytes.slice(part), "{headers:?}");
        }
        for headers in [
            &[("range", "bytes=0-1,3-4")][..],
            &[("range", "lines=0-1")],
            &[("range", "bytes=10-"), ("if-range", "\"another\"")],
            &[("range", "bytes=10-"), ("range", "bytes=20-")],
        ] {
            let reply = endpoint.get(&link, headers).await;
            assert_eq!(
                (reply.status, &reply.body),
                (StatusCode::OK, &bytes),
                "{headers:?}"
            );
        }
        for range in ["bytes=5-1", "bytes=-0", "bytes=999999999-"] {
            let reply = endpoint.get(&link, &[("range", range)]).await;
            let size = format!("bytes */{len}");
            assert_eq!(reply.header("content-range"), Some(&*size), "{range}");
            let (status, said) = reply.refusal();
            assert_eq!(
                (status, said.contains("RANGE_INVALID")),
                (416, true),
                "{said}"
            );
        }
        let current = endpoint.get(&link, &[("if-none-match", &etag)]).await;
        assert_eq!((current.status.as_u16(), current.body.len()), (304, 0));
        let differs = endpoint.get(&link, &[("if-match", "\"another\"")]).await;
        assert_eq!(differs.refusal().0, 412);
    }
    let text = endpoint.metrics.text();
    for line in [
        "meridian_blob_data_requests_total{method=\"GET\",status=\"206\"} 10",
        "meridian_blob_data_requests_total{method=\"HEAD\",status=\"200\"} 2",
        "meridian_blob_data_requests_total{method=\"GET\",status=\"416\"} 6",
    ] {
        assert!(
            text.lines().any(|it| it == line),
            "`{line}` is not in:\n{text}"
        );
    }
    // Five times the whole, and the parts.
    let sent = [50_u64, 200_000].map(|len| 5 * len + 1 + 10 + (len - 10) * 2 + 10);
    let line = format!("meridian_blob_data_sent_bytes_total {}", sent[0] + sent[1]);
    assert!(
        text.lines().any(|it| it == line),
        "`{line}` is not in:\n{text}"
    );
    endpoint.stop().await;
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let endpoint = Endpoint::new(World::new()).await;
    let digest = endpoint.push(&content(2, 100_000)).await;
    let link = endpoint.link(digest);
    let changed = link.replace("/a/", "/b/");
    let (path, _) = link.split_once('?').unwrap();
    for (target, status, words) in [
        (
            &*changed,
            403,
            &["DENIED", "changed", "ask the registry"][..],
        ),
        (path, 403, &["DENIED", "changed", "ask the registry"]),
        (&*format!("{link}&x=y"), 403, &["DENIED", "changed"]),
        ("/", 404, &["UNSUPPORTED", "no such endpoint"]),
        ("/v2/", 404, &["UNSUPPORTED", "ask the registry"]),
    ] {
        let (found, said) = endpoint.get(target, &[]).await.refusal();
        assert_eq!(found, status, "{target}");
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
        assert!(!said.contains("signature="), "{said}");
    }
    for method in [Method::PUT, Method::POST, Method::DELETE, Method::OPTIONS] {
        let refused = endpoint.ask(method, &link, &[]).await;
        assert_eq!(refused.header("allow"), Some("GET, HEAD"));
        assert_eq!(refused.refusal().0, 405);
    }
    assert_eq!(endpoint.get(&link, &[]).await.status, 200, "it is good yet");
    endpoint
        .world
        .pass(MINUTE + CLOCK_SKEW + Duration::from_secs(1));
    let (status, said) = endpoint.get(&link, &[]).await.refusal();
    assert_eq!(
        (status, said.contains("has expired")),
        (403, true),
        "{said}"
    );
    let again = endpoint.link(digest);
    assert_eq!(endpoint.get(&again, &[]).await.status, 200);
    // A frontend whose clock is an hour ahead.
    endpoint.world.pass(Duration::from_secs(3600));
    let ahead = endpoint.link(digest);
    endpoint.world.clock.set(1_000_000);
    let (status, said) = endpoint.get(&ahead, &[]).await.refusal();
    assert_eq!((status, said.contains("clocks")), (403, true), "{said}");
    endpoint.stop().await;
}

#[tokio::test]
async fn presence_is_asked_for_after_the_link_was_made() {
    let endpoint = Endpoint::new(World::new()).await;
    let bytes = content(3, 100_000);
    let digest = endpoint.push(&bytes).await;
    let (link, here) = (endpoint.link(digest), repository("a"));
    endpoint.life.service.delete(&here, digest).await.unwrap();
    for method in [Method::GET, Method::HEAD] {
        let (status, said) = endpoint.ask(method, &link, &[]).await.refusal();
        assert_eq!(
            (status, said.contains("BLOB_UNKNOWN")),
            (404, true),
            "{said}"
        );
    }
    // The same link gives the blob again when it is pushed again: it names the blob, not an object.
    endpoint.push(&bytes).await;
    assert_eq!(endpoint.get(&link, &[]).await.body, bytes);
    endpoint.stop().await;
}

#[tokio::test]
async fn what_must_not_be_pulled_is_not_by_a_link_that_was_made_before_either() {
    let endpoint = Endpoint::new(World::new()).await;
    let bytes = content(4, 100_000);
    let digest = endpoint.push(&bytes).await;
    let link = endpoint.link(digest);
    let is_unreadable = &endpoint.world.metadata.is_unreadable;
    is_unreadable.store(true, Ordering::Relaxed);
    let known = format!("\"{digest}\"");
    for (method, headers) in [
        (Method::GET, &[][..]),
        (Method::HEAD, &[]),
        (Method::GET, &[("if-none-match", &*known)]),
    ] {
        let (status, said) = endpoint.ask(method, &link, headers).await.refusal();
        assert_eq!(status, 405);
        assert!(said.contains("REGISTRY_DISALLOWED_OPERATION"), "{said}");
    }
    // Other regions copy it all the same, and pushes go on.
    let here = repository("a");
    let service = &endpoint.life.service;
    assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
    endpoint.push(&bytes).await;
    is_unreadable.store(false, Ordering::Relaxed);
    assert_eq!(endpoint.get(&link, &[]).await.body, bytes);
    endpoint.stop().await;
}

/// Where the bytes of a blob are recorded to be.
fn object(world: &World, digest: Digest) -> BlobKey {
    let Some(BlobLocation::Stored(key)) = world.metadata.location(digest) else {
        panic!("it is not in the store");
    };
    BlobKey {
        registry: key.registry.to_string().parse().unwrap(),
        epoch: key.epoch,
        generation: key.generation,
    }
}

#[tokio::test]
async fn lost_bytes_are_an_outage_and_not_an_absence() {
    let endpoint = Endpoint::new(World::new()).await;
    let digest = endpoint.push(&content(4, 100_000)).await;
    let link = endpoint.link(digest);
    let object = object(&endpoint.world, digest);
    endpoint.world.store.delete(&object).await.unwrap();
    let lost = endpoint.get(&link, &[]).await;
    assert_eq!(lost.header("retry-after"), Some("1"));
    let (status, said) = lost.refusal();
    assert_eq!(
        (status, said.contains("UNAVAILABLE")),
        (503, true),
        "{said}"
    );
    assert_eq!(endpoint.life.service.unreadable_blobs(), 1);
    endpoint.stop().await;
}
