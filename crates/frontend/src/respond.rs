//! What answers have in common: their headers.
//!
//! Header names and fixed values are made once. `Content-Length` is left to the connection, which
//! knows the body's length.

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK, LOCATION,
};
use http::{Response, StatusCode};
use meridian_clients::{RequestId, Stale};
use meridian_clock::Region;
use meridian_oci::{Digest, MediaType};

pub(crate) use meridian_clients::content::{DIGEST, identify};

/// The id of an upload session.
pub(crate) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// The least length of a chunk.
pub(crate) const CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// The subject of a manifest, in the answer to its push.
pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// The tags that a push by digest set.
pub(crate) const TAG: HeaderName = HeaderName::from_static("oci-tag");
/// The filters that a listing of referrers obeyed.
pub(crate) const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// The version of a mutation.
pub(crate) const VERSION: HeaderName = HeaderName::from_static("meridian-version");

/// The least version that an answer may have.
pub(crate) const MIN_VERSION: HeaderName = HeaderName::from_static("meridian-min-version");
/// The region that answered.
const REGION: HeaderName = HeaderName::from_static("meridian-region");
/// Whose state the answer is from, and how old that may be.
const STALE: HeaderName = HeaderName::from_static("meridian-stale");

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const INDEX: HeaderValue =
    HeaderValue::from_static("application/vnd.oci.image.index.v1+json");

/// An answer that no cache may keep: what is absent now may be there in a moment.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// An answer that a cache may keep, but must ask about each time.
pub(crate) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// An answer of a handler.
pub(crate) type Answer = Response<Body>;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    with_body(status, Body::empty())
}

/// An answer with this body.
pub(crate) fn with_body(status: StatusCode, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().reserve(12);
    answer
}

/// A JSON document that changes.
pub(crate) fn json(document: String) -> Answer {
    let mut answer = with_body(StatusCode::OK, document.into());
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    answer
}

/// The headers that every answer has.
pub(crate) fn stamp(headers: &mut HeaderMap, id: RequestId) {
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    headers.insert(REQUEST_ID, request_id(id));
}

/// `Docker-Content-Digest` alone, of content that is not in this answer.
pub(crate) fn name(headers: &mut HeaderMap, digest: &Digest) {
    headers.insert(DIGEST, value(digest.to_string()));
}

/// `Location`.
pub(crate) fn point_at(headers: &mut HeaderMap, path: String) {
    headers.insert(LOCATION, value(path));
}

/// `Meridian-Stale: <region>;age=<seconds>`, for each region whose state may be missing (design §6.8): of
/// this one, no quorum answers, so that nobody knows whether what is served is still there; of another
/// one, what it did since is not known here. Without an age nobody knows since when.
pub(crate) fn confess(headers: &mut HeaderMap, stale: impl IntoIterator<Item = Stale>) {
    for Stale { region, age } in stale {
        let text = match age {
            Some(age) => format!("{region};age={}", age.as_secs()),
            None => region.to_string(),
        };
        headers.append(STALE, value(text));
    }
}

/// `Meridian-Region`, unless another region is named already.
pub(crate) fn answered_by(headers: &mut HeaderMap, region: Option<Region>) {
    if let Some(region) = region
        && !headers.contains_key(REGION)
    {
        headers.insert(REGION, value(region.to_string()));
    }
}

/// `Link`, if a page follows.
pub(crate) fn link(headers: &mut HeaderMap, next: Option<String>) {
    if let Some(next) = next {
        headers.insert(LINK, value(next));
    }
}

/// A media type as a header, which costs nothing for those that are common.
pub(crate) fn media_type(media_type: &MediaType) -> HeaderValue {
    static COMMON: [MediaType; 4] = [
        MediaType::OCI_IMAGE_MANIFEST,
        MediaType::OCI_IMAGE_INDEX,
        MediaType::DOCKER_MANIFEST,
        MediaType::DOCKER_MANIFEST_LIST,
    ];
    COMMON
        .iter()
        .find(|common| *common == media_type)
        .map_or_else(
            || value(String::from(media_type.clone())),
            |common| HeaderValue::from_static(common.as_str()),
        )
}

/// A header value made of what passed a grammar of visible ASCII characters.
pub(crate) fn value(text: impl Into<Bytes>) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.into())
        .expect("digests, names, tags, ids, numbers and media types are visible ASCII")
}

/// The id in hexadecimal digits. Every answer has one, so it is not left to `Display`, which
/// formats each byte like a number that could have a width.
fn request_id(id: RequestId) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(id.0) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    HeaderValue::from_bytes(&text).expect("hexadecimal digits are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_in_headers_as_everywhere_else() {
        let id = RequestId(std::array::from_fn(|i| u8::try_from(i * 17).unwrap()));
        assert_eq!(request_id(id), id.to_string());
    }
}
