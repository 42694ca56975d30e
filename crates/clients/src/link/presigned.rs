//! URLs that a store has signed.

use std::fmt;
use std::str::FromStr;

use http::{HeaderValue, Uri};

/// Clients, and what is between, take no longer one.
const LONGEST: usize = 4096;

/// A URL under which anybody can read a blob from where it rests, for a few minutes. It does not
/// show in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl(String);

/// A text is no URL that a client could be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the URL of a store, or longer than {LONGEST} bytes")]
pub struct ParsePresignedUrlError;

// === impl PresignedUrl ===

impl PresignedUrl {
    /// The URL, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for PresignedUrl {
    type Err = ParsePresignedUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url: Uri = text.parse().map_err(|_malformed| ParsePresignedUrlError)?;
        let is_http = matches!(url.scheme_str(), Some("http" | "https"));
        let has_host = url.host().is_some_and(|host| !host.is_empty());
        let is_header = HeaderValue::from_str(text).is_ok();
        if is_http && has_host && is_header && text.len() <= LONGEST {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParsePresignedUrlError)
        }
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.split('?').next().unwrap_or_default();
        write!(f, "PresignedUrl({shown}?***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_client_can_be_sent_to_is_taken() {
        let fits = "https://s3.example/a/b?X-Amz-Signature=abc";
        for (text, lawful) in [
            (fits, true),
            ("http://127.0.0.1:9000/blobs/x?y=z", true),
            ("ftp://s3.example/a", false),
            ("/a/b?c", false),
            ("https:///a", false),
            ("https://s3.example/a\r\nSet-Cookie: x", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<PresignedUrl>().is_ok(), lawful, "{text:?}");
        }
        let long = format!("{fits}{}", "x".repeat(LONGEST));
        assert!(long.parse::<PresignedUrl>().is_err());
    }

    #[test]
    fn its_signature_does_not_show() {
        let url: PresignedUrl = "https://s3.example/a?X-Amz-Signature=abc".parse().unwrap();
        assert_eq!(format!("{url:?}"), "PresignedUrl(https://s3.example/a?***)");
    }
}
