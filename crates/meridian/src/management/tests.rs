//! The document and the routes: one says what the other does.

use std::time::Duration;

use axum::body::Body;
use axum::http::uri::Scheme;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use meridian_chassis::http::{Origin, Peer};
use serde_json::Value;
use tower::ServiceExt;

use super::checks::CheckConfig;
use super::*;

/// Where the document is kept, for those who do not run a registry.
const KEPT: &str = "../../proto/management/v1/openapi.json";

fn router() -> Router {
    let registry: RegistryName = "default".parse().unwrap();
    let checks = Checks::new(&CheckConfig::default(), &[], false, registry.clone(), None);
    let managed = Managed {
        metadata: None,
        blobs: None,
        regions: None,
        webhooks: None,
        registry,
        checks: checks.unwrap(),
    };
    super::router(managed, None)
}

/// A request as the owner of the socket sends it.
fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    let origin = Origin {
        peer: Peer::Unix,
        client: None,
        scheme: Scheme::HTTP,
        authority: None,
        introduction: None,
    };
    let request = Request::builder().method(method).uri(path);
    let mut request = request.body(body.into()).unwrap();
    request.extensions_mut().insert(origin);
    request
}

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, Option<String>, Value) {
    let answer = router.clone().oneshot(request).await.unwrap();
    let allow = answer.headers().get("allow");
    let allow = allow.map(|value| value.to_str().unwrap().to_owned());
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20)
        .await
        .unwrap();
    (
        status,
        allow,
        serde_json::from_slice(&body).unwrap_or_default(),
    )
}

fn document() -> Value {
    let (_, document) = document::complete(resources());
    serde_json::to_value(&document).unwrap()
}

/// The methods of each path, as the document has them.
fn described() -> Vec<(String, Vec<String>)> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            (path.clone(), methods.map(|it| it.to_uppercase()).collect())
        })
        .collect()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the file is written only when somebody says so"
)]
fn the_document_is_the_one_that_is_kept() {
    let mut text = serde_json::to_string_pretty(&document()).unwrap();
    text.push('\n');
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT);
    if std::env::var("GOLDEN").is_ok_and(|wish| wish == "write") {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let kept: Value = serde_json::from_str(&kept).unwrap_or_default();
    assert!(
        kept == document(),
        "{KEPT} is another document; if the change is meant, and only adds: \
         GOLDEN=write cargo test -p meridian the_document"
    );
}

#[tokio::test]
async fn every_route_that_is_described_is_there_and_has_no_method_more() {
    let router = router();
    assert!(described().len() >= 9);
    for (path, methods) in described() {
        let path = path
            .replace("{node}", "0000000000000001")
            .replace("{repository}", "team%2Fapp")
            .replace("{reference}", "latest");
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let (status, allow, body) = ask(&router, request(method, &path, "")).await;
            let is_described = methods.iter().any(|it| it == method);
            assert_eq!(
                status != StatusCode::METHOD_NOT_ALLOWED,
                is_described,
                "{method} {path}"
            );
            assert_ne!(
                body["type"], "urn:meridian:problem:not-found",
                "{method} {path}"
            );
            if !is_described {
                let allow = allow.unwrap();
                let allowed = allow.split(',').map(str::trim).filter(|it| *it != "HEAD");
                let mut allowed: Vec<_> = allowed.collect();
                let mut wanted: Vec<_> = methods.iter().map(String::as_str).collect();
                allowed.sort_unstable();
                wanted.sort_unstable();
                assert_eq!(allowed, wanted, "{path}");
            }
        }
    }
}

#[test]
fn every_operation_is_described_and_may_fail() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}: {operation}");
            assert!(operation["summary"].is_string(), "{place}");
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert_eq!(
                problem["schema"]["$ref"], "#/components/schemas/Problem",
                "{place}"
            );
            assert!(operation["responses"]["200"].is_object(), "{place}");
            let name = operation["operationId"].as_str().unwrap().to_owned();
            assert!(names.insert(name), "the name is taken: {place}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_or_makes_no_sense_is_a_problem_that_says_so() {
    let router = router();
    let json = |method, path, body: &str| {
        let mut request = request(method, path, body.to_owned());
        let kind = HeaderValue::from_static("application/json");
        request.headers_mut().insert("content-type", kind);
        request
    };
    let large = format!("{{\"endpoints\":[\"{}\"]}}", "x".repeat(70_000));
    for (request, status, word) in [
        (request("GET", "/", ""), 404, "/v1/openapi.json"),
        (request("GET", "/v1/cluster/", ""), 404, "openapi"),
        (request("GET", "/v2/", ""), 404, "openapi"),
        (
            request("POST", "/v1/cluster", "{}"),
            415,
            "application/json",
        ),
        (json("POST", "/v1/cluster", "{"), 400, "EOF"),
        (
            json("POST", "/v1/cluster", "{}"),
            400,
            "missing field `endpoints`",
        ),
        (
            json("POST", "/v1/cluster", r#"{"endpoints":7}"#),
            400,
            "endpoints",
        ),
        (
            json("POST", "/v1/cluster", r#"{"endpoint":[]}"#),
            400,
            "unknown field `endpoint`",
        ),
        (json("POST", "/v1/cluster", &large), 413, "65536"),
        (request("POST", "/v1/collections?dry=true", ""), 400, "dry"),
        (
            request("POST", "/v1/collections?dry_run=perhaps", ""),
            400,
            "dry_run",
        ),
        (
            request("GET", "/v1/cluster/members?limit=0", ""),
            404,
            "metadata service",
        ),
        (
            request("DELETE", "/v1/cluster/members/leader", ""),
            400,
            "16 hexadecimal",
        ),
        (request("DELETE", "/v1/cluster/members/%ff", ""), 400, ""),
        (request("GET", "/v1/events", ""), 404, "metadata service"),
        (request("POST", "/v1/collections", ""), 404, "blob service"),
        (
            request("POST", "/v1/checks", ""),
            404,
            "management.check.frontend",
        ),
    ] {
        let place = format!("{} {}", request.method(), request.uri());
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{place}");
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "application/problem+json", "{place}");
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20)
            .await
            .unwrap();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem.status, status, "{place}");
        assert!(problem.detail.contains(word), "{place}: {problem:?}");
    }
}

#[tokio::test]
async fn a_stranger_learns_nothing_of_what_there_is() {
    let router = router();
    let mut answers = Vec::new();
    for path in ["/v1/cluster", "/v1/openapi.json", "/v1/nothing", "/"] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let mut request = request(method.as_str(), path, "");
            let origin = request.extensions_mut().get_mut::<Origin>().unwrap();
            origin.peer = Peer::Tcp(([192, 0, 2, 1], 1).into());
            origin.client = Some([192, 0, 2, 1].into());
            let answer = tokio::time::timeout(Duration::from_secs(10), ask(&router, request));
            answers.push(answer.await.unwrap());
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
}
