//! A blob as content of HTTP: what a GET or a HEAD of it answers, wherever it is answered.
//!
//! Owns the heads of those answers, the choice of the range that is obeyed, and bodies of a known
//! length. The frontend and the data endpoint of the blob service answer alike because both answer
//! from here, so a client that goes on with a download need not know where it began. Keeps the
//! invariants that bytes are never encoded or changed, and that a body is whole or visibly broken.
//! Leaves to its callers who may ask, that the blob is present, refusals, and how long an answer may
//! be kept.

mod body;
pub mod conditional;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use meridian_oci::Digest;

use crate::BlobRead;

pub use body::SizedBody;

/// The digest of the content that an answer is about.
pub const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const BYTES: HeaderValue = HeaderValue::from_static("bytes");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The range that was asked for lies outside of the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsatisfiable {
    /// The blob's length in bytes.
    pub size: u64,
}

/// Makes the answers about one blob.
#[derive(Debug, Clone)]
pub struct BlobContent<'a> {
    /// Which one.
    pub digest: &'a Digest,
    /// How long an answer may be kept, as `Cache-Control` says it.
    pub keep: HeaderValue,
}

/// The `Range` to obey. More than one header of that name is none.
#[must_use]
pub fn range<'a>(headers: &'a HeaderMap, digest: &Digest) -> Option<&'a str> {
    let mut ranges = headers.get_all(RANGE).into_iter();
    let range = ranges.next()?;
    if ranges.next().is_some() || !conditional::range_applies(headers, digest) {
        return None;
    }
    range.to_str().ok()
}

/// Adds `Docker-Content-Digest` and `ETag`, which share one allocation.
pub fn identify(headers: &mut HeaderMap, digest: &Digest) {
    let quoted = Bytes::from(format!("\"{digest}\""));
    headers.insert(DIGEST, value(quoted.slice(1..quoted.len() - 1)));
    headers.insert(ETAG, value(quoted));
}

/// A header value made of digests and numbers.
fn value(text: impl Into<Bytes>) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.into()).expect("digests and numbers are visible ASCII")
}

// === impl BlobContent ===

impl BlobContent<'_> {
    /// 200 with the blob, or 206 with a part of it.
    ///
    /// # Errors
    ///
    /// When it was asked for what lies outside of it.
    pub fn of(self, read: BlobRead) -> Result<Response<SizedBody>, Unsatisfiable> {
        match read {
            BlobRead::Whole { size, body } => {
                let body = SizedBody::new(size, body);
                Ok(self.answer(StatusCode::OK, body))
            }
            BlobRead::Part {
                size,
                start,
                end_inclusive,
                body,
            } => {
                let body = SizedBody::new(end_inclusive - start + 1, body);
                let mut answer = self.answer(StatusCode::PARTIAL_CONTENT, body);
                let part = value(format!("bytes {start}-{end_inclusive}/{size}"));
                answer.headers_mut().insert(CONTENT_RANGE, part);
                Ok(answer)
            }
            BlobRead::Unsatisfiable { size } => Err(Unsatisfiable { size }),
        }
    }

    /// What a HEAD of a blob of `size` bytes answers.
    #[must_use]
    pub fn head<B: Default>(self, size: u64) -> Response<B> {
        let mut answer = self.answer(StatusCode::OK, B::default());
        answer.headers_mut().insert(CONTENT_LENGTH, size.into());
        answer
    }

    /// 304: the client has it.
    #[must_use]
    pub fn not_modified<B: Default>(self) -> Response<B> {
        let mut answer = Response::new(B::default());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        identify(answer.headers_mut(), self.digest);
        answer.headers_mut().insert(CACHE_CONTROL, self.keep);
        answer
    }

    fn answer<B>(self, status: StatusCode, body: B) -> Response<B> {
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.reserve(12);
        headers.insert(CONTENT_TYPE, OCTETS);
        headers.insert(ACCEPT_RANGES, BYTES);
        headers.insert(CACHE_CONTROL, self.keep);
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        identify(headers, self.digest);
        answer
    }
}
