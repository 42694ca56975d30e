//! The API as clients see it, over a registry in memory and without a network: each endpoint, each
//! header, each status that some client compares literally.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod attributes;
mod blobs;
mod conditions;
mod failures;
mod hot_path;
mod lists;
mod manifests;
mod memory;
mod rates;
mod redirects;
mod regions;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::uri::Scheme;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use memory::Memory;
use meridian_cache::{Cache, MemoryCache, MemoryCacheConfig};
use meridian_chassis::Supervisor;
use meridian_chassis::http::{Origin, Peer};
use meridian_clients::ReadError;
use meridian_clock::SystemClock;
use meridian_frontend::{Backends, Config, Counters, Frontend, Regions, SteeringConfig};
use meridian_oci::{Algorithm, Digest};
use serde_json::{Value, json};
use tower::ServiceExt;

/// A registry and the API over it.
struct Registry {
    frontend: Frontend,
    memory: Arc<Memory>,
}

/// What a client gets.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// What the door says of a client at an address.
fn origin(client: Option<&str>) -> Origin {
    Origin {
        peer: Peer::Unix,
        client: client.map(|it| it.parse().unwrap()),
        scheme: Scheme::HTTPS,
        authority: None,
        introduction: None,
    }
}

/// Counters in memory, besides those of the region.
fn counters(shared: Option<Arc<dyn Cache>>) -> Counters {
    let own = MemoryCache::new(&MemoryCacheConfig::default(), SystemClock).unwrap();
    Counters {
        shared,
        own: Arc::new(own),
    }
}

// === impl Registry ===

impl Registry {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self::counting(config, counters(None))
    }

    fn counting(config: Config, counters: Counters) -> Self {
        Self::over(config, counters, Arc::default(), None)
    }

    fn over(
        config: Config,
        counters: Counters,
        memory: Arc<Memory>,
        regions: Option<Regions>,
    ) -> Self {
        let backends = Backends {
            metadata: Arc::clone(&memory) as _,
            blobs: Arc::clone(&memory) as _,
            links: None,
            counters,
            regions,
        };
        let supervisor = Supervisor::new();
        let readiness = supervisor.readiness().clone();
        let frontend = Frontend::new(&config, backends, readiness);
        Self { frontend, memory }
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let head = request.method() == http::Method::HEAD;
        let answer = self.frontend.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        assert_eq!(
            parts.headers["docker-distribution-api-version"],
            "registry/2.0"
        );
        assert_eq!(parts.headers["x-request-id"].len(), 32);
        if parts.status.is_client_error() && !head {
            assert_eq!(parts.headers["content-type"], "application/json");
        }
        Reply {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    async fn call(&self, line: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn get(&self, target: &str) -> Reply {
        self.call(&format!("GET {target}"), &[], "").await
    }

    async fn push_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = sha256(content);
        let line = format!("POST /v2/{repository}/blobs/uploads/?digest={digest}");
        let reply = self.call(&line, &[], content.to_vec()).await;
        assert_eq!(reply.status, 201);
        digest
    }

    /// Pushes an image of one configuration and one layer.
    async fn push_image(&self, repository: &str, tag: &str) -> (Digest, Vec<u8>) {
        let config = self.push_blob(repository, tag.as_bytes()).await;
        let layer = self.push_blob(repository, b"layer").await;
        let manifest = image(config, tag.len(), layer, "layer".len());
        let reply = self
            .put(&format!("{repository}/manifests/{tag}"), OCI, &manifest)
            .await;
        assert_eq!(reply.status, 201, "{:?}", reply.json());
        (sha256(&manifest), manifest)
    }

    async fn put(&self, path: &str, media_type: &str, manifest: &[u8]) -> Reply {
        let line = format!("PUT /v2/{path}");
        self.call(&line, &[("content-type", media_type)], manifest.to_vec())
            .await
    }
}

// === impl Reply ===

impl Reply {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
            .to_str()
            .unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The status and the code of the first error.
    fn refusal(&self) -> (u16, String) {
        let code = self.json()["errors"][0]["code"]
            .as_str()
            .unwrap()
            .to_owned();
        (self.status.as_u16(), code)
    }
}

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn sha256(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

fn image(config: Digest, config_size: usize, layer: Digest, layer_size: usize) -> Vec<u8> {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{config_size}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":{layer_size}}}]}}"#
    )
    .into_bytes()
}

/// An index that names nothing, with a marker that makes it unlike others.
fn index(marker: &str, subject: Option<&Digest>) -> Vec<u8> {
    let subject = subject.map_or_else(String::new, |digest| {
        format!(r#","subject":{{"mediaType":"{OCI}","digest":"{digest}","size":1}}"#)
    });
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"artifactType":"application/{marker}","annotations":{{"marker":"{marker}"}}{subject}}}"#
    )
    .into_bytes()
}

