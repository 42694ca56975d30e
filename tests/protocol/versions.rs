//! The same answers over HTTP/1.1 and HTTP/2 (RFC 9113, 3.3: prior knowledge).

use harness::{Answer, Content};
use meridian_oci::{Algorithm, Digest};

use crate::content::{INDEX, OCTETS, marked};
use crate::expected::is;
use crate::server::Registry;
use crate::wire::{Request, ask, delete, get, head, patch, post, put, with};

/// An answer but for what differs from answer to answer. `Content-Length: 0` need not be said in
/// HTTP/2, where the end of the stream says it.
fn lasting(answer: &Answer) -> (u16, Vec<(String, String)>, bytes::Bytes) {
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .filter(|(name, value)| {
            !matches!(&**name, "date" | "x-request-id")
                && (&**name, &**value) != ("content-length", "0")
        })
        .collect();
    headers.sort();
    (answer.status.as_u16(), headers, answer.body.clone())
}

#[tokio::test]
async fn reads_are_answered_alike() {
    let one = Registry::start().await;
    let two = one.over_http2();
    let repository = one.repository("app");
    let blob = Content::new(1).bytes(70_000);
    let digest = one.push_blob(&repository, Algorithm::Sha256, &blob).await;
    let manifest = marked("versions");
    for tag in ["v1", "v2"] {
        one.put(&repository, tag, INDEX, &manifest).await;
    }
    let blob = format!("/v2/{repository}/blobs/{digest}");
    let tag = format!("/v2/{repository}/manifests/v1");
    let etag = format!("\"{}\"", Digest::of(Algorithm::Sha256, &manifest));
    let mut table = one.table("HTTP/2 answers like HTTP/1.1");
    for request in [
        get("/v2/"),
        get("/v2/_catalog?n=0"),
        get(&*blob),
        head(&*blob),
        get(&*blob).header("Range", "bytes=10-60000"),
        get(&*blob).header("Range", "bytes=70000-"),
        get(&*tag),
        head(&*tag),
        get(&*tag).header("If-None-Match", &etag),
        get(format!("/v2/{repository}/tags/list?n=1")),
        get(format!("/v2/{repository}/referrers/{digest}")),
        get(format!(
            "/v2/{}/blobs/{digest}",
            repository.replace('/', "%2F")
        )),
        get(format!("/v2/{repository}/manifests/absent")),
        get(format!("/v2/{repository}/blobs/sha256:xyz")),
        get("/v2/UPPER/tags/list"),
        get("/nowhere"),
        ask("OPTIONS", "/v2/"),
        delete(&*tag).header("If-Match", "\"x\""),
        put(&*tag).header("Content-Type", INDEX).body("{"),
        put(&*tag)
            .header("Content-Type", INDEX)
            .body(vec![b' '; (4 << 20) + 1]),
        delete(format!("/v2/{repository}/blobs/uploads/absent")),
    ] {
        let expected = one.ask(&request).await;
        let found = two.ask(&request).await;
        table.must(&request, lasting(&found), lasting(&expected));
    }
}

#[tokio::test]
async fn content_is_pushed_and_deleted_alike() {
    let one = Registry::start().await;
    let two = one.over_http2();
    let bytes = Content::new(2).bytes(300_000);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    for registry in [&one, &two] {
        let repository = registry.repository("app");
        let uploads = format!("/v2/{repository}/blobs/uploads/");
        let blob = format!("/v2/{repository}/blobs/{digest}");
        let mut table = registry.table("a push over either version of HTTP");
        let (head, tail) = bytes.split_at(200_000);
        let answer = table.row("a session opens", post(&*uploads), is(202)).await;
        let location = answer.header("location").unwrap_or(&uploads).to_owned();
        let request = patch(&*location).header("Content-Type", OCTETS).streamed(&[
            &head[..1],
            &head[1..150_000],
            &head[150_000..],
        ]);
        let taken = is(202).header("Range", "0-199999");
        table
            .row("bytes are streamed into it", request, taken)
            .await;
        let request = put(with(&location, "digest", digest))
            .header("Content-Range", "200000-299999")
            .body(tail.to_vec());
        table
            .row("the last chunk closes it", request, is(201).of(&digest))
            .await;
        let whole = is(200)
            .header("Content-Length", 300_000)
            .body(bytes.clone());
        table.row("the blob is whole", get(&*blob), whole).await;
        let manifest = format!("/v2/{repository}/manifests/v1");
        let request = put(&*manifest)
            .header("Content-Type", INDEX)
            .body(marked("x"));
        table.row("a manifest is pushed", request, is(201)).await;
        for target in [manifest, blob] {
            let gone: Request = get(&*target);
            table.row("it is deleted", delete(&*target), is(202)).await;
            table.row("it is gone", gone, is(404)).await;
        }
    }
}
