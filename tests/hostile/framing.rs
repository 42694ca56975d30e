//! Requests about whose end two parsers could disagree (rows 20, 21, 23 to 28), and bodies that
//! nobody asked for (32, 33).

use std::time::Duration;

use harness::digest;

use crate::target::{Target, refusal, request, status};

const SOON: Duration = Duration::from_secs(15);

/// Refused with 400, or with another of these statuses, and no second request is taken from the
/// same connection.
fn refuses_and_closes(target: &Target, what: &str, statuses: &'static [u16], bytes: &[u8]) {
    let mut wire = target.connect();
    wire.send(bytes);
    wire.reply().must(what, status(statuses));
    wire.send(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        wire.ends_within(SOON).is_some(),
        "{what}: the connection stays"
    );
    assert!(wire.received().is_empty(), "{what}: a second answer");
}

fn patch(location: &str, framing: &str, body: &str) -> Vec<u8> {
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n");
    [head.as_bytes(), body.as_bytes()].concat()
}

#[test]
fn ambiguous_framing_is_refused_and_ends_the_connection() {
    let target = Target::start();
    let location = target.open(&target.repository("app"));
    for (row, framing, body) in [
        (20, "Content-Length: -5\r\n", "hello"),
        (20, "Content-Length: +5\r\n", "hello"),
        (20, "Content-Length: 0x5\r\n", "hello"),
        (20, "Content-Length: 5, 5\r\n", "hello"),
        (20, "Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
        (20, "Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        (20, "Content-Length: \r\n", "hello"),
        (21, "Content-Length: 18446744073709551616\r\n", "hello"),
        (
            23,
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        (
            23,
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "0\r\n\r\n",
        ),
        (24, "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        (24, "Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"),
        (24, "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        (
            24,
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        (24, "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        (
            25,
            "Transfer-Encoding: chunked\r\n",
            "FFFFFFFFFFFFFFFFF\r\nx",
        ),
        (25, "Transfer-Encoding: chunked\r\n", "-1\r\nx"),
        (
            25,
            "Transfer-Encoding: chunked\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
        ),
        (25, "Transfer-Encoding: chunked\r\n", "5\nhello\n0\n\n"),
        (
            25,
            "Transfer-Encoding: chunked\r\n",
            "5\r\nhelloworld\r\n0\r\n\r\n",
        ),
    ] {
        let bytes = patch(&location, framing, body);
        refuses_and_closes(
            &target,
            &format!("row {row}: {framing:?} {body:?}"),
            &[400],
            &bytes,
        );
    }
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(100_000));
    let bytes = patch(&location, "Transfer-Encoding: chunked\r\n", &extension);
    refuses_and_closes(&target, "row 25: chunk extension", &[400], &bytes);
    let old =
        "PATCH /v2/ HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refuses_and_closes(&target, "row 24: HTTP/1.0", &[400], old.as_bytes());
    let session = target.ask(&format!("GET {location}"), &[], b"");
    session.must("the session is kept", status(&[204]));
}

#[test]
fn hostile_heads_are_refused() {
    let target = Target::start();
    let many = "X-A: b\r\n".repeat(200);
    let huge = format!("X-A: {}\r\n", "b".repeat(1 << 20));
    let accept = format!("Accept: {}\r\n", "a/b,".repeat(25_000));
    for (row, statuses, headers) in [
        (28, &[400][..], "X-A: a\0b\r\n"),
        (28, &[400], "X-A: a\r\n folded\r\n"),
        (28, &[400], "X A: b\r\n"),
        (28, &[400], "X-A: a\rb\r\n"),
        (28, &[431], many.as_str()),
        (28, &[431], &huge),
        (52, &[431], &accept),
    ] {
        let bytes = format!("GET /v2/ HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        let what = format!("row {row}: {:?}", &headers[..headers.len().min(30)]);
        refuses_and_closes(&target, &what, statuses, bytes.as_bytes());
    }
    let bare = b"GET /v2/ HTTP/1.1\nHost: localhost\n\n";
    refuses_and_closes(&target, "row 27: bare LF", &[400], bare);
    target.must_serve();
}

#[test]
fn lengths_that_cannot_be_meant_are_refused_unread() {
    let target = Target::start();
    let name = target.repository("app");
    for (row, length) in [
        (21, u64::MAX),
        (21, 10 << 40),
        (35, 1 << 30),
        (35, (4 << 20) + 1),
    ] {
        let head = format!(
            "PUT /v2/{name}/manifests/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        );
        let reply = target.raw(head.as_bytes());
        reply.must(&format!("row {row}: {length}"), status(&[400, 413]));
    }
    target.must_serve();
}

#[test]
fn trailers_are_ignored() {
    let target = Target::start();
    let name = target.repository("app");
    let digest = digest(b"hello");
    let request = format!(
        "POST /v2/{name}/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: localhost\r\n\
         Transfer-Encoding: chunked\r\nTrailer: Digest\r\nConnection: close\r\n\r\n\
         5\r\nhello\r\n0\r\nAuthorization: Basic eDp5\r\nDigest: sha-256=x\r\n\r\n"
    );
    let reply = target.raw(request.as_bytes());
    reply.must("row 26", status(&[201]));
}

#[test]
fn a_refused_client_keeps_the_body_that_it_holds_back() {
    let target = Target::start();
    let name = target.repository("app");
    let location = target.open(&name);
    for (line, headers, expected) in [
        (
            "PUT /v2/A/manifests/v1".to_owned(),
            "Content-Length: 100\r\n",
            refusal(&[400], "NAME_INVALID"),
        ),
        (
            format!("PUT /v2/{name}/manifests/v1"),
            "Content-Length: 5000000\r\n",
            refusal(&[413], "MANIFEST_INVALID"),
        ),
        (
            format!("PUT /v2/{name}/manifests/v1"),
            "Content-Length: 100\r\nContent-Encoding: gzip\r\n",
            refusal(&[415], "UNSUPPORTED"),
        ),
        (
            format!("PATCH {location}"),
            "Content-Length: 100\r\nContent-Range: 7-106\r\n",
            refusal(&[416], "RANGE_INVALID"),
        ),
        (
            format!("PUT {location}"),
            "Content-Length: 100\r\n",
            refusal(&[400], "DIGEST_INVALID"),
        ),
        (
            format!("PATCH {}x", target.open(&name)),
            "Content-Length: 100\r\n",
            refusal(&[404], "BLOB_UPLOAD_UNKNOWN"),
        ),
    ] {
        let mut wire = target.connect();
        let head =
            format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}Expect: 100-continue\r\n\r\n");
        wire.send(head.as_bytes());
        let reply = wire.any_reply();
        reply.must(&format!("row 32: {line}"), expected);
    }
    let body = b"hello";
    let digest = digest(body);
    let mut wire = target.connect();
    let head = format!(
        "POST /v2/{name}/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: localhost\r\n\
         Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    );
    wire.send(head.as_bytes());
    assert_eq!(
        wire.any_reply().status,
        100,
        "row 32: who is welcome is told to go on"
    );
    wire.send(body);
    wire.reply().must("row 32", status(&[201]));
}

#[test]
fn the_body_of_a_read_is_ignored() {
    let target = Target::start();
    for method in ["GET", "HEAD"] {
        let bytes = request(&format!("{method} /v2/"), &[], b"whatever");
        target.raw(&bytes).must("row 33", status(&[200]));
    }
    let endless = request("GET /v2/", &[("Content-Length", "1000000000000")], b"x");
    target.raw(&endless).must("row 33", status(&[200]));
    target.must_serve();
}

/// A client that is refused while it sends gets to read why.
#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let target = Target::start();
    let name = target.repository("app");
    let body = vec![b' '; 6 << 20];
    let reply = target.put(&name, "v1", "application/json", &body);
    reply.must("6 MiB of manifest", refusal(&[413], "MANIFEST_INVALID"));
    let location = target.open(&name);
    let range = format!("7-{}", 7 + body.len() - 1);
    let reply = target.ask(
        &format!("PATCH {location}"),
        &[("Content-Range", &range)],
        &body,
    );
    reply.must("6 MiB out of order", refusal(&[416], "RANGE_INVALID"));
}
