//! Who asks, and under which name we were asked.
//!
//! Owns the one answer to "which host, which scheme, which client" for the rest of the process.
//! Keeps the invariant that nothing a client can write decides it, except the name it must write:
//! forwarding headers count only from proxies that the configuration trusts, and are taken out of
//! every request, so that nobody behind can believe one by mistake.

use std::net::IpAddr;

use http::header::{FORWARDED, HOST};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use ipnet::IpNet;

use super::HttpConfig;
use super::listener::Peer;
use super::refusal::Refusal;
use super::security::Security;
use crate::identity::Introduction;

/// Where a request comes from and whom it is for. Every request that reaches a service has one
/// among its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The other end of the connection.
    pub peer: Peer,
    /// The client's address: the peer's, or what a trusted proxy says. `None` for a Unix socket.
    pub client: Option<IpAddr>,
    /// The scheme that the client used.
    pub scheme: Scheme,
    /// The host, with its port if it named one, that the client asked. `None` only in HTTP/1.0.
    pub authority: Option<Authority>,
    /// Whom the client's certificate names, where connections begin with one. A Unix socket has
    /// none.
    pub introduction: Option<Introduction>,
}

/// What a listener knows before a request comes.
#[derive(Debug)]
pub(super) struct OriginPolicy {
    host_names: Vec<HostName>,
    trusted_proxies: Vec<IpNet>,
}

#[derive(Debug)]
enum HostName {
    Exact(String),
    Below(String),
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDING: [HeaderName; 8] = [
    FORWARDED,
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-real-ip"),
];

// === impl OriginPolicy ===

impl OriginPolicy {
    pub(super) fn new(config: &HttpConfig) -> Self {
        Self {
            host_names: config
                .host_names
                .iter()
                .map(|name| HostName::new(name))
                .collect(),
            trusted_proxies: config.trusted_proxies.clone(),
        }
    }

    /// Establishes the origin of a request and rewrites the request to say nothing else.
    pub(super) fn establish(
        &self,
        parts: &mut Parts,
        peer: Peer,
        security: &Security,
    ) -> Result<Origin, Refusal> {
        let mut origin = Origin {
            peer,
            client: match peer {
                Peer::Tcp(address) => Some(address.ip()),
                Peer::Unix => None,
            },
            scheme: match security {
                Security::Plain => Scheme::HTTP,
                Security::Tls(_) => Scheme::HTTPS,
            },
            authority: authority(parts)?,
            introduction: security.introduction().cloned(),
        };
        if origin.client.is_some_and(|address| self.trusts(address)) {
            self.believe(&parts.headers, &mut origin);
        }
        for name in &FORWARDING {
            parts.headers.remove(name);
        }
        if let Some(authority) = &origin.authority {
            if !self.serves(authority) {
                return Err(Refusal::Misdirected);
            }
            let host = HeaderValue::from_str(authority.as_str());
            parts
                .headers
                .insert(HOST, host.map_err(|_bytes| Refusal::Host)?);
        }
        Ok(origin)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .any(|network| network.contains(&address))
    }

    fn serves(&self, authority: &Authority) -> bool {
        self.host_names.is_empty()
            || self
                .host_names
                .iter()
                .any(|name| name.covers(authority.host()))
    }

    fn believe(&self, headers: &HeaderMap, origin: &mut Origin) {
        if let Some(client) = self.forwarded_client(headers) {
            origin.client = Some(client);
        }
        let one = |name| headers.get(name)?.to_str().ok();
        if let Some(host) = one(FORWARDED_HOST).and_then(parse_authority) {
            origin.authority = Some(host);
        }
        match one(FORWARDED_PROTO) {
            Some("https") => origin.scheme = Scheme::HTTPS,
            Some("http") => origin.scheme = Scheme::HTTP,
            _ => {}
        }
    }

    /// Each proxy appends whom it saw, so the list is believed from its end, up to and including
    /// the first address that is no proxy of ours.
    fn forwarded_client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let lines: Vec<&str> = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .collect();
        let mut client = None;
        for hop in lines.iter().flat_map(|line| line.split(',')).rev() {
            let Ok(address) = hop.trim().parse::<IpAddr>() else {
                break;
            };
            client = Some(address.to_canonical());
            if !self.trusts(address) {
                break;
            }
        }
        client
    }
}

// === impl HostName ===

impl HostName {
    fn new(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix('*') {
            Some(below) if below.starts_with('.') => Self::Below(below.to_owned()),
            _ => Self::Exact(name),
        }
    }

    fn covers(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        match self {
            Self::Exact(name) => *name == host,
            Self::Below(suffix) => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|below| !below.is_empty()),
        }
    }
}

/// The one authority of a request: that of its target, or else of its `Host`.
///
/// HTTP/1.1 must have exactly one `Host`, which a target in absolute form overrules (RFC 9112,
/// sections 3.2 and 3.2.2). In HTTP/2 the two must agree (RFC 9113, section 8.3.1).
fn authority(parts: &Parts) -> Result<Option<Authority>, Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => {
            let host = host.to_str().ok().and_then(parse_authority);
            Some(host.ok_or(Refusal::Host)?)
        }
        (Some(_), Some(_)) => return Err(Refusal::Host),
    };
    let target = parts.uri.authority();
    if target.is_some_and(|target| !is_plain(target)) {
        return Err(Refusal::Host);
    }
    match (parts.version, target, host) {
        (Version::HTTP_2, Some(target), Some(host)) if *target != host => Err(Refusal::Host),
        (_, Some(target), Some(_)) => Ok(Some(target.clone())),
        (Version::HTTP_2 | Version::HTTP_10, Some(target), None) => Ok(Some(target.clone())),
        (_, None, Some(host)) => Ok(Some(host)),
        (Version::HTTP_10, None, None) => Ok(None),
        (_, _, None) => Err(Refusal::Host),
    }
}

fn parse_authority(text: &str) -> Option<Authority> {
    text.parse().ok().filter(is_plain)
}

/// A host, and a port if there is more than a host.
fn is_plain(authority: &Authority) -> bool {
    let (host, port) = (authority.host(), authority.port_u16());
    !host.is_empty()
        && (port.is_some() || host.len() == authority.as_str().len())
        && !authority.as_str().contains('@')
}

/// Whether any endpoint of ours may support this method. `TRACE` and `CONNECT` are none of a
/// registry's business, and other words are none of HTTP's.
pub(super) fn is_known(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET
            | Method::HEAD
            | Method::PUT
            | Method::POST
            | Method::PATCH
            | Method::DELETE
            | Method::OPTIONS
    )
}

#[cfg(test)]
mod tests;
