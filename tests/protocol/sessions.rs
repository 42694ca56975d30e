//! Upload sessions: their position, the order of chunks, how they are found again and how they end.

use bytes::Bytes;
use harness::Content;
use meridian_oci::{Algorithm, Digest};

use crate::expected::{Expected, is, refused};
use crate::server::Registry;
use crate::wire::{Request, delete, get, head, patch, post, put, with};

const CHUNK: usize = 1024;

fn chunk(request: Request, bytes: &Bytes, start: usize, end: usize) -> Request {
    request
        .header("Content-Range", format!("{start}-{}", end - 1))
        .body(bytes.slice(start..end))
}

/// A session at `location` that holds the first `length` bytes.
fn at(status: u16, location: &str, length: usize) -> Expected {
    is(status)
        .header("Location", location)
        .header("Range", format!("0-{}", length.max(1) - 1))
}

#[tokio::test]
async fn a_session_tells_where_it_is() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let mut table = registry.table("distribution-spec, POST then PUT; Pushing a blob in chunks");
    let opened = is(202)
        .header("Range", "0-0")
        .header("Content-Length", 0)
        .holds("Docker-Upload-UUID", "an id", |id| !id.is_empty())
        .without("Docker-Content-Digest");
    let one = table
        .row("a session opens", post(&*uploads), opened.clone())
        .await;
    let other = table.row("a session opens", post(&*uploads), opened).await;
    let location = one.header("location").unwrap_or_default();
    let rule = "the location lies below the repository";
    table.must(rule, location.starts_with(&uploads), true);
    let rule = "the location ends with the id of the session";
    table.must(
        rule,
        location.split('/').next_back(),
        one.header("docker-upload-uuid"),
    );
    let rule = "each session has a location of its own";
    table.must(rule, Some(location) == other.header("location"), false);
    let least = one.header("oci-chunk-min-length").map(str::parse::<u64>);
    let rule = "a least length of chunks, if there is one, is a number";
    table.must(rule, least.is_none_or(|least| least.is_ok()), true);

    let rule = "the status of a new session";
    table.row(rule, get(location), at(204, location, 0)).await;
    table.row(rule, head(location), at(204, location, 0)).await;
    let rule = "parameters of a location mean nothing here";
    let request = get(with(location, "_state", "stale"));
    table.row(rule, request, at(204, location, 0)).await;
    let rule = "a session is not a blob";
    let methods = refused(405, "UNSUPPORTED").header("Allow", "GET, HEAD, PATCH, PUT, DELETE");
    table.row(rule, post(location), methods).await;
}

#[tokio::test]
async fn chunks_come_in_order() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    for (algorithm, step) in [(Algorithm::Sha256, CHUNK), (Algorithm::Sha512, 20 * CHUNK)] {
        let bytes = Content::new(1).bytes(3 * step - 5);
        let length = bytes.len();
        let digest = Digest::of(algorithm, &bytes);
        let first = registry.open(&repository).await;
        let close = |location: &str| put(with(location, "digest", digest));
        let mut table = registry.table("distribution-spec, Pushing a blob in chunks");
        let gap = |status, length| at(status, &first, length);

        let rule = "the first chunk starts at 0";
        let request = chunk(patch(&*first), &bytes, step, 2 * step);
        table.row(rule, request, gap(416, 0)).await;
        let rule = "after a refusal the status is that of before";
        table.row(rule, get(&*first), gap(204, 0)).await;
        let rule = "a chunk is taken, and the Range is what was sent";
        let request = chunk(patch(&*first), &bytes, 0, step);
        let answer = table.row(rule, request, gap(202, step)).await;
        let second = answer.header("location").unwrap_or(&first).to_owned();
        for (rule, start, end) in [
            ("a chunk is not taken twice", 0, step),
            ("a chunk does not overlap", step - 1, 2 * step),
            ("a chunk leaves no gap", step + 1, 2 * step),
            ("a chunk does not skip one", 2 * step, length),
        ] {
            for location in [&first, &second] {
                let request = chunk(patch(&**location), &bytes, start, end);
                table.row(rule, request, gap(416, step)).await;
                let request = chunk(close(location), &bytes, start, end);
                table
                    .row(format!("{rule}, nor at the end"), request, gap(416, step))
                    .await;
            }
            let rule = format!("{rule}: nothing has moved");
            table.row(rule, get(&*second), gap(204, step)).await;
        }
        let next = format!("{step}-{}", 2 * step - 1);
        let invalid = refused(400, "BLOB_UPLOAD_INVALID");
        for (rule, range, body, expected) in [
            (
                "a range ends after it starts",
                format!("{}-{step}", step + 1),
                step,
                gap(416, step),
            ),
            (
                "a range has no unit",
                format!("bytes {next}"),
                step,
                invalid.clone(),
            ),
            (
                "a range has no total",
                format!("{next}/{length}"),
                step,
                invalid.clone(),
            ),
            ("a range has an end", format!("{step}-"), step, invalid),
            (
                "a range is as long as the body",
                next,
                5,
                refused(400, "SIZE_INVALID"),
            ),
        ] {
            let body = bytes.slice(step..step + body);
            let request = patch(&*second).header("Content-Range", range).body(body);
            table.row(rule, request, expected).await;
        }
        let rule = "a stale location still leads to the session";
        let request = chunk(patch(&*first), &bytes, step, 2 * step);
        table.row(rule, request, gap(202, 2 * step)).await;
        let rule = "a range without a length is enough";
        let request = patch(&*second)
            .header("Content-Range", format!("{}-{}", 2 * step, 2 * step + 9))
            .streamed(&[&bytes[2 * step..2 * step + 10]]);
        table.row(rule, request, gap(202, 2 * step + 10)).await;
        let rule = "the last chunk closes the session";
        let request = chunk(close(&second), &bytes, 2 * step + 10, length);
        let created = is(201).of(&digest);
        table.row(rule, request, created.clone()).await;
        let rule = "an end whose answer was lost may be repeated";
        table.row(rule, close(&second), created.clone()).await;
        let whole = is(200).of(&digest).body(bytes.clone());
        let target = format!("/v2/{repository}/blobs/{digest}");
        table.row("the blob is whole", get(target), whole).await;
    }
}

