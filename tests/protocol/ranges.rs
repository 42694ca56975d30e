//! Reading blobs in parts (RFC 9110, 14; distribution-spec "Pulling blobs").

use bytes::Bytes;
use harness::Content;
use meridian_oci::{Algorithm, Digest};

use crate::content::{ALGORITHMS, OCTETS};
use crate::expected::{Expected, is, refused};
use crate::server::Registry;
use crate::wire::{get, head};

/// Small blobs are kept elsewhere than large ones.
const LENGTHS: [usize; 2] = [2048, 100_000];

/// What a `Range` gets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Of(usize, usize),
    Whole,
    Nothing,
}

/// A rule, a range, and what it gets of so many bytes.
fn ranges(length: usize) -> Vec<(&'static str, String, Part)> {
    const HUGE: &str = "99999999999999999999999";
    let last = length - 1;
    [
        ("the first byte", "bytes=0-0".to_owned(), Part::Of(0, 0)),
        ("a middle", "bytes=500-1499".to_owned(), Part::Of(500, 1499)),
        (
            "the last byte",
            format!("bytes={last}-{last}"),
            Part::Of(last, last),
        ),
        ("open-ended", "bytes=500-".to_owned(), Part::Of(500, last)),
        (
            "open-ended at the first byte",
            "bytes=0-".to_owned(),
            Part::Of(0, last),
        ),
        (
            "open-ended at the last byte",
            format!("bytes={last}-"),
            Part::Of(last, last),
        ),
        ("everything", format!("bytes=0-{last}"), Part::Of(0, last)),
        (
            "a suffix",
            "bytes=-500".to_owned(),
            Part::Of(length - 500, last),
        ),
        (
            "a suffix of one byte",
            "bytes=-1".to_owned(),
            Part::Of(last, last),
        ),
        (
            "a suffix beyond the start",
            format!("bytes=-{}", length + 1),
            Part::Of(0, last),
        ),
        (
            "an end beyond the end",
            format!("bytes=2000-{length}"),
            Part::Of(2000, last),
        ),
        (
            "an end beyond all numbers",
            format!("bytes=2000-{HUGE}"),
            Part::Of(2000, last),
        ),
        (
            "the unit in upper case",
            "Bytes=0-0".to_owned(),
            Part::Of(0, 0),
        ),
        (
            "a start at the end",
            format!("bytes={length}-"),
            Part::Nothing,
        ),
        (
            "a start beyond the end",
            "bytes=500000-1000000".to_owned(),
            Part::Nothing,
        ),
        (
            "a start beyond all numbers",
            format!("bytes={HUGE}-"),
            Part::Nothing,
        ),
        (
            "an end before its start",
            "bytes=500-0".to_owned(),
            Part::Nothing,
        ),
        ("a suffix of nothing", "bytes=-0".to_owned(), Part::Nothing),
        ("two ranges", "bytes=0-1,3-4".to_owned(), Part::Whole),
        (
            "two ranges and a space",
            "bytes=0-1, 3-4".to_owned(),
            Part::Whole,
        ),
        ("adjacent ranges", "bytes=0-1,2-3".to_owned(), Part::Whole),
        ("another unit", "items=0-1".to_owned(), Part::Whole),
        ("no unit", "0-1".to_owned(), Part::Whole),
        ("no positions", "bytes=-".to_owned(), Part::Whole),
        ("no range", "bytes=".to_owned(), Part::Whole),
        ("no number", "bytes=a-b".to_owned(), Part::Whole),
        ("a signed number", "bytes=+1-2".to_owned(), Part::Whole),
    ]
    .to_vec()
}

/// The answer that gives a part of a blob.
pub(crate) fn part_of(blob: &Bytes, digest: &Digest, part: Part) -> Expected {
    let length = blob.len();
    match part {
        Part::Of(from, to) => is(206)
            .of(digest)
            .header("Content-Range", format!("bytes {from}-{to}/{length}"))
            .header("Content-Length", to - from + 1)
            .header("Content-Type", OCTETS)
            .body(blob.slice(from..=to)),
        Part::Whole => is(200)
            .of(digest)
            .header("Content-Length", length)
            .without("Content-Range")
            .body(blob.clone()),
        Part::Nothing => {
            refused(416, "RANGE_INVALID").header("Content-Range", format!("bytes */{length}"))
        }
    }
}

#[tokio::test]
async fn a_blob_is_read_in_parts() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let mut table = registry.table("RFC 9110, 14; distribution-spec, Pulling blobs");
    for length in LENGTHS {
        let blob = Content::new(2).bytes(length);
        for algorithm in ALGORITHMS {
            let digest = registry.push_blob(&repository, algorithm, &blob).await;
            let target = format!("/v2/{repository}/blobs/{digest}");
            let part = |part| part_of(&blob, &digest, part);
            for (rule, range, expected) in ranges(length) {
                let rule = format!("{rule}: {range} of {length}, {algorithm}");
                let request = get(&*target).header("Range", range);
                table.row(rule, request, part(expected)).await;
            }
            let rule = "Range means nothing to HEAD (14.2)";
            let request = head(&*target).header("Range", "bytes=0-0");
            let whole = is(200).of(&digest).header("Content-Length", length);
            table
                .row(rule, request, whole.without("Content-Range"))
                .await;
            let rule = "two Range headers are no range";
            let request = get(&*target)
                .header("Range", "bytes=0-1")
                .header("Range", "bytes=3-4");
            table.row(rule, request, part(Part::Whole)).await;
            let rule = "a part is not encoded";
            let request = get(&*target)
                .header("Range", "bytes=0-9")
                .header("Accept-Encoding", "gzip");
            table.row(rule, request, part(Part::Of(0, 9))).await;
        }
    }
}

#[tokio::test]
async fn nothing_has_no_parts() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let mut table = registry.table("RFC 9110, 14; distribution-spec, Pulling blobs");
    let empty = registry
        .push_blob(&repository, Algorithm::Sha256, b"")
        .await;
    let target = format!("/v2/{repository}/blobs/{empty}");
    for range in ["bytes=0-0", "bytes=0-", "bytes=1-2"] {
        let rule = format!("of nothing there is no part: {range}");
        let expected = refused(416, "RANGE_INVALID").header("Content-Range", "bytes */0");
        table
            .row(rule, get(&*target).header("Range", range), expected)
            .await;
    }
    let unknown = Digest::of(Algorithm::Sha256, b"nobody pushed this");
    let request = get(format!("/v2/{repository}/blobs/{unknown}")).header("Range", "bytes=0-1");
    let rule = "of an unknown blob there is no part";
    table.row(rule, request, refused(404, "BLOB_UNKNOWN")).await;
}
