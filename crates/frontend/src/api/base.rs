//! Whether this is a registry, and what it can do beyond the specification.

use axum::body::Body;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::error::Failure;
use crate::respond::{self, Answer};
use crate::router::Call;

/// `GET /v2/`: how clients find out that they speak to a registry.
pub(crate) fn check(call: Call<'_>) -> Result<Answer, Failure> {
    if !call.state.readiness.is_ready() {
        return Err(Failure::NotReady);
    }
    let mut answer = respond::with_body(StatusCode::OK, Body::from("{}"));
    answer.headers_mut().insert(CONTENT_TYPE, respond::JSON);
    Ok(answer)
}

/// `GET …/_oci/ext/discover` (distribution-spec "Extensions").
pub(crate) fn discover() -> Answer {
    const EXTENSIONS: &str = r#"{"extensions":[{"name":"_oci","url":"https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md","description":"discovery of extensions","endpoints":["_oci/ext/discover"]},{"name":"_catalog","url":"https://distribution.github.io/distribution/spec/api/#catalog","description":"list of repositories","endpoints":["_catalog"]}]}"#;
    let mut answer = respond::with_body(StatusCode::OK, Body::from(EXTENSIONS));
    answer.headers_mut().insert(CONTENT_TYPE, respond::JSON);
    answer
}
