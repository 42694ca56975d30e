//! Where clients find data endpoints, as settings name it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;
use serde::{Deserialize, Serialize};

/// Where clients find data endpoints: `https://blobs.eu.example`. A scheme and a host, and a port if
/// it is not the scheme's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataUrl {
    text: String,
    is_secure: bool,
    is_of_this_machine: bool,
}

/// A text is no place where clients find data endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `https://` and the host where clients find the data endpoints, such as \
     `https://blobs.eu.example`, without a path"
)]
pub struct ParseDataUrlError;

// === impl DataUrl ===

impl DataUrl {
    /// The data endpoint at an address.
    #[must_use]
    pub fn at(address: SocketAddr, is_secure: bool) -> Self {
        let scheme = if is_secure { "https" } else { "http" };
        Self {
            text: format!("{scheme}://{address}"),
            is_secure,
            is_of_this_machine: address.ip().to_canonical().is_loopback(),
        }
    }

    /// Whether nobody on the way there can read along.
    #[must_use]
    pub const fn stays_secret(&self) -> bool {
        self.is_secure || self.is_of_this_machine
    }

    /// Without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for DataUrl {
    type Err = ParseDataUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url: Uri = text.parse().map_err(|_malformed| ParseDataUrlError)?;
        let authority = url.authority().ok_or(ParseDataUrlError)?;
        let scheme = url.scheme().ok_or(ParseDataUrlError)?;
        let is_lawful = *scheme == Scheme::HTTPS || *scheme == Scheme::HTTP;
        let (host, port) = (authority.host(), authority.port_u16());
        let is_plain = !host.is_empty()
            && (port.is_some() || host.len() == authority.as_str().len())
            && !authority.as_str().contains('@');
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
        if !(is_lawful && is_plain && is_bare) || text.contains('#') {
            return Err(ParseDataUrlError);
        }
        let bare = host.trim_matches(['[', ']']);
        let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
        Ok(Self {
            text: format!("{scheme}://{authority}"),
            is_secure: *scheme == Scheme::HTTPS,
            is_of_this_machine: bare == "localhost" || bare.parse().is_ok_and(is_loopback),
        })
    }
}

impl TryFrom<String> for DataUrl {
    type Error = ParseDataUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DataUrl> for String {
    fn from(url: DataUrl) -> Self {
        url.text
    }
}

impl fmt::Display for DataUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_a_scheme_and_a_host() {
        for (text, read) in [
            ("https://blobs.eu.example", Some("https://blobs.eu.example")),
            (
                "https://blobs.eu.example/",
                Some("https://blobs.eu.example"),
            ),
            ("https://[::1]:5443", Some("https://[::1]:5443")),
            ("http://127.0.0.1:5443", Some("http://127.0.0.1:5443")),
            ("blobs.eu.example", None),
            ("ftp://blobs.eu.example", None),
            ("https://", None),
            ("https://user@blobs.eu.example", None),
            ("https://user:password@blobs.eu.example", None),
            ("https://blobs.eu.example/data", None),
            ("https://blobs.eu.example?x=y", None),
            ("https://blobs.eu.example#x", None),
            ("https://blobs.eu.example:port", None),
            ("https://blobs.eu.example:99999", None),
            ("", None),
        ] {
            let url = text.parse::<DataUrl>();
            assert_eq!(url.as_ref().map(DataUrl::as_str).ok(), read, "{text}");
        }
        let at = DataUrl::at(([127, 0, 0, 1], 5443).into(), false);
        assert_eq!("http://127.0.0.1:5443".parse(), Ok(at));
    }
}
