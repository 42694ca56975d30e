//! The headers that a webhook adds to its requests.
//!
//! Owns which those may be: no name or value that changes what else is in the request, or by which a receiver
//! knows who signed it. Values are often credentials, so they do not show.

use std::collections::BTreeSet;
use std::fmt;

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};

/// Names and values, in the order in which they were given. A name occurs once, in whatever case.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(String, String)>", into = "Vec<(String, String)>")]
pub struct CustomHeaders(Vec<(String, String)>);

/// Why headers cannot be added to requests. Repeats names that are names, and no values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseHeadersError {
    /// It is not a name.
    #[error(
        "the name of a custom header has 1 to {} letters, digits and hyphens",
        CustomHeaders::MAX_NAME
    )]
    Name,
    /// It is one that the request itself has.
    #[error("the header `{0}` is set by Meridian; leave it out")]
    Reserved(String),
    /// It is not a value.
    #[error(
        "the value of the header `{0}` has at most {max} printable ASCII characters, and no spaces at its ends",
        max = CustomHeaders::MAX_VALUE
    )]
    Value(String),
    /// Nobody could say which of them counts.
    #[error("the header `{0}` is given twice")]
    Twice(String),
}

/// Of the connection (RFC 9110, section 7.6.1), of the message, or of what Meridian adds itself.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-signature",
];

/// Signatures, and attributes of events.
const RESERVED_PREFIXES: &[&str] = &["webhook-", "ce-"];

// === impl CustomHeaders ===

impl CustomHeaders {
    /// The greatest length of a name.
    pub const MAX_NAME: usize = 64;
    /// The greatest length of a value.
    pub const MAX_VALUE: usize = 4_096;

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How long they are.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let bytes = self.0.iter().map(|(name, value)| name.len() + value.len());
        bytes.sum()
    }

    /// All of them, for the one place that sends them and the one that may show them.
    pub fn expose(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl TryFrom<Vec<(String, String)>> for CustomHeaders {
    type Error = ParseHeadersError;

    fn try_from(pairs: Vec<(String, String)>) -> Result<Self, Self::Error> {
        let mut seen = BTreeSet::new();
        for (name, value) in &pairs {
            if !is_name(name) {
                return Err(ParseHeadersError::Name);
            }
            let lower = name.to_ascii_lowercase();
            if is_reserved(&lower) {
                return Err(ParseHeadersError::Reserved(lower));
            }
            if !is_value(value) {
                return Err(ParseHeadersError::Value(lower));
            }
            if let Some(lower) = seen.replace(lower) {
                return Err(ParseHeadersError::Twice(lower));
            }
        }
        Ok(Self(pairs))
    }
}

impl From<CustomHeaders> for Vec<(String, String)> {
    fn from(headers: CustomHeaders) -> Self {
        headers.0
    }
}

impl fmt::Debug for CustomHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| (name, "***"));
        f.debug_map().entries(names).finish()
    }
}

impl Classify for ParseHeadersError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=CustomHeaders::MAX_NAME).contains(&name.len()) && name.bytes().all(plain)
}

fn is_reserved(lower: &str) -> bool {
    let begins = |prefix: &&str| lower.starts_with(*prefix);
    RESERVED.contains(&lower) || RESERVED_PREFIXES.iter().any(begins)
}

fn is_value(value: &str) -> bool {
    let is_shown = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    value.len() <= CustomHeaders::MAX_VALUE
        && value.bytes().all(is_shown)
        && value.trim_matches(' ') == value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<CustomHeaders, ParseHeadersError> {
        CustomHeaders::try_from(vec![(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn headers_keep_their_order_and_case() {
        let pairs = [
            ("X-B", "1 2"),
            ("Content-Type", "application/json"),
            ("A", ""),
        ];
        let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers = CustomHeaders::try_from(owned.to_vec()).unwrap();
        assert!(headers.expose().eq(pairs));
        assert_eq!((headers.len(), headers.bytes()), (3, 35));
    }

    #[test]
    fn what_would_change_the_request_is_refused() {
        for name in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "TE",
            "Connection",
            "X-Signature",
            "Webhook-Id",
            "webhook-anything",
            "ce-id",
        ] {
            let lower = name.to_ascii_lowercase();
            assert_eq!(one(name, "a"), Err(ParseHeadersError::Reserved(lower)));
        }
        for name in ["", "a b", "a:", "a\r\nb", "ä", &"a".repeat(65)] {
            assert_eq!(one(name, "a"), Err(ParseHeadersError::Name), "{name:?}");
        }
        let long = "a".repeat(4_097);
        for value in [
            "a\r\nHost: b",
            "a\n",
            "\0",
            "ä",
            " a",
            "a ",
            "\x1b[1m",
            &long,
        ] {
            let refused = one("x-a", value);
            assert_eq!(refused, Err(ParseHeadersError::Value("x-a".into())));
        }
        let twice = vec![("X-A".into(), "1".into()), ("x-a".into(), "2".into())];
        assert_eq!(
            CustomHeaders::try_from(twice),
            Err(ParseHeadersError::Twice("x-a".into()))
        );
    }

    #[test]
    fn no_error_repeats_a_value() {
        let error = one("Authorization", "Bearer s3cret\n").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}
