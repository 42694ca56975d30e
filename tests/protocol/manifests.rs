//! Manifests: their digests, types and lengths, and reading them.

use meridian_oci::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::content::{
    ALGORITHMS, DOCKER_IMAGE, EMPTY, IMAGE, INDEX, LAYER, Set, descriptor, extended, image, index,
    marked,
};
use crate::expected::{is, refused};
use crate::server::Registry;
use crate::wire::{get, head, put, with};

const LIMIT: usize = 4 * 1024 * 1024;

#[tokio::test]
async fn a_manifest_is_what_its_digest_says() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let mut table = registry.table("distribution-spec, Pushing Manifests: DIGEST_INVALID");
    for algorithm in ALGORITHMS {
        let bytes = marked(&algorithm.to_string());
        let digest = Digest::of(algorithm, &bytes);
        let target = |reference: &str| format!("/v2/{repository}/manifests/{reference}");
        let send = |reference: &str, body: &[u8]| {
            let request = put(target(reference)).header("Content-Type", INDEX);
            request.body(body.to_vec())
        };
        let longer = [&bytes[..], b"  "].concat();
        let rule = "a body that does not hash to the digest";
        let refusal = refused(400, "DIGEST_INVALID");
        table
            .row(rule, send(&digest.to_string(), &longer), refusal.clone())
            .await;
        for digest in [digest, Digest::of(algorithm, &longer)] {
            let rule = "nothing is stored after a wrong digest";
            table
                .row(rule, head(target(&digest.to_string())), is(404))
                .await;
        }
        for reference in [
            "sha256:baddigeststring",
            "sha512:baddigeststring",
            "sha256:",
            &digest.to_string().to_uppercase(),
            &digest.to_string().replace("sha", "md"),
        ] {
            let rule = format!("{reference} is not a digest: PUT");
            table
                .row(rule, send(reference, &bytes), refusal.clone())
                .await;
            let rule = format!("{reference} is not a digest: GET");
            table
                .row(rule, get(target(reference)), refusal.clone())
                .await;
        }
        let rule = "one push serves its own algorithm only";
        let other = if algorithm == Algorithm::Sha256 {
            ALGORITHMS[1]
        } else {
            ALGORITHMS[0]
        };
        table
            .row(
                "the digest is right",
                send(&digest.to_string(), &bytes),
                is(201),
            )
            .await;
        let other = Digest::of(other, &bytes);
        table
            .row(rule, head(target(&other.to_string())), is(404))
            .await;
    }
    let unknown = Digest::of(Algorithm::Sha256, b"nobody pushed this");
    for reference in ["absent".to_owned(), unknown.to_string()] {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let rule = format!("{reference} is unknown");
        table
            .row(&rule, get(&*target), refused(404, "MANIFEST_UNKNOWN"))
            .await;
        table.row(&rule, head(target), is(404)).await;
        let target = format!(
            "/v2/{}/manifests/{reference}",
            registry.repository("nowhere")
        );
        let rule = format!("{reference} of an unknown repository");
        table
            .row(&rule, get(&*target), refused(404, "NAME_UNKNOWN"))
            .await;
        table.row(&rule, head(target), is(404)).await;
    }
}

