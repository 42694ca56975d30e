//! Which page of a list is asked for, and where the next one is (distribution-spec "Listing Tags").
//!
//! Cursors are values, never state of this process, so any process answers any page. A page that
//! was cut short always comes with a `Link`, whether the client set `n` or not.

use std::str::FromStr;

use meridian_clients::PageRequest;
use meridian_oci::ErrorCode;

use crate::query::Query;

/// Why no page can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PageError {
    /// `n` is not a number.
    #[error("n is not a number")]
    Number,
    /// `orderby` is not an order.
    #[error("orderby is not an order")]
    Order,
    /// `at` is not a version.
    #[error("at is malformed")]
    Place,
    /// The list cannot be put in the order of time.
    #[error("the list cannot be put in the order of time")]
    Unordered,
    /// `last` is not what the list consists of, so nothing follows it.
    #[error("last is malformed")]
    Marker(ErrorCode),
}

/// Reads `n` and `last`. A greater `n` than `most` counts as `most`, and so does an absent one.
/// A malformed `last` is refused with `code`.
pub(crate) fn requested<T: FromStr>(
    query: Query<'_>,
    most: usize,
    code: ErrorCode,
) -> Result<PageRequest<T>, PageError> {
    let limit = limit(query, most, most)?;
    let after = after(query, code)?;
    Ok(PageRequest { after, limit })
}

/// Reads `n`. A greater one than `most` counts as `most`; an absent one is `usual`.
pub(crate) fn limit(query: Query<'_>, usual: usize, most: usize) -> Result<usize, PageError> {
    let wanted = match query.first("n") {
        Some(number) => size(&number).ok_or(PageError::Number)?,
        None => usual,
    };
    Ok(wanted.min(most))
}

/// Reads `last`; an empty one is none.
pub(crate) fn after<T: FromStr>(query: Query<'_>, code: ErrorCode) -> Result<Option<T>, PageError> {
    query
        .first("last")
        .filter(|marker| !marker.is_empty())
        .map(|marker| marker.parse())
        .transpose()
        .map_err(|_malformed| PageError::Marker(code))
}

/// The `Link` to what follows `last`.
pub(crate) fn next(path: &str, limit: usize, last: impl std::fmt::Display) -> String {
    format!("<{path}?n={limit}&last={last}>; rel=\"next\"")
}

/// Appends a JSON array of texts whose grammar has nothing to escape.
pub(crate) fn push_array(document: &mut String, items: &[impl AsRef<str>]) {
    let length: usize = items.iter().map(|item| item.as_ref().len() + 3).sum();
    document.reserve(length + 4);
    document.push('[');
    for (position, item) in items.iter().enumerate() {
        document.push_str(if position == 0 { "\"" } else { ",\"" });
        document.push_str(item.as_ref());
        document.push('"');
    }
    document.push(']');
}

/// Digits only; what overflows is very large.
fn size(digits: &str) -> Option<usize> {
    let lawful = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    lawful.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use meridian_oci::Tag;

    use super::*;

    fn read(query: &str) -> Result<(usize, Option<String>), PageError> {
        let uri: http::Uri = format!("/?{query}").parse().unwrap();
        let page = requested::<Tag>(Query::of(&uri), 1000, ErrorCode::TagInvalid)?;
        Ok((page.limit, page.after.map(String::from)))
    }

    #[test]
    fn sizes_are_clamped_and_garbage_is_refused() {
        let marker = PageError::Marker(ErrorCode::TagInvalid);
        for (query, expected) in [
            ("", Ok((1000, None))),
            ("n=0", Ok((0, None))),
            ("n=7&last=v1", Ok((7, Some("v1".to_owned())))),
            ("last=v%31", Ok((1000, Some("v1".to_owned())))),
            ("n=1001", Ok((1000, None))),
            ("n=1000000000000000000", Ok((1000, None))),
            ("n=99999999999999999999999999", Ok((1000, None))),
            ("n=5&last=", Ok((5, None))),
            ("n=", Err(PageError::Number)),
            ("n=-1", Err(PageError::Number)),
            ("n=%2B1", Err(PageError::Number)),
            ("n=1e18", Err(PageError::Number)),
            ("n=abc", Err(PageError::Number)),
            ("last=../", Err(marker)),
            ("last=%00", Err(marker)),
        ] {
            assert_eq!(read(query), expected, "{query}");
        }
    }

    #[test]
    fn a_link_begins_with_its_target() {
        assert_eq!(
            next("/v2/a/tags/list", 5, "v1"),
            "</v2/a/tags/list?n=5&last=v1>; rel=\"next\""
        );
    }
}
