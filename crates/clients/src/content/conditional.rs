//! Conditional requests (RFC 9110, section 13).
//!
//! The entity tag of a manifest and of a blob is its quoted digest, in the algorithm in which it was
//! asked for, and always strong. Keeps the invariant that a condition on a write is decided where
//! the write is applied or refused here, never ignored: a client that asks for compare-and-swap and
//! gets a plain write has lost data. On reads, the digest may stand without quotes, as some clients
//! send it.

use http::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use meridian_oci::Digest;

use crate::Condition;

/// One entry of a list of entity tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntityTag {
    /// `*`
    Any,
    /// A digest, compared weakly or strongly.
    Digest { digest: Digest, weak: bool },
    /// Something that this registry never gave out.
    Foreign,
}

/// Why a condition is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It is lawful, but nobody here could decide it in one step with the write.
    #[error("only If-Match with one digest and If-None-Match with * are supported here")]
    Undecidable,
    /// It names what nothing here ever was, so it does not hold.
    #[error("the entity tag is not one of this registry")]
    Foreign,
    /// It names something else than what would be read.
    #[error("the entity tag is not that of {0}")]
    Differs(Digest),
}

/// Whether the client has what it asks for: 304, if it is present at all.
///
/// # Errors
///
/// The client means something else: 412, if this is present at all.
pub fn is_current(headers: &HeaderMap, digest: &Digest) -> Result<bool, ConditionError> {
    let strong = EntityTag::Digest {
        digest: *digest,
        weak: false,
    };
    let mut meant = tags(headers, IF_MATCH).peekable();
    if meant.peek().is_some() && !meant.any(|tag| tag == EntityTag::Any || tag == strong) {
        return Err(ConditionError::Differs(*digest));
    }
    Ok(tags(headers, IF_NONE_MATCH).any(|tag| match tag {
        EntityTag::Any => true,
        EntityTag::Digest { digest: tag, .. } => tag == *digest,
        EntityTag::Foreign => false,
    }))
}

/// Whether it depends on what is there whether it is read.
#[must_use]
pub fn is_conditional(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MATCH)
}

/// Whether `Range` counts: there is no `If-Range`, or it is the blob's entity tag. A date never
/// matches, because blobs have none.
#[must_use]
pub fn range_applies(headers: &HeaderMap, digest: &Digest) -> bool {
    !headers.contains_key(IF_RANGE)
        || tags(headers, IF_RANGE).all(|tag| {
            let digest = *digest;
            tag == EntityTag::Digest {
                digest,
                weak: false,
            }
        })
}

/// The condition on a write.
///
/// # Errors
///
/// When it cannot be decided here, or cannot hold.
pub fn on_write(headers: &HeaderMap) -> Result<Option<Condition>, ConditionError> {
    let mut required = tags(headers, IF_MATCH);
    let mut excluded = tags(headers, IF_NONE_MATCH);
    match (
        (required.next(), required.next()),
        (excluded.next(), excluded.next()),
    ) {
        ((None, _), (None, _)) => Ok(None),
        ((None, _), (Some(EntityTag::Any), None)) => Ok(Some(Condition::Absent)),
        ((Some(tag), None), (None, _)) => match tag {
            EntityTag::Digest {
                digest,
                weak: false,
            } => Ok(Some(Condition::PointsAt(digest))),
            EntityTag::Digest { weak: true, .. } | EntityTag::Foreign => {
                Err(ConditionError::Foreign)
            }
            EntityTag::Any => Err(ConditionError::Undecidable),
        },
        _ => Err(ConditionError::Undecidable),
    }
}

fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = EntityTag> {
    headers.get_all(name).into_iter().flat_map(entries)
}

/// The entries of one line. A comma inside of a tag would split it, but no digest holds one, and
/// the pieces of what is foreign are foreign.
fn entries(line: &HeaderValue) -> impl Iterator<Item = EntityTag> {
    let line = line.to_str().unwrap_or("\u{fffd}");
    line.split(',').map(|entry| {
        let entry = entry.trim_matches([' ', '\t']);
        let (weak, entry) = match entry.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, entry),
        };
        if entry == "*" && !weak {
            return EntityTag::Any;
        }
        let unquoted = entry
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        match unquoted.unwrap_or(entry).parse() {
            Ok(digest) => EntityTag::Digest { digest, weak },
            Err(_) => EntityTag::Foreign,
        }
    })
}

