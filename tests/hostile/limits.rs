//! What uploads may cost (rows 21, 36, 57).
//!
//! The limits here are small ones of a server of its own, so nothing of this runs against another.

use harness::{Content, DevBuilder, digest};
use tempfile::TempDir;

use crate::target::{Target, refusal, request, status};

const MOST: usize = 1 << 20;
const OPEN: usize = 4;

fn limited(folder: &TempDir) -> Target {
    let builder = DevBuilder::new(folder.path())
        .env("MERIDIAN_BLOB__UPLOADS__MAX_BLOB_BYTES", "1MiB")
        .env("MERIDIAN_BLOB__UPLOADS__MAX_OPEN", OPEN.to_string());
    Target::own(&builder)
}

#[test]
fn a_blob_beyond_the_limit_is_refused_however_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let target = limited(&folder);
    let name = target.repository("app");
    let blob = Content::new(10).bytes(MOST + 1);
    let digest = digest(&blob);
    let chunked = |line: &str| {
        let mut bytes = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\n\r\n{:x}\r\n",
            blob.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&blob);
        bytes.extend_from_slice(b"\r\n0\r\n\r\n");
        bytes
    };
    let too_large = refusal(&[413], "SIZE_INVALID");
    for (what, line) in [
        (
            "POST",
            format!("POST /v2/{name}/blobs/uploads/?digest={digest}"),
        ),
        ("PUT", format!("PUT {}?digest={digest}", target.open(&name))),
        ("PATCH", format!("PATCH {}", target.open(&name))),
    ] {
        let reply = target.ask(&line, &[], &blob);
        reply.must(&format!("row 57: {what}, declared"), too_large);
        let reply = target.raw(&chunked(&line));
        reply.must(&format!("row 57: {what}, not declared"), too_large);
    }
    let location = target.open(&name);
    let first = target.ask(&format!("PATCH {location}"), &[], &blob[..MOST]);
    first.must("row 57: the limit itself", status(&[202]));
    let more = target.ask(&format!("PATCH {location}"), &[], b"x");
    more.must("row 57: one byte more", too_large);
    let absent = target.ask(&format!("GET /v2/{name}/blobs/{digest}"), &[], b"");
    absent.must("row 57: nothing is visible", status(&[404]));
    let reply = target.ask(&format!("GET {location}"), &[], b"");
    assert_eq!(
        reply.header("range"),
        Some("0-1048575"),
        "row 57: it is kept"
    );
    let whole = harness::digest(&blob[..MOST]);
    let reply = target.ask(&format!("PUT {location}?digest={whole}"), &[], b"");
    reply.must("row 57: what the limit allows", status(&[201]));
}

#[test]
fn lengths_that_cannot_be_meant_are_refused_before_a_byte_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let target = limited(&folder);
    let name = target.repository("app");
    let content = digest(b"any");
    for length in ["18446744073709551615", "10995116277760", "1048577"] {
        let location = target.open(&name);
        for line in [
            format!("PATCH {location}"),
            format!("PUT {location}?digest={content}"),
            format!("POST /v2/{name}/blobs/uploads/?digest={content}"),
        ] {
            let headers = [("Content-Length", length), ("Expect", "100-continue")];
            let mut wire = target.connect();
            wire.send(&request(&line, &headers, b""));
            let reply = wire.any_reply();
            // What is no length at all is refused by whoever reads the head.
            let what = format!("row 21: {line} of {length}");
            reply.must(&what, status(&[400, 413]));
        }
        let reply = target.ask(&format!("GET {location}"), &[], b"");
        reply.must("row 21: the session is kept", status(&[204]));
    }
    target.must_serve();
}

#[test]
fn sessions_that_nobody_ends_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let target = limited(&folder);
    let name = target.repository("app");
    let mut taken = Vec::new();
    let refused = loop {
        let reply = target.ask(&format!("POST /v2/{name}/blobs/uploads/"), &[], b"");
        let location = reply.header("location").map(str::to_owned);
        let patched = location.map(|location| {
            let reply = target.ask(&format!("PATCH {location}"), &[], b"hello");
            (location, reply)
        });
        match patched {
            Some((location, reply)) if reply.status == 202 => taken.push(location),
            Some((_, reply)) => break reply,
            None => break reply,
        }
        assert!(taken.len() <= OPEN, "row 57: {} sessions", taken.len());
    };
    refused.must("row 57: too many", refusal(&[429], "TOOMANYREQUESTS"));
    assert!(
        refused.header("retry-after").is_some(),
        "row 57: when again"
    );
    let line = format!("POST /v2/{name}/blobs/uploads/?digest={}", digest(b"x"));
    let ended = taken.pop().unwrap();
    let reply = target.ask(&format!("DELETE {ended}"), &[], b"");
    reply.must("row 57: who ends one", status(&[204]));
    target
        .ask(&line, &[], b"x")
        .must("row 57: makes room for another", status(&[201]));
    for location in &taken {
        let reply = target.ask(&format!("GET {location}"), &[], b"");
        assert_eq!(
            reply.header("range"),
            Some("0-4"),
            "row 57: others are kept"
        );
    }
}

/// Row 36 for blobs: their bytes are their bytes, whatever is said of them.
#[test]
fn encoded_blobs_are_not_decoded() {
    let target = Target::start();
    let name = target.repository("app");
    let bomb = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03not really gzip";
    let digest = digest(bomb);
    let line = format!("POST /v2/{name}/blobs/uploads/?digest={digest}");
    let reply = target.ask(&line, &[("Content-Encoding", "gzip")], bomb);
    reply.must("row 36", status(&[201]));
    let got = target.ask(&format!("GET /v2/{name}/blobs/{digest}"), &[], b"");
    assert!(got.body == bomb, "row 36: as it was sent");
    assert!(got.header("content-encoding").is_none(), "row 36");
}
