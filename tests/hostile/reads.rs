//! Reads: ranges, negotiation, and what must not be seen (rows 51, 52, 54).

use harness::{Content, digest};

use crate::target::{OCI, Target, refusal, status};

#[test]
fn hostile_ranges_get_the_whole_or_nothing() {
    let target = Target::start();
    let name = target.repository("app");
    let blob = Content::new(7).bytes(2048);
    let digest = target.push_blob(&name, &blob);
    let line = format!("GET /v2/{name}/blobs/{digest}");
    let thousand = format!("bytes={}", vec!["0-1"; 1000].join(","));
    let overlapping = format!("bytes={}", vec!["0-"; 1000].join(","));
    for range in [
        thousand.as_str(),
        &overlapping,
        "bytes=0-1,3-4",
        "items=0-1",
        "bytes=a-b",
        "bytes=",
        "bytes=--1",
        "bytes=1-2-3",
    ] {
        let reply = target.ask(&line, &[("Range", range)], b"");
        reply.must(&format!("row 51: {range:.40}"), status(&[200]));
        assert_eq!(reply.body, blob, "row 51: {range:.40}");
    }
    for range in [
        "bytes=5-1",
        "bytes=2048-",
        "bytes=5000-10000",
        "bytes=99999999999999999999-",
        "bytes=-0",
    ] {
        let reply = target.ask(&line, &[("Range", range)], b"");
        reply.must(
            &format!("row 51: {range}"),
            refusal(&[416], "RANGE_INVALID"),
        );
        assert_eq!(
            reply.header("content-range"),
            Some("bytes */2048"),
            "row 51: {range}"
        );
    }
    let reply = target.ask(&line, &[("Range", "bytes=2000-99999999999999999999")], b"");
    reply.must("row 51: past the end", status(&[206]));
    assert_eq!(reply.body, blob[2000..]);
}

#[test]
fn what_is_accepted_changes_nothing() {
    let target = Target::start();
    let name = target.repository("app");
    let image = Content::new(8).image(&[100]);
    target.push_image(&name, "v1", &image);
    let long = "a/b,".repeat(10_000);
    for accept in [
        "application/vnd.docker.distribution.manifest.v2+json",
        "text/html",
        "*/*;q=0",
        "nonsense",
        &long,
    ] {
        let headers = [("Accept", accept), ("Accept-Encoding", "zstd, gzip")];
        let reply = target.ask(&format!("GET /v2/{name}/manifests/v1"), &headers, b"");
        reply.must(&format!("row 52: {accept:.40}"), status(&[200]));
        assert_eq!(reply.body, image.manifest, "row 52: byte for byte");
        assert_eq!(reply.header("content-type"), Some(OCI));
        assert!(reply.header("content-encoding").is_none());
    }
}

/// A repository shows what it holds, and of nothing else that it exists.
#[test]
fn content_of_another_repository_looks_absent() {
    let target = Target::start();
    let (name, other) = (target.repository("app"), target.repository("other"));
    let image = Content::new(9).image(&[100]);
    target.push_image(&other, "v1", &image);
    target.push_blob(&name, b"the repository exists");
    for (known, random, kind) in [
        (digest(&image.blobs[1]), digest(b"random"), "blobs"),
        (image.digest(), digest(b"random"), "manifests"),
    ] {
        for method in ["GET", "HEAD", "DELETE"] {
            let [seen, unseen] = [known, random].map(|digest| {
                let reply = target.ask(&format!("{method} /v2/{name}/{kind}/{digest}"), &[], b"");
                let mut headers = reply.headers.clone();
                headers.retain(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"));
                (reply.status, headers, reply.body)
            });
            assert_eq!(seen.0, 404, "row 54: {method} {kind}");
            assert_eq!(seen, unseen, "row 54: {method} {kind}");
        }
    }
}
