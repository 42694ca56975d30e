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
            host_names: config.host_names.iter().map(|name| HostName::new(name)).collect(),
            trusted_proxies: config.trusted_proxies.clone(),
        }
    }

    /// Establishes the origin of a request and rewrites the request to say nothing else.
    pub(super) fn establish(
        &self,
        parts: &mut Parts,
        peer: Peer,
        secure: bool,
    ) -> Result<Origin, Refusal> {
        let mut origin = Origin {
            peer,
            client: match peer {
                Peer::Tcp(address) => Some(address.ip()),
                Peer::Unix => None,
            },
            scheme: if secure { Scheme::HTTPS } else { Scheme::HTTP },
            authority: authority(parts)?,
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
            parts.headers.insert(HOST, host.map_err(|_bytes| Refusal::Host)?);
        }
        Ok(origin)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    fn serves(&self, authority: &Authority) -> bool {
        self.host_names.is_empty()
            || self.host_names.iter().any(|name| name.covers(authority.host()))
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
            Self::Below(suffix) => {
                host.strip_suffix(suffix.as_str()).is_some_and(|below| !below.is_empty())
            }
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
    if target.is_some_and(|target| target.as_str().contains('@')) {
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
    let authority: Authority = text.parse().ok()?;
    (!authority.host().is_empty() && !text.contains('@')).then_some(authority)
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
mod tests {
    use http::Request;

    use super::*;

    fn policy(host_names: &[&str]) -> OriginPolicy {
        OriginPolicy::new(&HttpConfig {
            host_names: host_names.iter().map(ToString::to_string).collect(),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..HttpConfig::default()
        })
    }

    fn parts(version: Version, target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().version(version).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn establish(
        policy: &OriginPolicy,
        peer: &str,
        mut parts: Parts,
    ) -> (Result<Origin, Refusal>, Parts) {
        let peer = Peer::Tcp((peer.parse::<IpAddr>().unwrap(), 1).into());
        let origin = policy.establish(&mut parts, peer, false);
        (origin, parts)
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        use Version as V;
        for (version, target, hosts, expected) in [
            (V::HTTP_11, "/", &["r"][..], Ok(Some("r"))),
            (V::HTTP_11, "/", &["r:5000"], Ok(Some("r:5000"))),
            (V::HTTP_11, "/", &["[::1]:5000"], Ok(Some("[::1]:5000"))),
            (V::HTTP_11, "/", &[], Err(Refusal::Host)),
            (V::HTTP_11, "/", &[""], Err(Refusal::Host)),
            (V::HTTP_11, "/", &["a", "b"], Err(Refusal::Host)),
            (V::HTTP_11, "/", &["a", "a"], Err(Refusal::Host)),
            (V::HTTP_11, "/", &["a, b"], Err(Refusal::Host)),
            (V::HTTP_11, "/", &["a/b"], Err(Refusal::Host)),
            (V::HTTP_11, "/", &["evil@r"], Err(Refusal::Host)),
            (V::HTTP_11, "http://t/", &["r"], Ok(Some("t"))),
            (V::HTTP_11, "http://t/", &[], Err(Refusal::Host)),
            (V::HTTP_11, "http://u@t/", &["t"], Err(Refusal::Host)),
            (V::HTTP_10, "/", &[], Ok(None)),
            (V::HTTP_10, "/", &["r"], Ok(Some("r"))),
            (V::HTTP_2, "http://t/", &[], Ok(Some("t"))),
            (V::HTTP_2, "http://t/", &["t"], Ok(Some("t"))),
            (V::HTTP_2, "http://t/", &["r"], Err(Refusal::Host)),
            (V::HTTP_2, "/", &[], Err(Refusal::Host)),
        ] {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            let (origin, parts) =
                establish(&policy(&[]), "192.0.2.1", parts(version, target, &headers));
            let authority = origin.map(|origin| origin.authority);
            let expected = expected.map(|host| host.map(|host| host.parse().unwrap()));
            assert_eq!(authority, expected, "{version:?} {target} {hosts:?}");
            if let Ok(Some(authority)) = expected {
                let host: Vec<_> = parts.headers.get_all(HOST).iter().collect();
                assert_eq!(host, [authority.as_str()], "what is behind sees one host");
            }
        }
    }

    #[test]
    fn other_hosts_are_misdirected_once_names_are_configured() {
        let policy = policy(&["Registry.example.com", "*.r.example.com"]);
        for (host, served) in [
            ("registry.example.com", true),
            ("REGISTRY.example.com:443", true),
            ("team.r.example.com", true),
            (".r.example.com", false),
            ("r.example.com", false),
            ("evilr.example.com", false),
            ("localhost", false),
        ] {
            let parts = parts(Version::HTTP_11, "/", &[("host", host)]);
            let (origin, _) = establish(&policy, "192.0.2.1", parts);
            let refused = origin.err();
            assert_eq!(refused, (!served).then_some(Refusal::Misdirected), "{host}");
        }
    }

    const SPOOF: [(&str, &str); 6] = [
        ("host", "r"),
        ("forwarded", "host=evil"),
        ("x-forwarded-host", "cdn.example.com"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "1.1.1.1, 203.0.113.7, 10.1.1.1"),
        ("x-real-ip", "1.1.1.1"),
    ];

    #[test]
    fn nobody_but_a_trusted_proxy_decides_the_origin() {
        let parts = parts(Version::HTTP_11, "/", &SPOOF);
        let (origin, parts) = establish(&policy(&[]), "192.0.2.1", parts);
        let origin = origin.unwrap();
        assert_eq!(origin.client, "192.0.2.1".parse().ok());
        assert_eq!(origin.scheme, Scheme::HTTP);
        assert_eq!(origin.authority.unwrap(), "r");
        assert_eq!(parts.headers.len(), 1, "what is behind sees no such header");
    }

    #[test]
    fn a_trusted_proxy_is_believed_up_to_the_first_stranger() {
        let parts = parts(Version::HTTP_11, "/", &SPOOF);
        let (origin, parts) = establish(&policy(&[]), "10.9.9.9", parts);
        let origin = origin.unwrap();
        assert_eq!(origin.client, "203.0.113.7".parse().ok());
        assert_eq!(origin.scheme, Scheme::HTTPS);
        assert_eq!(origin.authority.unwrap(), "cdn.example.com");
        assert_eq!(parts.headers.len(), 1);
        assert_eq!(parts.headers[HOST], "cdn.example.com");
    }
}
