//! Headers and queries, read into values of the domain.
//!
//! Everything here is decided before the first byte of a body is asked for, so that a client that
//! sent `Expect: 100-continue` keeps its body when the head is wrong already.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use meridian_clock::Version;
use meridian_oci::{Algorithm, ContentRange, Digest, MediaType, ParseContentRangeError, Tag};

use crate::query::Query;
use crate::respond;

/// How many tags one push may set, and how many types one listing may ask for. The specification
/// wants at least ten tags.
pub(crate) const MAX_REPEATS: usize = 32;

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExtractError {
    /// There is no `digest`, or more than one, or it is not one that this registry serves.
    #[error("exactly one digest of a supported algorithm is needed")]
    Digest,
    /// `digest-algorithm` is not one that this registry serves.
    #[error("digest-algorithm is not supported")]
    Algorithm,
    /// `Content-Range` is not `<start>-<end>`.
    #[error("Content-Range is malformed")]
    ContentRange,
    /// `Content-Range` and `Content-Length` contradict each other.
    #[error("Content-Range and Content-Length differ")]
    LengthsDiffer,
    /// `Content-Length` is not a possible length.
    #[error("Content-Length is not a possible length")]
    Length,
    /// A chunk comes as something else than bytes.
    #[error("Content-Type of a chunk is not application/octet-stream")]
    NotOctets,
    /// A body is encoded; it is never decoded here.
    #[error("Content-Encoding is not supported")]
    Encoded,
    /// `Content-Type` is given more than once, or is not text.
    #[error("Content-Type is malformed")]
    ContentType,
    /// More tags than one push may set.
    #[error("more than {MAX_REPEATS} tags")]
    TooManyTags,
    /// A `tag` is malformed.
    #[error("tag is malformed")]
    Tag,
    /// `Meridian-Min-Version` is not one version.
    #[error("Meridian-Min-Version is malformed")]
    Version,
    /// `Meridian-Min-Version` is of a region that there is not.
    #[error("Meridian-Min-Version names no region that is known here")]
    Stranger,
    /// More artifact types than one listing may ask for.
    #[error("more than {MAX_REPEATS} artifact types")]
    TooManyTypes,
}

/// The one `digest` that an upload is closed with.
pub(crate) fn digest(query: Query<'_>) -> Result<Digest, ExtractError> {
    optional_digest(query, "digest")?.ok_or(ExtractError::Digest)
}

/// The digest given as `name`, if any.
pub(crate) fn optional_digest(
    query: Query<'_>,
    name: &'static str,
) -> Result<Option<Digest>, ExtractError> {
    let text = query.only(name).map_err(|_repeated| ExtractError::Digest)?;
    text.map(|text| text.parse())
        .transpose()
        .map_err(|_malformed| ExtractError::Digest)
}

/// The algorithm in which a session will be closed; the canonical one unless the client says.
pub(crate) fn algorithm(query: Query<'_>) -> Result<Algorithm, ExtractError> {
    match query.only("digest-algorithm") {
        Ok(None) => Ok(Algorithm::Sha256),
        Ok(Some(text)) => text.parse().map_err(|_unknown| ExtractError::Algorithm),
        Err(_repeated) => Err(ExtractError::Algorithm),
    }
}

/// The tags of a push by digest, each once, in order.
pub(crate) fn tags(query: Query<'_>) -> Result<Vec<Tag>, ExtractError> {
    let mut tags = Vec::new();
    for text in query.all("tag") {
        let tag: Tag = text.parse().map_err(|_malformed| ExtractError::Tag)?;
        if tags.contains(&tag) {
            continue;
        }
        if tags.len() == MAX_REPEATS {
            return Err(ExtractError::TooManyTags);
        }
        tags.push(tag);
    }
    Ok(tags)
}

/// The types that a listing of referrers is restricted to; several are alternatives.
pub(crate) fn artifact_types(query: Query<'_>) -> Result<Vec<String>, ExtractError> {
    let types: Vec<String> = query
        .all("artifactType")
        .filter(|text| !text.is_empty())
        .take(MAX_REPEATS + 1)
        .map(String::from)
        .collect();
    if types.len() > MAX_REPEATS {
        return Err(ExtractError::TooManyTypes);
    }
    Ok(types)
}

/// `Content-Length`; a chunked body has none.
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, ExtractError> {
    let Some(value) = headers.get(CONTENT_LENGTH) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_binary| ExtractError::Length)?;
    let length = text.parse().map_err(|_malformed| ExtractError::Length)?;
    Ok(Some(length))
}

/// `Content-Range` of a chunk.
pub(crate) fn content_range(
    headers: &HeaderMap,
) -> Result<Option<ContentRange>, ParseContentRangeError> {
    let mut values = headers.get_all(CONTENT_RANGE).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => text(value)
            .ok_or(ParseContentRangeError::Malformed)?
            .parse()
            .map(Some),
        (Some(_), Some(_)) => Err(ParseContentRangeError::Malformed),
    }
}