#[tokio::test]
async fn a_manifest_has_a_type_and_agrees_with_it() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let target = format!("/v2/{repository}/manifests/v1");
    let mut set = Set::new(Algorithm::Sha256, 2);
    let empty = set.blob(EMPTY, "{}");
    registry
        .push_blob(&repository, Algorithm::Sha256, b"{}")
        .await;
    let plain = image(&empty, std::slice::from_ref(&empty));
    let untyped = |document: &Value| {
        let mut document = document.clone();
        document.as_object_mut().unwrap().remove("mediaType");
        document
    };
    let taken = is(201).without("OCI-Subject").without("Warning");
    let invalid = refused(400, "MANIFEST_INVALID");
    let unsupported = refused(400, "UNSUPPORTED");
    let mut table =
        registry.table("distribution-spec, Pushing Manifests; image-spec; Docker schema 2");
    for (rule, content_type, document, expected) in [
        ("as it says", IMAGE, &plain, taken.clone()),
        (
            "parameters are ignored",
            "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
            &plain,
            taken.clone(),
        ),
        (
            "a body without type takes the header's",
            IMAGE,
            &untyped(&plain),
            taken.clone(),
        ),
        (
            "an index without type takes the header's",
            INDEX,
            &untyped(&index(&[])),
            taken.clone(),
        ),
        (
            "an empty configuration needs no artifactType",
            IMAGE,
            &image(&empty, &[]),
            taken.clone(),
        ),
        (
            "an unknown configuration is as good as any",
            IMAGE,
            &image(&retyped(&empty, "application/x.y"), &[]),
            taken.clone(),
        ),
        (
            "null annotations are none",
            IMAGE,
            &extended(plain.clone(), &json!({"annotations": null})),
            taken.clone(),
        ),
        ("an image is not an index", INDEX, &plain, invalid.clone()),
        (
            "an OCI image is not docker's",
            DOCKER_IMAGE,
            &plain,
            invalid.clone(),
        ),
        (
            "an index is not an image",
            IMAGE,
            &index(&[]),
            invalid.clone(),
        ),
        (
            "an index without type is not an image",
            IMAGE,
            &untyped(&index(&[])),
            invalid.clone(),
        ),
        (
            "no manifest is both",
            IMAGE,
            &extended(plain.clone(), &json!({"manifests": []})),
            invalid.clone(),
        ),
        (
            "an image has a configuration",
            IMAGE,
            &json!({"schemaVersion": 2, "mediaType": IMAGE, "layers": []}),
            invalid.clone(),
        ),
        (
            "the schema is version 2",
            IMAGE,
            &extended(plain.clone(), &json!({"schemaVersion": 3})),
            invalid.clone(),
        ),
        (
            "the schema has a version",
            INDEX,
            &json!({"mediaType": INDEX, "manifests": []}),
            invalid.clone(),
        ),
        (
            "schema 1 is dead",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            &json!({"schemaVersion": 1}),
            unsupported.clone(),
        ),
        (
            "some JSON is not a manifest",
            "application/json",
            &plain,
            unsupported.clone(),
        ),
        (
            "a layer is not a manifest",
            LAYER,
            &plain,
            unsupported.clone(),
        ),
        (
            "text is not a manifest",
            "text/plain",
            &plain,
            unsupported.clone(),
        ),
    ] {
        let request = put(&*target)
            .header("Content-Type", content_type)
            .body(document.to_string());
        table.row(rule, request, expected).await;
    }
    for (rule, document, media_type) in [
        ("an image without a header is what it says", &plain, IMAGE),
        (
            "an index without a header is what it says",
            &index(&[]),
            INDEX,
        ),
        (
            "an image without a header is known by its members",
            &untyped(&plain),
            IMAGE,
        ),
        (
            "an index without a header is known by its members",
            &untyped(&index(&[])),
            INDEX,
        ),
    ] {
        let request = put(&*target).body(document.to_string());
        let warned = is(201).holds("Warning", "a warning", |text| text.contains("Content-Type"));
        table.row(rule, request, warned).await;
        let kept = is(200)
            .header("Content-Type", media_type)
            .body(document.to_string());
        table
            .row(format!("{rule}, and served as that"), get(&*target), kept)
            .await;
    }
    let withdrawn = json!({"mediaType": "application/vnd.oci.artifact.manifest.v1+json", "artifactType": "a/b"});
    let request = put(&*target)
        .header(
            "Content-Type",
            "application/vnd.oci.artifact.manifest.v1+json",
        )
        .body(withdrawn.to_string());
    let warned = is(201).holds("Warning", "a warning", |text| text.contains("withdrawn"));
    table
        .row("a withdrawn type is taken with a warning", request, warned)
        .await;
    let request = put(&*target)
        .header("Content-Type", IMAGE)
        .header("Content-Encoding", "gzip")
        .body(plain.to_string());
    table
        .row("nothing is decoded", request, refused(415, "UNSUPPORTED"))
        .await;
}

