//! The probes of an orchestrator. What they show to everybody is one word; the conditions behind it
//! are for operators, and are shown elsewhere.

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use meridian_chassis::health::Readiness;

use crate::respond::{self, Answer};

/// The answer, if `path` is that of a probe: `/livez` says that this process answers at all,
/// `/readyz` that requests should be sent here.
pub(crate) fn probe(method: &Method, path: &str, readiness: &Readiness) -> Option<Answer> {
    let ok = match path {
        "/livez" => true,
        "/readyz" => readiness.is_ready(),
        _ => return None,
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
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
