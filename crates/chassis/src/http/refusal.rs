//! Requests that are answered before anybody asks a service.
//!
//! Owns what such an answer looks like: the status, and the JSON body that the OCI distribution
//! specification gives errors, or that of RFC 9457 where the service's own errors have that form. No
//! byte of a request is repeated in it. Leaves to whoever refuses
//! the reason for it, and to the service which headers all of its answers have.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::guard::Violation;

/// Why a request is refused here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Wire(Violation),
    #[error("the request head did not arrive in time")]
    SlowHead,
    #[error("the request body did not arrive in time")]
    SlowBody,
    #[error("the request must name exactly one host")]
    Host,
    #[error("this host is not served here")]
    Misdirected,
    #[error("this method is not supported")]
    Method,
    #[error("there are too many connections from this address")]
    AddressBusy,
    #[error("there are too many connections")]
    Busy,
    #[error("this port speaks TLS; use https")]
    Plain,
}

/// Gives an answer of ours the headers, and the form, that the service gives to all of its own.
#[derive(Clone, Default)]
pub(super) struct Stamp {
    stamping: Option<Arc<Stamping>>,
    pub(super) form: Form,
}

/// What an error looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// As the distribution specification has it.
    #[default]
    Distribution,
    /// As RFC 9457 has it.
    Problem,
}

type Stamping = dyn Fn(&mut HeaderMap) + Send + Sync;

#[derive(Serialize)]
struct Answer {
    errors: [Fault; 1],
}

#[derive(Serialize)]
struct Fault {
    code: &'static str,
    message: String,
    /// The specification lets it be anything. There is nothing to add.
    detail: Nothing,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Problem {
    title: &'static str,
    status: u16,
    detail: String,
}

/// The methods that some endpoint of ours may support.
pub(super) const METHODS: &str = "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS";

// === impl Refusal ===

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Wire(Violation::TargetTooLong) => StatusCode::URI_TOO_LONG,
            Self::Wire(Violation::HeadTooLarge | Violation::TooManyHeaders) => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::Wire(_) | Self::Host | Self::Plain => StatusCode::BAD_REQUEST,
            Self::SlowHead | Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::AddressBusy => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code, one of those that the distribution specification lists.
    const fn code(self) -> &'static str {
        match self {
            Self::AddressBusy | Self::Busy => "TOOMANYREQUESTS",
            Self::Wire(Violation::Target | Violation::TargetTooLong) => "NAME_INVALID",
            _ => "UNSUPPORTED",
        }
    }

    const fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((ALLOW, HeaderValue::from_static(METHODS))),
            Self::AddressBusy | Self::Busy => Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            _ => None,
        }
    }

    /// The answer. With `close`, the connection ends after it.
    pub(super) fn response(self, close: bool, stamp: &Stamp) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(self.body(stamp.form)));
        *response.status_mut() = self.status();
        *response.headers_mut() = self.headers(close, stamp);
        response
    }

    fn headers(self, close: bool, stamp: &Stamp) -> HeaderMap {
        let mut headers = HeaderMap::new();
        stamp.apply(&mut headers);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(stamp.form.media_type()),
        );
        headers.extend(self.header());
        if close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        headers
    }

    /// The answer as bytes, for a connection that no HTTP library takes up.
    pub(super) fn raw(self, stamp: &Stamp) -> Vec<u8> {
        let (status, body) = (self.status(), self.body(stamp.form));
        let mut raw = format!("HTTP/1.1 {status}\r\n").into_bytes();
        for (name, value) in &self.headers(true, stamp) {
            raw.extend_from_slice(name.as_str().as_bytes());
            raw.extend_from_slice(b": ");
            raw.extend_from_slice(value.as_bytes());
            raw.extend_from_slice(b"\r\n");
        }
        let length = body.len();
        raw.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
        raw.extend_from_slice(&body);
        raw
    }

    fn body(self, form: Form) -> Vec<u8> {
        let message = self.to_string();
        let body = match form {
            Form::Distribution => serde_json::to_vec(&Answer {
                errors: [Fault {
                    code: self.code(),
                    message,
                    detail: Nothing {},
                }],
            }),
            Form::Problem => serde_json::to_vec(&Problem {
                title: self.status().canonical_reason().unwrap_or("refused"),
                status: self.status().as_u16(),
                detail: message,
            }),
        };
        body.expect("text serialises")
    }
}

// === impl Form ===

impl Form {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Distribution => "application/json",
            Self::Problem => "application/problem+json",
        }
    }
}

// === impl Stamp ===

impl Stamp {
    pub(super) fn new(stamping: impl Fn(&mut HeaderMap) + Send + Sync + 'static) -> Self {
        Self {
            stamping: Some(Arc::new(stamping)),
            form: Form::default(),
        }
    }

    fn apply(&self, headers: &mut HeaderMap) {
        if let Some(stamping) = &self.stamping {
            stamping(headers);
        }
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamp")
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Self::Wire(violation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_shape_that_the_distribution_specification_gives_errors() {
        let body = Refusal::from(Violation::RepeatedLength).body(Form::Distribution);
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"errors":[{"code":"UNSUPPORTED","message":"there is more than one content length","detail":{}}]}"#
        );
    }

    #[test]
    fn an_answer_has_the_shape_of_a_problem_where_the_errors_of_the_service_have_it() {
        let stamp = Stamp {
            form: Form::Problem,
            ..Stamp::default()
        };
        let raw = String::from_utf8(Refusal::SlowHead.raw(&stamp)).unwrap();
        let body = r#"{"title":"Request Timeout","status":408,"detail":"the request head did not arrive in time"}"#;
        assert!(raw.ends_with(body), "{raw}");
        assert!(raw.contains("\r\ncontent-type: application/problem+json\r\n"));
    }

    #[test]
    fn limits_have_statuses_of_their_own() {
        for (refusal, status) in [
            (Refusal::Wire(Violation::BareLineFeed), 400),
            (Refusal::Wire(Violation::TargetTooLong), 414),
            (Refusal::Wire(Violation::HeadTooLarge), 431),
            (Refusal::Wire(Violation::TooManyHeaders), 431),
            (Refusal::SlowHead, 408),
            (Refusal::Misdirected, 421),
            (Refusal::AddressBusy, 429),
            (Refusal::Busy, 503),
        ] {
            assert_eq!(refusal.status(), status, "{refusal}");
        }
    }

    #[test]
    fn a_raw_answer_is_complete() {
        let raw = String::from_utf8(Refusal::Busy.raw(&Stamp::default())).unwrap();
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
        assert!(head.contains("\r\nconnection: close\r\n"));
        assert!(head.contains("\r\nretry-after: 1\r\n"));
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
    }

    #[test]
    fn the_headers_of_the_service_are_on_an_answer_whichever_way_it_goes_but_change_nothing_of_it()
    {
        let stamp = Stamp::new(|headers| {
            headers.insert("x-request-id", HeaderValue::from_static("7"));
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        });
        let response = Refusal::Host.response(true, &stamp);
        assert_eq!(response.headers()["x-request-id"], "7");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let raw = String::from_utf8(Refusal::AddressBusy.raw(&stamp)).unwrap();
        assert!(raw.contains("\r\nx-request-id: 7\r\n"), "{raw}");
        assert!(
            raw.contains("\r\ncontent-type: application/json\r\n"),
            "{raw}"
        );
    }
}
