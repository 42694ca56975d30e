//! Paths and names (rows 1 to 11 of the list), hosts and forwarding (27, X73), methods (34).

use crate::target::{INDEX, OCI, Target, refusal, request, status};

#[test]
fn hostile_names_are_refused_as_names() {
    let target = Target::start();
    let long = format!("{}a", "a/".repeat(128));
    for (row, name) in [
        (1, "a/../b"),
        (1, ".."),
        (1, "/a"),
        (1, "a/"),
        (1, "a//b"),
        (2, "%2e%2e"),
        (2, "a/%2E%2e%2Fb"),
        (4, "a%252eb"),
        (4, "a%252Fb"),
        (5, "a%00b"),
        (5, "a%0d%0aX-Evil:1"),
        (5, "a%1bb"),
        (6, "a%ff"),
        (7, "%C3%A9"),
        (7, "%D0%B0bc"),
        (7, "%E2%80%AEcba"),
        (7, "%EF%BD%81"),
        (8, "Library/Nginx"),
        (9, long.as_str()),
        (10, "a___b"),
        (10, "a..b"),
        (10, "-a"),
        (10, "a-"),
        (10, "_a"),
        (10, "a@b"),
        (10, "a:b"),
    ] {
        for (method, rest) in [
            ("GET", "manifests/latest"),
            ("PUT", "manifests/latest"),
            ("POST", "blobs/uploads/"),
            ("GET", "tags/list"),
        ] {
            let reply = target.ask(&format!("{method} /v2/{name}/{rest}"), &[], b"");
            reply.must(
                &format!("row {row}: {method} {name}"),
                refusal(&[400], "NAME_INVALID"),
            );
            assert!(reply.header("x-evil").is_none());
            assert!(!reply.text().contains("Evil"), "row {row}: it is repeated");
        }
    }
    target.must_serve();
}

#[test]
fn bytes_that_no_target_has_are_refused() {
    let target = Target::start();
    for (row, bytes) in [
        (5, &b"a\x00b"[..]),
        (5, b"a\x07b"),
        (7, "é".as_bytes()),
        (7, "\u{430}bc".as_bytes()),
        (7, "\u{202e}cba".as_bytes()),
        (7, "\u{ff41}".as_bytes()),
        (7, b"\xff\xfe"),
    ] {
        let line = b"GET /v2/"
            .iter()
            .chain(bytes)
            .chain(b"/tags/list HTTP/1.1\r\n");
        let head = line.chain(b"Host: localhost\r\nConnection: close\r\n\r\n");
        let bytes: Vec<u8> = head.copied().collect();
        target
            .raw(&bytes)
            .must(&format!("row {row}: {bytes:?}"), status(&[400]));
    }
    target.must_serve();
}

#[test]
fn targets_beyond_every_name_are_too_long() {
    let target = Target::start();
    for name in ["a/".repeat(10_000), "a".repeat(70_000)] {
        let bytes = request(&format!("GET /v2/{name}/tags/list"), &[], b"");
        target.raw(&bytes).must("row 9", status(&[414]));
    }
    target.must_serve();
}