#[tokio::test]
async fn a_manifest_has_at_most_four_mebibytes() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let target = format!("/v2/{repository}/manifests/v1");
    let mut table = registry.table("distribution-spec, Pushing Manifests: 413");
    let sized = |length: usize| {
        let mut bytes = index(&[]).to_string().into_bytes();
        bytes.resize(length, b' ');
        bytes
    };
    for (rule, length, expected) in [
        ("the limit itself", LIMIT, is(201)),
        ("one byte more", LIMIT + 1, refused(413, "MANIFEST_INVALID")),
        (
            "two MiB more",
            LIMIT + (2 << 20),
            refused(413, "MANIFEST_INVALID"),
        ),
    ] {
        let request = put(&*target).header("Content-Type", INDEX);
        let whole = request.clone().body(sized(length));
        table.row(rule, whole, expected.clone()).await;
        let rule = format!("{rule}, length not told");
        let bytes = sized(length);
        let (one, two) = bytes.split_at(length / 2);
        table
            .row(rule, request.streamed(&[one, two]), expected)
            .await;
    }
    let kept = is(200).header("Content-Length", LIMIT).body(sized(LIMIT));
    table
        .row(
            "the largest manifest is kept to the byte",
            get(target),
            kept,
        )
        .await;
}

/// What is stored is served, whatever is asked for: nothing is converted, and nothing answers 406.
#[tokio::test]
async fn what_is_accepted_changes_nothing() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let bytes = marked("kept");
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    registry.put(&repository, "v1", INDEX, &bytes).await;
    let mut table = registry.table("distribution-spec, Pulling manifests: Accept");
    for accept in [
        INDEX,
        IMAGE,
        DOCKER_IMAGE,
        "*/*",
        "application/*",
        "*/*;q=0",
        "text/html, application/xml;q=0.9",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "nonsense",
        "",
    ] {
        for reference in ["v1", &digest.to_string()] {
            let target = format!("/v2/{repository}/manifests/{reference}");
            let expected = is(200)
                .of(&digest)
                .header("Content-Type", INDEX)
                .header("Content-Length", bytes.len());
            let rule = format!("Accept: {accept:?}");
            let request = head(&*target).header("Accept", accept);
            table.row(&rule, request, expected.clone()).await;
            let request = get(&*target)
                .header("Accept", accept)
                .header("Accept-Encoding", "gzip, zstd");
            table
                .row(&rule, request, expected.body(bytes.clone()))
                .await;
        }
    }
    let target = format!("/v2/{repository}/manifests/v1");
    let rule = "a mirror names the host that it mirrors";
    let request = get(with(&target, "ns", "docker.io"));
    table.row(rule, request, is(200).body(bytes.clone())).await;
    let rule = "a manifest is not a blob";
    let request = get(format!("/v2/{repository}/blobs/{digest}"));
    table.row(rule, request, refused(404, "BLOB_UNKNOWN")).await;
    let blob = registry
        .push_blob(&repository, Algorithm::Sha256, &marked("blob"))
        .await;
    let rule = "a blob is not a manifest";
    let request = get(format!("/v2/{repository}/manifests/{blob}"));
    table
        .row(rule, request, refused(404, "MANIFEST_UNKNOWN"))
        .await;
    let child = descriptor(INDEX, &digest, bytes.len());
    let parent = index(std::slice::from_ref(&child)).to_string();
    let request = put(format!("/v2/{repository}/manifests/parent"))
        .header("Content-Type", INDEX)
        .body(parent);
    table
        .row("a manifest in its place is a child", request, is(201))
        .await;
}

fn retyped(descriptor: &Value, media_type: &str) -> Value {
    extended(descriptor.clone(), &json!({"mediaType": media_type}))
}
