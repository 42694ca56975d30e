//! Reading blobs, whole and on conditions.

use harness::Content;
use meridian_oci::Digest;

use crate::content::{ALGORITHMS, OCTETS};
use crate::expected::{is, refused};
use crate::ranges::{Part, part_of};
use crate::server::Registry;
use crate::wire::{get, head};

const LENGTH: usize = 2048;

#[tokio::test]
async fn a_blob_is_read_whole() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let mut table = registry.table("distribution-spec, Pulling blobs");
    for algorithm in ALGORITHMS {
        let blobs = [0, 1, 2, LENGTH, 300_000].map(|length| Content::new(1).bytes(length));
        for blob in blobs.into_iter().chain([(&b"{}"[..]).into()]) {
            let digest = registry.push_blob(&repository, algorithm, &blob).await;
            let target = format!("/v2/{repository}/blobs/{digest}");
            let what = format!("{algorithm}, {} bytes", blob.len());
            let expected = is(200)
                .of(&digest)
                .header("Content-Length", blob.len())
                .header("Content-Type", OCTETS)
                .header("Accept-Ranges", "bytes")
                .header("Cache-Control", "max-age=31536000")
                .without("Content-Range");
            let rule = format!("HEAD tells size and digest: {what}");
            table.row(rule, head(&*target), expected.clone()).await;
            let rule = format!("GET gives the bytes: {what}");
            table
                .row(rule, get(&*target), expected.clone().body(blob.clone()))
                .await;
            let rule = format!("no encoding is chosen by Accept-Encoding: {what}");
            let asked = get(&*target).header("Accept-Encoding", "zstd;q=1.0, gzip;q=0.8, deflate");
            table.row(rule, asked, expected.body(blob)).await;
        }
        let unknown = Digest::of(algorithm, b"nobody pushed this");
        let target = format!("/v2/{repository}/blobs/{unknown}");
        let absent = refused(404, "BLOB_UNKNOWN");
        table
            .row("an unknown blob is not found", get(&*target), absent)
            .await;
        table
            .row("an unknown blob is not found", head(&*target), is(404))
            .await;
        let target = format!("/v2/{}/blobs/{unknown}", registry.repository("nowhere"));
        let rule = "nothing is found in an unknown repository";
        table.row(rule, head(&*target), is(404)).await;
        table.row(rule, get(target), is(404)).await;
    }
}

#[tokio::test]
async fn a_blob_is_read_on_conditions() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let blob = Content::new(3).bytes(LENGTH);
    for algorithm in ALGORITHMS {
        let digest = registry.push_blob(&repository, algorithm, &blob).await;
        let target = format!("/v2/{repository}/blobs/{digest}");
        let other = Digest::of(algorithm, b"other");
        let part = part_of(&blob, &digest, Part::Of(0, 9));
        let whole = part_of(&blob, &digest, Part::Whole);

        let mut table = registry.table("RFC 9110, 13.1.5 If-Range");
        for (rule, value, expected) in [
            ("the blob's entity tag", format!("\"{digest}\""), &part),
            ("another entity tag", format!("\"{other}\""), &whole),
            (
                "a weak entity tag never matches",
                format!("W/\"{digest}\""),
                &whole,
            ),
            (
                "a date: blobs have none",
                "Wed, 21 Oct 2026 07:28:00 GMT".to_owned(),
                &whole,
            ),
        ] {
            let request = get(&*target)
                .header("Range", "bytes=0-9")
                .header("If-Range", value);
            table.row(rule, request, expected.clone()).await;
        }
        drop(table);

        let mut table = registry.table("RFC 9110, 13.1.2 If-None-Match");
        let unchanged = is(304)
            .of(&digest)
            .header("Cache-Control", "max-age=31536000");
        for (rule, value, expected) in [
            ("the blob's entity tag", format!("\"{digest}\""), &unchanged),
            (
                "a weak one is compared weakly",
                format!("W/\"{digest}\""),
                &unchanged,
            ),
            ("one of a list", format!("\"x\", \"{digest}\""), &unchanged),
            ("any", "*".to_owned(), &unchanged),
            ("another entity tag", format!("\"{other}\""), &whole),
            ("something else", "\"x\"".to_owned(), &whole),
        ] {
            let request = get(&*target).header("If-None-Match", &value);
            table
                .row(format!("GET: {rule}"), request, expected.clone())
                .await;
            let request = get(&*target)
                .header("If-None-Match", &value)
                .header("Range", "bytes=0-9");
            let expected = if expected.is(304) { &unchanged } else { &part };
            let first = format!("GET with Range: {rule}, which is judged first (13.2.2)");
            table.row(first, request, expected.clone()).await;
            let request = head(&*target).header("If-None-Match", &value);
            let expected = if expected.is(304) {
                unchanged.clone()
            } else {
                is(200).of(&digest)
            };
            table.row(format!("HEAD: {rule}"), request, expected).await;
        }
        for value in [format!("\"{other}\""), "*".to_owned()] {
            let absent = format!("/v2/{repository}/blobs/{other}");
            let request = get(&*absent).header("If-None-Match", &value);
            let rule = "what is not there is not unchanged either";
            table.row(rule, request, refused(404, "BLOB_UNKNOWN")).await;
            let request = head(absent).header("If-None-Match", value);
            table.row(rule, request, is(404)).await;
        }
        drop(table);

        let mut table = registry.table("RFC 9110, 13.1.1 If-Match");
        for (rule, value, holds) in [
            ("the blob's entity tag", format!("\"{digest}\""), true),
            ("one of a list", format!("\"x\", \"{digest}\""), true),
            ("any", "*".to_owned(), true),
            ("another entity tag", format!("\"{other}\""), false),
            (
                "a weak entity tag never matches",
                format!("W/\"{digest}\""),
                false,
            ),
        ] {
            let failed = refused(412, "DENIED");
            let request = get(&*target).header("If-Match", &value);
            let expected = if holds { whole.clone() } else { failed.clone() };
            table.row(format!("GET: {rule}"), request, expected).await;
            let request = get(&*target)
                .header("If-Match", &value)
                .header("Range", "bytes=0-9");
            let expected = if holds { part.clone() } else { failed };
            table
                .row(format!("GET with Range: {rule}"), request, expected)
                .await;
            let request = head(&*target).header("If-Match", &value);
            let expected = if holds { is(200).of(&digest) } else { is(412) };
            table.row(format!("HEAD: {rule}"), request, expected).await;
        }
    }
}
