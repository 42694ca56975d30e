//! The query of a request's target.
//!
//! Owns how a query is cut into pairs and unescaped. One reading differs from HTML forms: `+` stands
//! for itself, because no value that means anything here holds a space, while media types hold `+`
//! and not every client escapes it. What is not valid UTF-8 after unescaping holds U+FFFD
//! afterwards, which no grammar accepts. Parameters that nobody asks for are ignored (`ns`,
//! `origin`, `api-version`, `_state`).

use std::borrow::Cow;

/// A query, not yet unescaped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a>(&'a str);

/// A parameter that may be given once was given more often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a query parameter is given more than once")]
pub(crate) struct Repeated;

impl<'a> Query<'a> {
    /// The query of `uri`; an absent one has no pairs.
    pub(crate) fn of(uri: &'a http::Uri) -> Self {
        Self(uri.query().unwrap_or(""))
    }

    /// The values given to `name`, in order.
    pub(crate) fn all(self, name: &'static str) -> impl Iterator<Item = Cow<'a, str>> {
        self.0.split('&').filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(key) == name).then(|| unescape(value))
        })
    }

    /// The value given to `name`, if any; of several, the first.
    pub(crate) fn first(self, name: &'static str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// The one value given to `name`, if any.
    pub(crate) fn only(self, name: &'static str) -> Result<Option<Cow<'a, str>>, Repeated> {
        let mut values = self.all(name);
        let value = values.next();
        values.next().map_or(Ok(value), |_second| Err(Repeated))
    }
}

/// Replaces each `%XX`, once. An incomplete escape stays as it is.
fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find('%') else {
        return Cow::Borrowed(text);
    };
    let (plain, mut rest) = text.as_bytes().split_at(first);
    let mut bytes = Vec::with_capacity(text.len());
    bytes.extend_from_slice(plain);
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, tail) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                bytes.push(nibble(*high) << 4 | nibble(*low));
                rest = tail;
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The value of a hexadecimal digit.
const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn pairs_may_stand_in_any_order_and_be_empty() {
        let query = Query("a=1&&digest=sha256%3Aab&b&=x&digest");
        assert_eq!(query.first("digest").as_deref(), Some("sha256:ab"));
        assert_eq!(query.only("digest"), Err(Repeated));
        assert_eq!(query.only("b"), Ok(Some(Cow::Borrowed(""))));
        assert_eq!(query.only("c"), Ok(None));
        assert_eq!(Query("").only("a"), Ok(None));
    }

    #[test]
    fn escapes_are_undone_once_and_only_when_complete() {
        for (text, expected) in [
            ("a%2Fb%2fc", "a/b/c"),
            ("%252F", "%2F"),
            ("%%32F", "%2F"),
            ("%", "%"),
            ("%4", "%4"),
            ("%4g", "%4g"),
            ("a+b%2Bc", "a+b+c"),
            ("%ff", "\u{fffd}"),
            ("%c3%a9", "é"),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_escaped_comes_back(value: String) {
            let escaped: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let query = format!("x=1&k={escaped}&y=2");
            prop_assert_eq!(Query(&query).only("k").unwrap().unwrap(), value);
        }
    }
}
