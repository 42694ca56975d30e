//! Mounting blobs of other repositories (distribution-spec end-11).

use harness::Content;
use meridian_oci::{Algorithm, Digest};

use crate::content::ALGORITHMS;
use crate::expected::{is, refused};
use crate::server::Registry;
use crate::wire::{delete, get, head, post, put, with};

/// Small blobs are kept elsewhere than large ones.
const fn content_length(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Sha256 => 600,
        Algorithm::Sha512 => 40_000,
    }
}

#[tokio::test]
async fn a_blob_is_mounted_from_where_it_is() {
    let registry = Registry::start().await;
    let source = registry.repository("source");
    let mut table = registry.table("distribution-spec, Mounting a blob from another repository");
    for algorithm in ALGORITHMS {
        let mut content = Content::new(1);
        for (rule, query) in [
            ("from the repository that has it", format!("&from={source}")),
            (
                "from, escaped",
                format!("&from={}", source.replace('/', "%2F")),
            ),
            ("from anywhere", String::new()),
            (
                "from anywhere, said with an empty from",
                "&from=".to_owned(),
            ),
            (
                "with parameters that mean nothing",
                format!("&from={source}&origin=ghcr.io&ns=x"),
            ),
        ] {
            let bytes = content.bytes(content_length(algorithm));
            let digest = registry.push_blob(&source, algorithm, &bytes).await;
            let target = registry.repository(&format!("target/{algorithm}"));
            let blob = format!("/v2/{target}/blobs/{digest}");
            table
                .row(
                    format!("{rule}: it is absent before"),
                    head(&*blob),
                    is(404),
                )
                .await;
            let request = post(format!("/v2/{target}/blobs/uploads/?mount={digest}{query}"));
            let mounted = is(201)
                .of(&digest)
                .header("Location", &blob)
                .without("Range")
                .without("Docker-Upload-UUID");
            table.row(rule, request.clone(), mounted.clone()).await;
            table.row(format!("{rule}: again"), request, mounted).await;
            let whole = is(200).of(&digest).body(bytes);
            table
                .row(format!("{rule}: it is there"), get(&*blob), whole.clone())
                .await;
            let original = format!("/v2/{source}/blobs/{digest}");
            let rule = format!("{rule}: a mounted blob outlives the original");
            table.row(&rule, delete(&*original), is(202)).await;
            table.row(&rule, head(&*original), is(404)).await;
            table.row(&rule, get(blob), whole).await;
        }
    }
}

#[tokio::test]
async fn what_cannot_be_mounted_gets_a_session() {
    let registry = Registry::start().await;
    let (source, target) = (registry.repository("source"), registry.repository("target"));
    let uploads = format!("/v2/{target}/blobs/uploads/");
    let mut table = registry.table("distribution-spec, Mounting a blob from another repository");
    for algorithm in ALGORITHMS {
        registry
            .push_blob(&source, algorithm, b"the repository exists")
            .await;
        let mut content = Content::new(2);
        for (rule, from) in [
            ("the source does not have it", format!("&from={source}")),
            (
                "the source is unknown",
                format!("&from={}", registry.repository("nowhere")),
            ),
            (
                "the source cannot be a repository",
                "&from=Not%20A%20Name".to_owned(),
            ),
            (
                "the target itself does not have it",
                format!("&from={target}"),
            ),
            ("nobody has it", String::new()),
        ] {
            let bytes = content.bytes(content_length(algorithm));
            let digest = Digest::of(algorithm, &bytes);
            let request = post(format!("{}{from}", with(&uploads, "mount", digest)));
            let session = is(202)
                .header("Range", "0-0")
                .without("Docker-Content-Digest");
            let answer = table
                .row(format!("{rule}: a session"), request, session)
                .await;
            let location = answer.header("location").unwrap_or(&uploads);
            let request = put(with(location, "digest", digest)).body(bytes.clone());
            let rule = format!("{rule}: the session is good for the upload");
            table.row(&rule, request, is(201).of(&digest)).await;
            let blob = format!("/v2/{target}/blobs/{digest}");
            table.row(rule, get(blob), is(200).body(bytes)).await;
        }
    }
    let rule = "what is mounted has a digest";
    let request = post(with(&uploads, "mount", "sha256:xyz"));
    table
        .row(rule, request, refused(400, "DIGEST_INVALID"))
        .await;
    // podman and skopeo cancel the session that they get instead of a mount.
    let absent = Digest::of(ALGORITHMS[0], b"absent");
    let request = post(with(&uploads, "mount", absent));
    let answer = table.row("a session", request, is(202)).await;
    let location = answer.header("location").unwrap_or(&uploads);
    table
        .row("the session can be cancelled", delete(location), is(204))
        .await;
}