#[tokio::test]
async fn a_session_can_be_cancelled() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let unknown = refused(404, "BLOB_UPLOAD_UNKNOWN");
    let bytes = Content::new(2).bytes(CHUNK);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let mut table = registry.table("distribution-spec, Cancel a blob upload (end-14)");
    for written in [false, true] {
        let location = registry.open(&repository).await;
        if written {
            let request = chunk(patch(&*location), &bytes, 0, CHUNK);
            table.row("a chunk", request, is(202)).await;
        }
        table
            .row("a session is cancelled", delete(&*location), is(204))
            .await;
        for (rule, request) in [
            ("a cancelled session has no status", get(&*location)),
            (
                "a cancelled session takes no chunk",
                patch(&*location).body(bytes.clone()),
            ),
            (
                "a cancelled session has no end",
                put(with(&location, "digest", digest)).body(bytes.clone()),
            ),
            ("a session is cancelled once", delete(&*location)),
        ] {
            table.row(rule, request, unknown.clone()).await;
        }
    }
    let rule = "nothing of a cancelled session is visible";
    table
        .row(
            rule,
            head(format!("/v2/{repository}/blobs/{digest}")),
            is(404),
        )
        .await;
}

#[tokio::test]
async fn a_session_belongs_to_its_repository() {
    let registry = Registry::start().await;
    let (repository, other) = (registry.repository("app"), registry.repository("other"));
    let unknown = refused(404, "BLOB_UPLOAD_UNKNOWN");
    let digest = Digest::of(Algorithm::Sha256, b"hello");
    let location = registry.open(&repository).await;
    let never = format!("/v2/{repository}/blobs/uploads/0123456789abcdef");
    let mut table = registry.table("distribution-spec, Error Codes: BLOB_UPLOAD_UNKNOWN");
    for (what, target) in [
        (
            "of another repository",
            location.replace(&repository, &other),
        ),
        ("that never was", never),
    ] {
        for (rule, request) in [
            ("the status of a session", get(&*target)),
            ("a chunk for a session", patch(&*target).body("hello")),
            (
                "the end of a session",
                put(with(&target, "digest", digest)).body("hello"),
            ),
            ("the cancelling of a session", delete(&*target)),
        ] {
            table
                .row(format!("{rule} {what}"), request, unknown.clone())
                .await;
        }
    }
    let rule = "who has the location goes on";
    table
        .row(rule, patch(&*location).body("hello"), at(202, &location, 5))
        .await;
    let rule = "an end closes the session";
    table
        .row(rule, put(with(&location, "digest", digest)), is(201))
        .await;
    let rule = "nothing is added after the end";
    table
        .row(rule, patch(&*location).body("hello"), unknown.clone())
        .await;
    let rule = "an end is repeated with the same digest, not with another one";
    let other = Digest::of(Algorithm::Sha256, b"other");
    table
        .row(rule, put(with(&location, "digest", other)), unknown)
        .await;
}
