//! What a handler takes from a request, or the problem that there is with it.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::{Kind, Problem};

/// The largest body.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// A body.
pub(super) struct Sent<T>(pub(super) T);

/// The query.
pub(super) struct Asked<T>(pub(super) T);

/// The names in the path: one, or several in their order.
pub(super) struct Named<T = String>(pub(super) T);

// === impl Sent ===

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                    Kind::TooLarge,
                    format!("the body has more than {MAX_BODY} bytes"),
                ),
                StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(
                    Kind::MediaType,
                    "send the header `Content-Type: application/json`",
                ),
                _ => Problem::new(Kind::Malformed, rejection.body_text()),
            }),
        }
    }
}

// === impl Asked ===

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Problem::new(Kind::Malformed, rejection.body_text())),
        }
    }
}

// === impl Named ===

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => Err(Problem::new(Kind::Malformed, rejection.body_text())),
        }
    }
}
