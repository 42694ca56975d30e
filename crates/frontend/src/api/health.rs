//! The probes of an orchestrator, and of whoever sends clients to regions. What they show to everybody is a
//! word or two; the conditions behind them are for operators, and are shown elsewhere.

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use meridian_clock::Region;
use serde::Serialize;

use crate::respond::{self, Answer};
use crate::state::State;
use crate::steering::{Part, Verdict};

/// What is said about the region, as JSON.
#[derive(Serialize)]
struct RegionHealth {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
    /// What fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<Vec<Part>>,
    /// Since when it is drained, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_millis: Option<u64>,
    /// Why it is drained.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The answer, if `path` is that of a probe: `/livez` says that this process answers at all, `/readyz` that
/// requests should be sent here, `/healthz/region` that clients should be sent to this region.
pub(crate) fn probe(method: &Method, path: &str, state: &State) -> Option<Answer> {
    let ok = match path {
        "/livez" => true,
        "/readyz" => state.readiness.is_ready(),
        "/healthz/region" if is_read(method) => {
            return Some(region(state.steering.verdict(), state.here()));
        }
        _ => return None,
    };
    if !is_read(method) {
        return None;
    }
    let (status, word) = match ok {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    };
    let mut answer = respond::with_body(status, Body::from(word));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CACHE_CONTROL, respond::NO_STORE);
    Some(answer)
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn region(verdict: Verdict, region: Option<Region>) -> Answer {
    let mut health = RegionHealth {
        status: "serving",
        region,
        failing: None,
        since_millis: None,
        reason: None,
    };
    match verdict {
        Verdict::Serving => {}
        Verdict::Unknown => health.status = "starting",
        Verdict::Failing(parts) => {
            health.status = "failing";
            health.failing = Some(parts);
        }
        Verdict::Drained(drained) => {
            health.status = "drained";
            health.since_millis = Some(drained.millis);
            health.reason = Some(drained.reason);
        }
    }
    let is_serving = health.status == "serving";
    let document = serde_json::to_string(&health).expect("it is text, numbers and lists of words");
    let mut answer = respond::json(document);
    if !is_serving {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let soon = HeaderValue::from_static("5");
        answer.headers_mut().insert(RETRY_AFTER, soon);
    }
    answer
}