#[tokio::test]
async fn clients_are_sent_elsewhere_while_the_region_is_drained_or_fails() {
    let supervisor = Supervisor::new();
    let config = Config {
        steering: SteeringConfig {
            every: Duration::from_millis(2),
            ..SteeringConfig::default()
        },
        ..Config::default()
    };
    let registry = Registry::with(config);
    let before = registry.get("/healthz/region").await;
    assert_eq!(before.status, 503);
    assert_eq!(before.json(), json!({ "status": "starting" }));

    let memory = Arc::clone(&registry.memory);
    let registry = Registry {
        frontend: registry.frontend.watching(&supervisor),
        ..registry
    };
    let says = async |status: u16, wanted: Value| {
        let said = async {
            loop {
                let reply = registry.get("/healthz/region").await;
                if (reply.status.as_u16(), reply.json()) == (status, wanted.clone()) {
                    return reply;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let said = tokio::time::timeout(Duration::from_secs(10), said).await;
        said.unwrap_or_else(|_| panic!("never {status} {wanted}"))
    };
    let well = json!({ "status": "serving" });
    says(200, well.clone()).await;
    memory.drain(Some("new disks"));
    let drained = json!({ "status": "drained", "since_millis": 7, "reason": "new disks" });
    let reply = says(503, drained).await;
    assert_eq!(reply.header("retry-after"), "5");
    assert_eq!(reply.header("cache-control"), "no-store");
    memory.drain(None);
    says(200, well.clone()).await;
    memory.trouble(Some("s3.internal.example refuses"));
    says(503, json!({ "status": "failing", "failing": ["store"] })).await;
    memory.trouble(None);
    says(200, well).await;
    memory.fail(ReadError::DeadlineExceeded);
    says(503, json!({ "status": "failing", "failing": ["metadata"] })).await;
    let posted = registry.call("POST /healthz/region", &[], "").await;
    assert_eq!(posted.status, 404);
}

#[tokio::test]
async fn the_base_says_whether_requests_should_come() {
    let supervisor = Supervisor::new();
    let readiness = supervisor.readiness().clone();
    let registry = Registry::new();
    let backends = Backends {
        metadata: Arc::clone(&registry.memory) as _,
        blobs: Arc::clone(&registry.memory) as _,
        links: None,
        counters: counters(None),
        regions: None,
    };
    let frontend = Frontend::new(&Config::default(), backends, readiness.clone());
    let registry = Registry {
        frontend,
        ..registry
    };

    for path in ["/v2/", "/v2"] {
        assert_eq!(
            registry.get(path).await.refusal(),
            (503, "UNAVAILABLE".to_owned())
        );
    }
    assert_eq!(registry.get("/readyz").await.status, 503);
    assert_eq!(registry.get("/livez").await.status, 200);

    let stop = async {
        readiness.ready().await;
        for path in ["/v2/", "/v2"] {
            let reply = registry.get(path).await;
            assert_eq!(
                (reply.status.as_u16(), reply.body.as_slice()),
                (200, &b"{}"[..])
            );
        }
        assert_eq!(registry.get("/readyz").await.status, 200);
    };
    supervisor.run(stop, Duration::from_secs(1)).await.unwrap();
    assert_eq!(registry.get("/readyz").await.status, 503);
}

#[tokio::test]
async fn extensions_can_be_discovered() {
    let registry = Registry::new();
    for path in ["/v2/_oci/ext/discover", "/v2/a/b/_oci/ext/discover"] {
        let reply = registry.get(path).await;
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.json()["extensions"][0]["name"], "_oci");
    }
    let reply = registry.get("/v2/_other/ext/discover").await;
    assert_eq!(reply.refusal(), (404, "EXTENSION_UNKNOWN".to_owned()));
}

#[tokio::test]
async fn every_path_and_method_is_answered_in_form() {
    let registry = Registry::new();
    let digest = sha256(b"");
    for (line, status, allow) in [
        ("GET /", 404, None),
        ("GET /v2/a", 404, None),
        ("PUT /v2/", 405, Some("GET, HEAD")),
        (
            "OPTIONS /v2/a/manifests/x",
            405,
            Some("GET, HEAD, PUT, DELETE"),
        ),
        (
            "POST /v2/a/manifests/x",
            405,
            Some("GET, HEAD, PUT, DELETE"),
        ),
        (
            &format!("PUT /v2/a/blobs/{digest}"),
            405,
            Some("GET, HEAD, DELETE"),
        ),
        ("GET /v2/a/blobs/uploads/", 405, Some("POST")),
        (
            "POST /v2/a/blobs/uploads/0123456789abcdef",
            405,
            Some("GET, HEAD, PATCH, PUT, DELETE"),
        ),
        ("DELETE /v2/a/tags/list", 405, Some("GET, HEAD")),
        ("DELETE /v2/_catalog", 405, Some("GET, HEAD")),
        (
            &format!("POST /v2/a/referrers/{digest}"),
            405,
            Some("GET, HEAD"),
        ),
    ] {
        let reply = registry.call(line, &[], "").await;
        assert_eq!(reply.status, status, "{line}");
        assert_eq!(
            reply.headers.get("allow").map(|v| v.to_str().unwrap()),
            allow,
            "{line}"
        );
        assert_eq!(reply.json()["errors"][0]["code"], "UNSUPPORTED", "{line}");
    }
}
