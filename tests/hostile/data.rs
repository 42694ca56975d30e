//! The data endpoint, which anybody can reach: what is no link of ours, however it looks, gets nothing.

use std::net::SocketAddr;

use harness::{Dev, DevBuilder, digest};
use tempfile::TempDir;

use crate::target::{Expected, refusal, request, status};
use crate::wire::{Reply, Wire};

/// A registry with a data endpoint, and a blob in it.
struct Endpoint {
    registry: Dev,
    address: SocketAddr,
    _folder: TempDir,
}

// === impl Endpoint ===

impl Endpoint {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = DevBuilder::new(folder.path())
            .env("MERIDIAN_BLOB__DATA__LISTEN", "[\"127.0.0.1:0\"]")
            .env("MERIDIAN_FRONTEND__BLOBS__DELIVERY", "redirect")
            .env("MERIDIAN_FRONTEND__BLOBS__MIN_SIZE", "0B")
            .start();
        let place = registry.place("gives blobs");
        let address = place.strip_prefix("http://").unwrap().parse().unwrap();
        Self {
            registry,
            address,
            _folder: folder,
        }
    }

    /// The path and the query of a good link.
    fn link(&self, content: &[u8]) -> String {
        let to = self.registry.host().parse().unwrap();
        let ask = |line: &str, body: &[u8]| {
            let mut wire = Wire::connect(to);
            wire.send(&request(line, &[], body));
            wire.reply()
        };
        let digest = digest(content);
        let push = format!("POST /v2/a/blobs/uploads/?digest={digest}");
        ask(&push, content).must("a blob", status(&[201]));
        let sent = ask(&format!("GET /v2/a/blobs/{digest}"), b"");
        sent.must("a redirect", status(&[307]));
        let (_, link) = sent
            .header("location")
            .unwrap()
            .split_once("/blobs/")
            .unwrap();
        format!("/blobs/{link}")
    }

    fn raw(&self, bytes: &[u8]) -> Reply {
        let mut wire = Wire::connect(self.address);
        wire.send(bytes);
        wire.reply()
    }

    #[track_caller]
    fn must(&self, line: &str, expected: Expected) -> Reply {
        let reply = self.raw(&request(line, &[], b""));
        let shown: String = line.chars().take(200).collect();
        reply.must(&shown, expected);
        assert!(reply.header("x-request-id").is_some(), "{shown}");
        assert!(
            !reply.text().contains("signature="),
            "{shown}: it is repeated"
        );
        reply
    }
}

#[test]
fn what_is_no_link_gets_nothing() {
    let endpoint = Endpoint::start();
    // More than rests with its record.
    let content = vec![7; 100_000];
    let link = endpoint.link(&content);
    let good = |what: &str| {
        let reply = endpoint.must(&format!("GET {link}"), status(&[200]));
        assert!(reply.body == content, "{what}");
    };
    good("before");
    let (path, query) = link.split_once('?').unwrap();
    let (expires, signature) = query.split_once('&').unwrap();
    let absent = refusal(&[404], "UNSUPPORTED");
    for path in [
        "/",
        "//",
        "/v2/",
        "/v2/a/blobs/uploads/",
        "/metrics",
        "/livez",
        "/blobs",
        "/blobs/",
        "/blobs/default/a",
        "/blobs/../blobs/default/a",
        &path.replace("/default/", "/Default/"),
        &path.replace("/default/", "/default%2F"),
        &path.replace("/a/", "/./a/"),
        &path.replace("/a/", "/b/../a/"),
        &path.replace("/a/", "/%61/"),
        &path.replace("/a/", "/a%00/"),
        &path.replace("sha256:", "sha256%3A"),
        &path.replace("sha256:", "SHA256:"),
        &path.replace("sha256:", "md5:"),
        &format!("{path}/"),
        &format!("{path};x=y"),
        &format!("/{}", "a/".repeat(2000)),
    ] {
        endpoint.must(&format!("GET {path}?{query}"), absent);
    }
    let denied = refusal(&[403], "DENIED");
    for query in [
        String::new(),
        expires.to_owned(),
        signature.to_owned(),
        format!("{signature}&{expires}"),
        format!("{query}&{query}"),
        format!("{query}&{expires}"),
        format!("{query}&{signature}"),
        format!("{expires}&{query}"),
        format!("{query}&x=y"),
        format!("{query}&"),
        format!("{query}%00"),
        format!("{query}="),
        format!("x=y&{query}"),
        query.replace("expires=", "expires=0"),
        query.replace("expires=", "expires=-"),
        query.replace("expires=", "expires=9"),
        query.replace("expires=", "expires=99999999999999999999999"),
        query.replace("expires=", "EXPIRES="),
        query.replace("signature=", "signature=="),
        format!("{expires}&signature={}", "A".repeat(43)),
        format!("{expires}&signature={}", "A".repeat(10_000)),
        format!("{expires}&signature=%2e%2e"),
    ] {
        endpoint.must(&format!("GET {path}?{query}"), denied);
    }
    endpoint.must(&format!("GET {path}"), denied);
    let long = format!("GET {path}?{query}{}", "A".repeat(20_000));
    endpoint.must(&long, refusal(&[414], "NAME_INVALID"));
    good("after");
}

#[test]
fn blobs_are_read_here_and_nothing_else() {
    let endpoint = Endpoint::start();
    let content = vec![7; 100_000];
    let link = endpoint.link(&content);
    for method in ["PUT", "POST", "PATCH", "DELETE", "OPTIONS"] {
        let reply = endpoint.must(&format!("{method} {link}"), refusal(&[405], "UNSUPPORTED"));
        assert_eq!(reply.header("allow"), Some("GET, HEAD"), "{method}");
    }
    for method in ["TRACE", "CONNECT", "BREW"] {
        let reply = endpoint.raw(&request(&format!("{method} {link}"), &[], b""));
        reply.must(method, status(&[400, 405]));
    }
    // A body that nobody asked for is not read, and two lengths mean two things.
    let body = vec![0; 1000];
    let unread = endpoint.raw(&request(&format!("GET {link}"), &[], &body));
    unread.must("a body", status(&[200]));
    let twice = format!(
        "GET {link} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n"
    );
    endpoint
        .raw(twice.as_bytes())
        .must("two lengths", status(&[400]));
    let headers = [
        ("Range", "bytes=0-0,-1"),
        ("Range", "bytes=18446744073709551616-"),
        ("Range", "bytes=9-1"),
        ("If-Match", "*, \"x\""),
        ("If-None-Match", "\"x\""),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Original-URL", "/metrics"),
        ("Authorization", "Basic !"),
        ("Cookie", "a=b"),
    ];
    for (name, value) in headers {
        let reply = endpoint.raw(&request(&format!("GET {link}"), &[(name, value)], b""));
        reply.must(&format!("{name}: {value}"), status(&[200, 416]));
        assert!(
            reply.status == 416 || reply.body == content,
            "{name}: {value}"
        );
    }
    endpoint.must(&format!("GET {link}"), status(&[200]));
}