/// `Content-Type`, if given; an empty one is none. Two of them would let two readers choose differently.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<Option<&str>, ExtractError> {
    let mut values = headers.get_all(CONTENT_TYPE).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = text(value).ok_or(ExtractError::ContentType)?;
            Ok(Some(text).filter(|text| !text.is_empty()))
        }
        (Some(_), Some(_)) => Err(ExtractError::ContentType),
    }
}

/// `Meridian-Min-Version`: the least version that an answer may have.
pub(crate) fn min_version(headers: &HeaderMap) -> Result<Option<Version>, ExtractError> {
    let mut values = headers.get_all(respond::MIN_VERSION).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => text(value)
            .and_then(|text| text.parse().ok())
            .map(Some)
            .ok_or(ExtractError::Version),
        (Some(_), Some(_)) => Err(ExtractError::Version),
    }
}

/// Refuses a chunk that is announced as something else than bytes.
pub(crate) fn octets(headers: &HeaderMap) -> Result<(), ExtractError> {
    match content_type(headers) {
        Ok(None) => Ok(()),
        Ok(Some(text)) if MediaType::from_header(text) == Ok(MediaType::OCTET_STREAM) => Ok(()),
        Ok(Some(_)) | Err(_) => Err(ExtractError::NotOctets),
    }
}

/// Refuses a body that would have to be decoded: what decoding makes of it has no bound.
pub(crate) fn identity(headers: &HeaderMap) -> Result<(), ExtractError> {
    let plain = |value: &HeaderValue| {
        let value = value.as_bytes().trim_ascii();
        value.is_empty() || value.eq_ignore_ascii_case(b"identity")
    };
    if headers.get_all(CONTENT_ENCODING).into_iter().all(plain) {
        Ok(())
    } else {
        Err(ExtractError::Encoded)
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn with_query<T>(query: &str, read: impl Fn(Query<'_>) -> T) -> T {
        let uri: Uri = format!("/?{query}").parse().unwrap();
        read(Query::of(&uri))
    }

    #[test]
    fn an_upload_is_closed_with_exactly_one_digest() {
        let escaped = DIGEST.replace(':', "%3A");
        for query in [
            format!("digest={DIGEST}"),
            format!("_state=x&digest={escaped}&ns=y"),
        ] {
            assert_eq!(with_query(&query, digest), Ok(DIGEST.parse().unwrap()));
        }
        for query in [
            String::new(),
            "digest=".to_owned(),
            "digest=sha256:xyz".to_owned(),
            format!("digest={DIGEST}&digest={DIGEST}"),
        ] {
            assert_eq!(
                with_query(&query, digest),
                Err(ExtractError::Digest),
                "{query}"
            );
        }
    }

    #[test]
    fn a_push_sets_a_bounded_number_of_different_tags() {
        let read = |query: &str| with_query(query, tags);
        assert_eq!(read("tag=a&tag=b&tag=a").map(|tags| tags.len()), Ok(2));
        assert_eq!(read("tag=a&tag=.b"), Err(ExtractError::Tag));
        let many: String = (0..=MAX_REPEATS).map(|i| format!("tag=t{i}&")).collect();
        assert_eq!(read(&many), Err(ExtractError::TooManyTags));
    }

    #[test]
    fn a_chunk_is_bytes() {
        for (value, lawful) in [
            ("application/octet-stream", true),
            ("application/octet-stream; charset=x", true),
            ("", true),
            ("application/json", false),
            ("nonsense", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(octets(&headers).is_ok(), lawful, "{value}");
        }
        assert!(octets(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_version_is_named_as_it_was_shown() {
        let read = |values: &[&str]| {
            let named = |value: &&str| (respond::MIN_VERSION, value.parse().unwrap());
            let mut headers = HeaderMap::new();
            for (name, value) in values.iter().map(named) {
                headers.append(name, value);
            }
            min_version(&headers)
        };
        let version = Version {
            millis: u64::MAX,
            counter: 7,
            region: "us-east".parse().unwrap(),
        };
        assert_eq!(read(&[&version.to_string()]), Ok(Some(version)));
        assert_eq!(read(&[]), Ok(None));
        for values in [
            &[""][..],
            &["5.0"],
            &["5@eu"],
            &["+5.0@eu"],
            &["05.0@eu"],
            &["5.-1@eu"],
            &["5.4294967296@eu"],
            &["5.0@EU"],
            &["5.0@eu, 6.0@eu"],
            &["5.0@eu", "5.0@eu"],
        ] {
            assert_eq!(read(values), Err(ExtractError::Version), "{values:?}");
        }
    }

    #[test]
    fn only_the_identity_encoding_passes() {
        for (value, lawful) in [
            ("identity", true),
            ("", true),
            ("gzip", false),
            ("identity, gzip", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, value.parse().unwrap())]);
            assert_eq!(identity(&headers).is_ok(), lawful, "{value}");
        }
    }
}
