//! An answer that refuses, on its way to the wire.
//!
//! The body is `{"errors":[{"code","message","detail"}]}` (distribution-spec "Error Codes"), with
//! all three members in each entry, because some clients expect `detail` to be there. Messages and
//! details are made of our own words, digests and numbers only.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use http::StatusCode;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    RETRY_AFTER,
};
use meridian_clients::{RequestId, Stale, UploadStatus};
use meridian_clock::Region;
use meridian_error::Retry;
use meridian_oci::{Digest, ErrorCode, RepositoryName};

use crate::api::uploads;
use crate::respond::{self, Answer};

/// What stands in the way is listed up to here. What is missing from a manifest is listed in full:
/// the manifest was longer.
const MAX_LISTED: usize = 1000;

/// How long to wait when nobody knows better.
const SOON: Duration = Duration::from_secs(1);

/// An answer that refuses.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: ErrorCode,
    message: Cow<'static, str>,
    detail: Detail,
    headers: HeaderMap,
}

/// What an entry says beyond its message.
#[derive(Debug)]
pub(super) enum Detail {
    /// Nothing.
    Nothing,
    /// One entry for each digest.
    Each(Vec<Digest>),
    /// The manifests that stand in the way.
    NeededBy(Vec<Digest>),
    /// The greatest number or length that is taken.
    Limit(u64),
    /// The id under which the log tells more.
    Request,
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        code: ErrorCode,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            detail: Detail::Nothing,
            headers: HeaderMap::new(),
        }
    }

    /// 400
    pub(super) fn bad(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404
    pub(super) fn absent(code: ErrorCode, message: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 503
    pub(super) fn unavailable(message: &'static str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Unavailable,
            message,
        )
        .with(Detail::Request)
        .after(Retry::Yes { after: None })
    }

    pub(super) fn with(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// Says when to come again, in whole seconds, rounded up.
    pub(super) fn after(self, retry: Retry) -> Self {
        let Retry::Yes { after } = retry else {
            return self;
        };
        let after = after.unwrap_or(SOON).max(SOON);
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.header(RETRY_AFTER, seconds.into())
    }

    /// Names the methods that the resource has.
    pub(super) fn allowing(self, methods: &'static str) -> Self {
        self.header(ALLOW, HeaderValue::from_static(methods))
    }

    /// Names the length of which a range was asked for.
    pub(super) fn of_size(self, size: u64) -> Self {
        self.header(CONTENT_RANGE, respond::value(format!("bytes */{size}")))
    }

    /// Names what the tag points at, so that the client need not ask.
    pub(super) fn holding(self, current: Option<Digest>) -> Self {
        match current {
            Some(digest) => self.header(ETAG, respond::value(format!("\"{digest}\""))),
            None => self,
        }
    }

    /// Says where the session is and how far it has come, so that the client can resume.
    pub(super) fn positioned(
        mut self,
        region: Option<Region>,
        repository: &RepositoryName,
        status: &UploadStatus,
    ) -> Self {
        uploads::position(&mut self.headers, region, repository, status);
        self
    }

    /// Says which regions may know better.
    pub(super) fn confessing(mut self, behind: &[Stale]) -> Self {
        respond::confess(&mut self.headers, behind.iter().copied());
        self
    }

    fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn into_answer(self, id: RequestId) -> Answer {
        let body = self.body(id);
        let mut answer = Answer::new(body.into());
        *answer.status_mut() = self.status;
        *answer.headers_mut() = self.headers;
        answer.headers_mut().insert(CONTENT_TYPE, respond::JSON);
        answer
            .headers_mut()
            .insert(CACHE_CONTROL, respond::NO_STORE);
        answer
    }

    fn body(&self, id: RequestId) -> String {
        let mut body = String::with_capacity(160);
        body.push_str("{\"errors\":[");
        match &self.detail {
            Detail::Each(digests) if !digests.is_empty() => {
                for digest in digests {
                    self.entry(&mut body, format_args!("{{\"digest\":\"{digest}\"}}"));
                }
            }
            _ => self.entry(&mut body, format_args!("{}", self.detail.text(id))),
        }
        body.pop();
        body.push_str("]}");
        body
    }

    /// Appends an entry and a comma. `Debug` quotes our plain words as JSON would.
    fn entry(&self, body: &mut String, detail: std::fmt::Arguments<'_>) {
        let Self { code, message, .. } = self;
        write!(
            body,
            "{{\"code\":\"{code}\",\"message\":{message:?},\"detail\":{detail}}},"
        )
        .expect("writing to a string does not fail");
    }
}

// === impl Detail ===

impl Detail {
    fn text(&self, id: RequestId) -> Cow<'static, str> {
        match self {
            Self::Nothing | Self::Each(_) => "{}".into(),
            Self::NeededBy(digests) => {
                let listed: Vec<String> = digests
                    .iter()
                    .take(MAX_LISTED)
                    .map(|digest| format!("\"{digest}\""))
                    .collect();
                format!("{{\"neededBy\":[{}]}}", listed.join(",")).into()
            }
            Self::Limit(limit) => format!("{{\"limit\":{limit}}}").into(),
            Self::Request => format!("{{\"requestId\":\"{id}\"}}").into(),
        }
    }
}
