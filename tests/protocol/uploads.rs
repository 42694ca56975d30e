//! Every way in which a blob can be pushed, in both algorithms and of lengths where ways differ.

mod way;

use harness::Content;
use meridian_oci::{Algorithm, Digest};

use self::way::{Push, WAYS};
use crate::content::ALGORITHMS;
use crate::expected::{is, refused};
use crate::server::Registry;
use crate::wire::{delete, get, head, patch, post, put, with};

#[tokio::test]
async fn a_blob_is_pushed_in_every_way() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let mut table = registry.table("distribution-spec, Pushing blobs");
    for algorithm in ALGORITHMS {
        for (seed, way) in (0..).zip(WAYS) {
            for length in [0, 1, 3 * 1024 - 5, 50_000] {
                let bytes = Content::new(seed).bytes(length);
                let digest = Digest::of(algorithm, &bytes);
                let push = Push {
                    way,
                    repository: &repository,
                    bytes: &bytes,
                    digest,
                };
                let blob = format!("/v2/{repository}/blobs/{digest}");
                let created = is(201)
                    .of(&digest)
                    .header("Location", &blob)
                    .header("Content-Length", 0);
                let answer = push.run(&mut table, created).await;
                let what = format!("{way:?}, {algorithm}, {length} bytes");
                let present = is(200).of(&digest).header("Content-Length", length);
                let rule = format!("what was pushed is there: {what}");
                table.row(rule, head(&*blob), present.clone()).await;
                let location = answer.header("location").unwrap_or(&blob);
                let rule = format!("its location leads to it: {what}");
                table.row(rule, get(location), present.body(bytes)).await;
                let rule = format!("it can be deleted: {what}");
                table.row(rule, delete(&*blob), is(202)).await;
                let rule = format!("then it is gone: {what}");
                table.row(rule, head(blob), is(404)).await;
            }
        }
    }
}

#[tokio::test]
async fn content_that_its_digest_does_not_match_never_shows() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let mut table = registry.table("distribution-spec, Pushing blobs: DIGEST_INVALID");
    for (algorithm, length) in [
        (Algorithm::Sha256, 3 * 1024 - 5),
        (Algorithm::Sha256, 50_000),
        (Algorithm::Sha512, 50_000),
    ] {
        let bytes = &Content::new(20).bytes(length);
        for way in WAYS {
            let digest = Digest::of(algorithm, b"something else");
            let push = Push {
                way,
                repository: &repository,
                bytes,
                digest,
            };
            push.run(&mut table, refused(400, "DIGEST_INVALID")).await;
            for digest in [digest, Digest::of(algorithm, bytes)] {
                let rule = format!("nothing is visible after a wrong digest: {way:?}, {digest}");
                let target = format!("/v2/{repository}/blobs/{digest}");
                table.row(rule, head(target), is(404)).await;
            }
        }
    }
}

#[tokio::test]
async fn digests_that_nobody_can_check_are_refused() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let refusal = refused(400, "DIGEST_INVALID");
    let hex = Digest::of(Algorithm::Sha256, b"hello").hex();
    let mut table = registry.table("distribution-spec, Pushing blobs; image-spec, Digests");
    for (rule, digest) in [
        (
            "an algorithm that is not registered",
            format!("md5:{}", &hex[..32]),
        ),
        (
            "an algorithm that is not registered",
            format!("sha384:{hex}"),
        ),
        ("an algorithm in upper case", format!("SHA256:{hex}")),
        (
            "hexadecimal digits in upper case",
            format!("sha256:{}", hex.to_uppercase()),
        ),
        ("too few digits", format!("sha256:{}", &hex[..63])),
        ("too many digits", format!("sha256:{hex}0")),
        ("too few digits for sha512", format!("sha512:{hex}")),
        ("no digits", "sha256:baddigeststring".to_owned()),
        ("no algorithm", hex.clone()),
        ("nothing", String::new()),
    ] {
        let request = post(with(&uploads, "digest", &digest)).body("hello");
        table
            .row(format!("POST: {rule}"), request, refusal.clone())
            .await;
        let location = registry.open(&repository).await;
        let request = put(with(&location, "digest", &digest)).body("hello");
        table
            .row(format!("PUT: {rule}"), request, refusal.clone())
            .await;
        let request = post(with(&uploads, "mount", &digest));
        table
            .row(format!("mount: {rule}"), request, refusal.clone())
            .await;
    }
    let location = registry.open(&repository).await;
    let rule = "PUT needs a digest";
    table
        .row(rule, put(location).body("hello"), refusal.clone())
        .await;
    for algorithm in ["md5", "SHA256", "", "sha256:"] {
        let request = post(with(&uploads, "digest-algorithm", algorithm));
        let rule = format!("a session in an unsupported algorithm: {algorithm:?}");
        table.row(rule, request, refusal.clone()).await;
    }
    for asked in ALGORITHMS {
        for used in ALGORITHMS {
            let rule = format!("a session for {asked} opens");
            let request = post(with(&uploads, "digest-algorithm", asked));
            let answer = table.row(rule, request, is(202)).await;
            let location = answer.header("location").unwrap_or_default();
            let digest = Digest::of(used, b"hello");
            let request = put(with(location, "digest", digest)).body("hello");
            let rule = format!("a session for {asked} may end in {used}");
            table.row(rule, request, is(201).of(&digest)).await;
        }
    }
}

/// What clients send along, and what must not matter.
#[tokio::test]
async fn habits_of_clients_change_nothing() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let digest = Digest::of(Algorithm::Sha256, b"hello");
    let encoded = digest.to_string().replace(':', "%3A");
    let mut table = registry.table("behaviour of docker, containerd, ggcr, Azure's SDK");
    for (rule, request) in [
        (
            "JSON is announced and not sent",
            post(&*uploads).header("Content-Type", "application/json"),
        ),
        (
            "the mirrored host is named",
            post(with(&uploads, "ns", "docker.io")),
        ),
        (
            "the other registry is named",
            post(with(&uploads, "origin", "ghcr.io")),
        ),
        (
            "an API version is named",
            post(with(&uploads, "api-version", "2021-07-01")),
        ),
        (
            "the slash at the end is missing",
            post(uploads.trim_end_matches('/')),
        ),
    ] {
        let answer = table.row(format!("POST: {rule}"), request, is(202)).await;
        let location = answer.header("location").unwrap_or_default().to_owned();
        let target = format!("{location}?ns=docker.io&digest={encoded}&_state=x");
        let request = put(target)
            .header("Content-Type", "application/octet-stream")
            .body("hello");
        let rule = format!("PUT takes a digest anywhere in the query, escaped: {rule}");
        table.row(rule, request, is(201).of(&digest)).await;
    }
    for (content_type, expected) in [
        ("application/octet-stream", is(202)),
        ("application/octet-stream; charset=binary", is(202)),
        ("", is(202)),
        ("application/json", refused(415, "UNSUPPORTED")),
    ] {
        let location = registry.open(&repository).await;
        let request = patch(location)
            .header("Content-Type", content_type)
            .body("hello");
        table
            .row(format!("PATCH of {content_type:?}"), request, expected)
            .await;
    }
}