#[cfg(test)]
mod tests {
    use meridian_oci::Algorithm;

    use super::*;

    fn digest() -> Digest {
        Digest::of(Algorithm::Sha256, b"a")
    }

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn if_none_match_compares_weakly_against_each_entry() {
        let (a, b) = (digest(), Digest::of(Algorithm::Sha256, b"b"));
        for (value, current) in [
            (format!("\"{a}\""), true),
            (format!("{a}"), true),
            (format!("W/\"{a}\""), true),
            (format!("\"{b}\", \"x,y\" ,\"{a}\""), true),
            ("*".to_owned(), true),
            (format!("\"{b}\""), false),
            ("\"x\"".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(
                is_current(&headers(IF_NONE_MATCH, &value), &a),
                Ok(current),
                "{value}"
            );
        }
        assert_eq!(is_current(&HeaderMap::new(), &a), Ok(false));
    }

    #[test]
    fn if_match_compares_strongly_and_is_judged_first() {
        let (a, b) = (digest(), Digest::of(Algorithm::Sha256, b"b"));
        let differs = Err(ConditionError::Differs(a));
        for (value, expected) in [
            (format!("\"{a}\""), Ok(false)),
            (format!("\"{b}\", \"{a}\""), Ok(false)),
            ("*".to_owned(), Ok(false)),
            (format!("W/\"{a}\""), differs),
            (format!("\"{b}\""), differs),
            ("\"x\"".to_owned(), differs),
            (String::new(), differs),
        ] {
            let mut both = headers(IF_MATCH, &value);
            assert_eq!(is_current(&both, &a), expected, "{value}");
            both.insert(IF_NONE_MATCH, "*".parse().unwrap());
            assert_eq!(is_current(&both, &a), expected.map(|_| true), "{value}");
        }
    }

    #[test]
    fn a_range_counts_unless_if_range_names_something_else() {
        let a = digest();
        assert!(range_applies(&HeaderMap::new(), &a));
        for (value, applies) in [
            (format!("\"{a}\""), true),
            (format!("W/\"{a}\""), false),
            ("\"x\"".to_owned(), false),
            ("Wed, 21 Oct 2015 07:28:00 GMT".to_owned(), false),
            ("*".to_owned(), false),
        ] {
            assert_eq!(
                range_applies(&headers(IF_RANGE, &value), &a),
                applies,
                "{value}"
            );
        }
    }

    #[test]
    fn a_write_takes_the_two_conditions_that_can_be_decided() {
        let a = digest();
        let etag = format!("\"{a}\"");
        let both = HeaderMap::from_iter([
            (IF_MATCH, etag.parse().unwrap()),
            (IF_NONE_MATCH, "*".parse().unwrap()),
        ]);
        for (headers, expected) in [
            (HeaderMap::new(), Ok(None)),
            (headers(IF_MATCH, &etag), Ok(Some(Condition::PointsAt(a)))),
            (headers(IF_NONE_MATCH, "*"), Ok(Some(Condition::Absent))),
            (headers(IF_MATCH, "*"), Err(ConditionError::Undecidable)),
            (
                headers(IF_MATCH, &format!("{etag}, {etag}")),
                Err(ConditionError::Undecidable),
            ),
            (
                headers(IF_NONE_MATCH, &etag),
                Err(ConditionError::Undecidable),
            ),
            (both, Err(ConditionError::Undecidable)),
            (
                headers(IF_MATCH, &format!("W/{etag}")),
                Err(ConditionError::Foreign),
            ),
            (headers(IF_MATCH, "\"x\""), Err(ConditionError::Foreign)),
            (headers(IF_MATCH, ""), Err(ConditionError::Foreign)),
        ] {
            assert_eq!(on_write(&headers), expected, "{headers:?}");
        }
    }
}
