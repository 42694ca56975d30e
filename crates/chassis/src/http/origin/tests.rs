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
    let origin = policy.establish(&mut parts, peer, &Security::Plain);
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