/// Rows 3, 10 and 11: what clients escape or name oddly is found.
#[test]
fn lawful_names_are_served_however_they_look() {
    let target = Target::start();
    let manifest = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#);
    for name in [
        "a__b",
        "a--b.c_d",
        "blobs",
        "manifests",
        "uploads",
        "tags/list",
        "a/manifests/b",
        "blobs/uploads",
    ] {
        let name = target.repository(name);
        let put = target.put(&name, "v1", INDEX, manifest.as_bytes());
        put.must(&name, status(&[201]));
        let escaped = name.replace('/', "%2F");
        for path in [
            format!("/v2/{name}/manifests/v1"),
            format!("/v2/{escaped}/manifests/v1"),
        ] {
            let reply = target.ask(&format!("GET {path}"), &[], b"");
            reply.must(&path, status(&[200]));
            assert_eq!(reply.text(), manifest);
        }
        let digest = put
            .header("docker-content-digest")
            .unwrap()
            .replace(':', "%3a");
        let line = format!("GET /v2/{escaped}/manifests/{digest}");
        target.ask(&line, &[], b"").must(&line, status(&[200]));
        let tags = target.ask(&format!("GET /v2/{name}/tags/list"), &[], b"");
        assert_eq!(tags.text(), format!(r#"{{"name":"{name}","tags":["v1"]}}"#));
    }
}

#[test]
fn a_request_names_exactly_one_host() {
    let target = Target::start();
    for (host, expected) in [
        ("", 400),
        ("Host: a\r\nHost: b\r\n", 400),
        ("Host: a\r\nHost: a\r\n", 400),
        ("Host: a b\r\n", 400),
        ("Host: a\r\n", 200),
    ] {
        let bytes = format!("GET /v2/ HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        let reply = target.raw(bytes.as_bytes());
        assert_eq!(reply.status, expected, "row 27: {host:?}");
    }
    let absolute =
        "GET http://other.example/v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    target
        .raw(absolute.as_bytes())
        .must("row 27", status(&[200]));
}

#[test]
fn forwarding_headers_poison_nothing() {
    let target = Target::start();
    let name = target.repository("app");
    let spoofed = [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "gopher"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Forwarded", "host=evil.example;proto=gopher"),
    ];
    let reply = target.ask(&format!("POST /v2/{name}/blobs/uploads/"), &spoofed, b"");
    reply.must("row X73", status(&[202]));
    assert!(
        reply.header("location").unwrap().starts_with("/v2/"),
        "it is path-relative"
    );
    assert!(!format!("{:?}", reply.headers).contains("evil"));
}

/// Row X74: no page of another origin reads an answer, and nothing leads elsewhere.
#[test]
fn other_origins_get_nothing() {
    let target = Target::start();
    for origin in ["null", "https://evil.example", "http://localhost"] {
        for line in ["GET /v2/", "GET /v2/_catalog", "OPTIONS /v2/"] {
            let headers = [
                ("Origin", origin),
                ("Access-Control-Request-Method", "DELETE"),
            ];
            let line = format!("{line}?url=https://evil.example/&redirect=//evil.example");
            let reply = target.ask(&line, &headers, b"");
            reply.must(&format!("row X74: {line}"), status(&[200, 405]));
            let told = format!("{:?}", reply.headers);
            assert!(!told.contains("access-control"), "row X74: {line}: {told}");
            assert!(!told.contains("evil"), "row X74: {line}: {told}");
        }
    }
}

#[test]
fn methods_that_no_endpoint_has_are_refused() {
    let target = Target::start();
    for method in ["TRACE", "PROPFIND", "LOCK", "get", "BREW"] {
        let bytes = request(&format!("{method} /v2/"), &[], b"");
        let reply = target.raw(&bytes);
        reply.must(&format!("row 34: {method}"), refusal(&[405], "UNSUPPORTED"));
        assert!(reply.header("allow").is_some(), "row 34: {method}");
    }
    let connect = b"CONNECT other.example:443 HTTP/1.1\r\nHost: other.example:443\r\nConnection: close\r\n\r\n";
    target
        .raw(connect)
        .must("row 34: CONNECT", refusal(&[405], "UNSUPPORTED"));
    target
        .ask("OPTIONS /v2/", &[], b"")
        .must("row 34", refusal(&[405], "UNSUPPORTED"));
    target
        .ask("PATCH /v2/_catalog", &[], b"")
        .must("row 34", refusal(&[405], "UNSUPPORTED"));

    let name = target.repository("app");
    let manifest = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#);
    target
        .put(&name, "v1", INDEX, manifest.as_bytes())
        .must("a manifest", status(&[201]));
    let line = format!("GET /v2/{name}/manifests/v1");
    for header in [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
    ] {
        let reply = target.ask(&line, &[(header, "DELETE"), ("Accept", OCI)], b"");
        reply.must(&format!("row 34: {header}"), status(&[200]));
    }
    target
        .ask(&line, &[], b"")
        .must("row 34: it is still there", status(&[200]));
}
