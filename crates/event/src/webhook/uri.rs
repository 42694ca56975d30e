//! Where a webhook is called.
//!
//! Owns what may be written as the URI of a receiver, and that it does not show. A URI often is a secret: its
//! user info, its path or its query hold what the receiver knows the caller by. So it shows its scheme, its
//! host and its port, and is had as a whole by [`ServiceUri::expose`] only. Which addresses may be called is
//! not decided here, because a name says nothing about them; it is decided for each connection.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// An `https` or `http` URI, normalised: the address `0x7f.1` reads `127.0.0.1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceUri(Url);

/// Why a string is not the URI of a receiver. Repeats nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseServiceUriError {
    /// It is longer than [`ServiceUri::MAX_BYTES`].
    #[error("a service URI has at most {} bytes", ServiceUri::MAX_BYTES)]
    TooLong,
    /// It is of another scheme, or of none.
    #[error("a service URI begins with `https://` or `http://`")]
    Scheme,
    /// It has what would have to be escaped.
    #[error(
        "a service URI consists of printable ASCII without spaces and backslashes; escape what else there is"
    )]
    Characters,
    /// Nobody would ever see it.
    #[error("a service URI has no fragment; leave out the `#` and what follows")]
    Fragment,
    /// There is none, or it cannot be one.
    #[error("the host of a service URI is a name or an address")]
    Host,
    /// It is that of another service.
    #[error("the port of a service URI is 80, 443, or 1024 and above")]
    Port,
}

// === impl ServiceUri ===

impl ServiceUri {
    /// The greatest length.
    pub const MAX_BYTES: usize = 2_048;

    /// The whole of it, for the one place that calls it and the one that may show it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// Whether what is sent is encrypted on its way.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The name of the host; an address has none.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.0.domain()
    }

    /// The address of the host, if it is written as one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.0.port_or_known_default();
        port.expect("both schemes have a default")
    }
}

impl FromStr for ServiceUri {
    type Err = ParseServiceUriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        use ParseServiceUriError::{Characters, Fragment, Host, Port, Scheme, TooLong};
        if text.len() > Self::MAX_BYTES {
            return Err(TooLong);
        }
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        if !text.bytes().all(is_plain) {
            return Err(Characters);
        }
        // Browsers, and the parser, also take `https:host` and `https:////host`; receivers need not.
        let (scheme, rest) = text.split_once("://").ok_or(Scheme)?;
        if !["https", "http"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(Scheme);
        }
        if rest.contains('#') {
            return Err(Fragment);
        }
        let begins_with_host = !rest.starts_with(['/', '?']);
        let url = Url::parse(text).ok().filter(|_| begins_with_host);
        let uri = Self(url.ok_or(Host)?);
        if matches!(uri.port(), 80 | 443 | 1024..) {
            Ok(uri)
        } else {
            Err(Port)
        }
    }
}

impl TryFrom<String> for ServiceUri {
    type Error = ParseServiceUriError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ServiceUri> for String {
    fn from(uri: ServiceUri) -> Self {
        uri.0.into()
    }
}

/// Without all that may be secret.
impl fmt::Display for ServiceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.0.scheme())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        let is_bare = self.0.path() == "/" && self.0.query().is_none();
        f.write_str(if is_bare { "/" } else { "/***" })
    }
}

impl fmt::Debug for ServiceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Classify for ParseServiceUriError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_had_as_a_whole_and_shown_without_secrets() {
        for (text, shown) in [
            ("https://hooks.example", "https://hooks.example/"),
            ("https://hooks.example/", "https://hooks.example/"),
            (
                "http://hooks.example:8080/a?b=c",
                "http://hooks.example:8080/***",
            ),
            (
                "https://$app:pw@app.scm.example/api",
                "https://app.scm.example/***",
            ),
            ("HTTPS://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443/"),
        ] {
            let uri: ServiceUri = text.parse().unwrap();
            assert_eq!(uri.to_string(), shown);
            assert_eq!(format!("{uri:?}"), shown);
            assert_eq!(uri.expose().parse().as_ref(), Ok(&uri));
        }
        let uri: ServiceUri = "https://$app:pw@app.scm.example/api".parse().unwrap();
        assert_eq!(uri.expose(), "https://$app:pw@app.scm.example/api");
    }

    #[test]
    fn addresses_have_one_form() {
        for (host, address) in [
            ("127.1", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("0", "0.0.0.0"),
            ("0251.0376.0251.0376", "169.254.169.254"),
            ("[::ffff:127.0.0.1]", "::ffff:7f00:1"),
        ] {
            let uri: ServiceUri = format!("https://{host}/x").parse().unwrap();
            assert_eq!(uri.address(), Some(address.parse().unwrap()), "{host}");
        }
        let named: ServiceUri = "https://localhost:8443".parse().unwrap();
        assert_eq!(named.address(), None);
        assert_eq!((named.domain(), named.port()), (Some("localhost"), 8443));
    }

    #[test]
    fn other_texts_are_refused() {
        use ParseServiceUriError::{Characters, Fragment, Host, Port, Scheme, TooLong};
        let long = format!("https://a.example/{}", "a".repeat(2_048));
        for (text, expected) in [
            ("", Scheme),
            ("hooks.example", Scheme),
            ("file:///etc/passwd", Scheme),
            ("gopher://a.example/", Scheme),
            ("https:a.example", Scheme),
            ("https://", Host),
            ("https:///a.example", Host),
            ("https://?a", Host),
            ("https://user@/a", Host),
            ("https://a.example:66000/", Host),
            ("https://1.2.3.4.5/", Host),
            ("https://[::1/", Host),
            ("https://a%00b/", Host),
            ("https://a.example:22/", Port),
            ("https://a.example:0/", Port),
            ("https://a.example/#a", Fragment),
            ("https://a.example/a b", Characters),
            ("https://a.example/\r\nHost: b", Characters),
            ("https://a.example\\@b.example", Characters),
            ("https://ä.example/", Characters),
            ("\thttps://a.example", Characters),
            (long.as_str(), TooLong),
        ] {
            assert_eq!(text.parse::<ServiceUri>(), Err(expected), "{text:?}");
        }
    }
}
