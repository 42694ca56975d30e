//! Tags, digests and other references (rows 12 to 16).

use harness::{Content, digest};
use meridian_oci::{Algorithm, Digest};

use crate::target::{INDEX, OCI, Target, refusal, status};

#[test]
fn hostile_references_are_refused() {
    let target = Target::start();
    let name = target.repository("app");
    let manifest = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#);
    target
        .put(&name, "v1", INDEX, manifest.as_bytes())
        .must("a manifest", status(&[201]));
    let long = "a".repeat(129);
    for tag in [
        long.as_str(),
        ".x",
        "-x",
        "a@b",
        "a%40b",
        "%C3%A9",
        "a%00",
        "a%20b",
    ] {
        let put = target.put(&name, tag, INDEX, manifest.as_bytes());
        put.must(
            &format!("row 12: {tag}"),
            refusal(&[400], "MANIFEST_INVALID"),
        );
        let got = target.ask(&format!("GET /v2/{name}/manifests/{tag}"), &[], b"");
        got.must(
            &format!("row 12: {tag}"),
            refusal(&[404], "MANIFEST_UNKNOWN"),
        );
    }
    let hex = digest(b"").hex();
    for text in [
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        format!("sha256:{}", hex.to_uppercase()),
        "sha256:xyz".to_owned(),
        "sha256:".to_owned(),
        "sha256:../../x".to_owned(),
        "sha256:..%2f..%2fx".to_owned(),
        format!("md5:{}", &hex[..32]),
        format!("sha1:{}", &hex[..40]),
        format!("sha256+b64:{hex}"),
        format!("SHA256:{hex}"),
        format!("sha512:{hex}"),
        "a:b".to_owned(),
    ] {
        for line in [
            format!("GET /v2/{name}/blobs/{text}"),
            format!("DELETE /v2/{name}/blobs/{text}"),
            format!("GET /v2/{name}/manifests/{text}"),
            format!("PUT /v2/{name}/manifests/{text}"),
            format!("GET /v2/{name}/referrers/{text}"),
            format!("POST /v2/{name}/blobs/uploads/?digest={text}"),
            format!("POST /v2/{name}/blobs/uploads/?mount={text}"),
        ] {
            let reply = target.ask(&line, &[], b"");
            reply.must(
                &format!("rows 13 and 14: {line}"),
                refusal(&[400], "DIGEST_INVALID"),
            );
        }
    }
    target.must_serve();
}

#[test]
fn content_must_be_what_its_digest_says() {
    let target = Target::start();
    let name = target.repository("app");
    let manifest = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#);
    let other = digest(b"other");
    let put = target.put(&name, &other.to_string(), INDEX, manifest.as_bytes());
    put.must("row 15", refusal(&[400], "DIGEST_INVALID"));
    for reference in [other, digest(manifest.as_bytes())] {
        let got = target.ask(&format!("GET /v2/{name}/manifests/{reference}"), &[], b"");
        got.must("row 15: nothing is stored", status(&[404]));
    }

    let blob = Content::new(1).bytes(1000);
    let (right, wrong) = (digest(&blob), digest(b"wrong"));
    for query in [
        String::new(),
        "?digest=".to_owned(),
        format!("?digest={right}&digest={right}"),
        format!("?digest={right}&digest={wrong}"),
        format!("?digest={wrong}"),
    ] {
        let location = target.open(&name);
        let put = target.ask(&format!("PUT {location}{query}"), &[], &blob);
        put.must(
            &format!("row 16: {query}"),
            refusal(&[400], "DIGEST_INVALID"),
        );
    }
    let got = target.ask(&format!("GET /v2/{name}/blobs/{right}"), &[], b"");
    got.must("row 16: nothing is stored", status(&[404]));
}

/// Row 14 as decided for this registry: sha512 is served, and is a name of its own.
#[test]
fn sha512_is_served() {
    let target = Target::start();
    let name = target.repository("app");
    let digest = Digest::of(Algorithm::Sha512, b"content");
    let line = format!("POST /v2/{name}/blobs/uploads/?digest={digest}");
    target
        .ask(&line, &[], b"content")
        .must("row 14", status(&[201]));
    let got = target.ask(&format!("GET /v2/{name}/blobs/{digest}"), &[], b"");
    assert_eq!(
        got.header("docker-content-digest"),
        Some(digest.to_string().as_str())
    );
    let absent = target.put(&name, "v1", OCI, b"{}");
    absent.must("an empty object", refusal(&[400], "MANIFEST_INVALID"));
}
