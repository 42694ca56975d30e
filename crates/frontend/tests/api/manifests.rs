//! Manifests: pushed, pulled, refused and deleted.

use super::*;

#[tokio::test]
async fn a_manifest_is_served_as_it_was_pushed_whatever_is_accepted() {
    let registry = Registry::new();
    let (digest, manifest) = registry.push_image("a/b", "v1").await;
    for reference in ["v1".to_owned(), digest.to_string()] {
        for accept in [
            "application/vnd.docker.distribution.manifest.v2+json",
            "*/*",
            "nonsense",
        ] {
            let path = format!("/v2/a/b/manifests/{reference}");
            let got = registry
                .call(&format!("GET {path}"), &[("accept", accept)], "")
                .await;
            let looked = registry
                .call(&format!("HEAD {path}"), &[("accept", accept)], "")
                .await;
            assert_eq!(got.body, manifest);
            for reply in [&got, &looked] {
                assert_eq!(reply.status, 200);
                assert_eq!(reply.header("content-type"), OCI);
                assert_eq!(reply.header("docker-content-digest"), digest.to_string());
                assert_eq!(reply.header("etag"), format!("\"{digest}\""));
                assert_eq!(reply.header("cache-control"), "no-cache");
            }
            assert_eq!(looked.header("content-length"), manifest.len().to_string());
        }
    }
}

#[tokio::test]
async fn a_push_tells_what_became_of_it() {
    let registry = Registry::new();
    let subject = sha256(b"not here");
    let manifest = index("x", Some(&subject));
    let digest = sha256(&manifest);
    let reply = registry
        .put(
            "a/manifests/v1",
            &format!("{INDEX}; charset=utf-8"),
            &manifest,
        )
        .await;
    assert_eq!(reply.status, 201);
    assert_eq!(
        reply.header("location"),
        format!("/v2/a/manifests/{digest}")
    );
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    assert_eq!(reply.header("oci-subject"), subject.to_string());
    assert!(reply.header("meridian-version").ends_with("@eu"));
    assert!(reply.headers.get("oci-tag").is_none());
    assert!(reply.headers.get("warning").is_none());
    assert_eq!(
        registry
            .get(reply.header("location"))
            .await
            .header("content-type"),
        INDEX
    );
}

#[tokio::test]
async fn a_push_by_digest_may_set_tags() {
    let registry = Registry::new();
    let manifest = index("x", None);
    let digest = Digest::of(Algorithm::Sha512, &manifest);
    let path = format!("a/manifests/{digest}?tag=one&tag=two&tag=one");
    let reply = registry.put(&path, INDEX, &manifest).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    let tags: Vec<&str> = reply
        .headers
        .get_all("oci-tag")
        .iter()
        .map(|v| v.to_str().unwrap())
        .collect();
    assert_eq!(tags, ["one", "two"]);
    let pulled = registry.get("/v2/a/manifests/two").await;
    assert_eq!(pulled.header("docker-content-digest"), digest.to_string());

    let many: String = (0..33).map(|i| format!("tag=t{i}&")).collect();
    let refused = registry
        .put(&format!("a/manifests/{digest}?{many}"), INDEX, &manifest)
        .await;
    assert_eq!(refused.refusal(), (414, "MANIFEST_INVALID".to_owned()));
    let refused = registry
        .put(
            &format!("a/manifests/{digest}?tag=new&tag=.x"),
            INDEX,
            &manifest,
        )
        .await;
    assert_eq!(refused.refusal(), (400, "MANIFEST_INVALID".to_owned()));
    assert_eq!(registry.get("/v2/a/manifests/new").await.status, 404);
}

#[tokio::test]
async fn hostile_manifests_are_refused() {
    let registry = Registry::new();
    let manifest = index("x", None);
    let other = sha256(b"other");
    let schema1 = "application/vnd.docker.distribution.manifest.v1+json";
    for (path, media_type, body, status, code) in [
        (
            "a/manifests/.x",
            INDEX,
            &manifest[..],
            400,
            "MANIFEST_INVALID",
        ),
        (
            "a/manifests/sha256:xyz",
            INDEX,
            &manifest,
            400,
            "DIGEST_INVALID",
        ),
        (
            &format!("a/manifests/{other}"),
            INDEX,
            &manifest,
            400,
            "DIGEST_INVALID",
        ),
        ("a/manifests/x", OCI, &manifest, 400, "MANIFEST_INVALID"),
        (
            "a/manifests/x",
            "application/json",
            &manifest,
            400,
            "UNSUPPORTED",
        ),
        ("a/manifests/x", schema1, &manifest, 400, "UNSUPPORTED"),
        ("a/manifests/x", INDEX, b"{", 400, "MANIFEST_INVALID"),
        ("a/manifests/x", INDEX, b"", 400, "MANIFEST_INVALID"),
    ] {
        let reply = registry.put(path, media_type, body).await;
        assert_eq!(
            reply.refusal(),
            (status, code.to_owned()),
            "{path} {media_type}"
        );
    }
    let headers = [("content-type", INDEX), ("content-encoding", "gzip")];
    let encoded = registry
        .call("PUT /v2/a/manifests/x", &headers, manifest.clone())
        .await;
    assert_eq!(encoded.refusal(), (415, "UNSUPPORTED".to_owned()));
    let twice = [("content-type", INDEX), ("content-type", OCI)];
    let ambiguous = registry
        .call("PUT /v2/a/manifests/x", &twice, manifest)
        .await;
    assert_eq!(ambiguous.refusal(), (400, "MANIFEST_INVALID".to_owned()));
    assert_eq!(
        registry.get("/v2/a/tags/list").await.status,
        404,
        "nothing was stored"
    );
}

#[tokio::test]
async fn four_mebibytes_are_taken_and_not_a_byte_more() {
    let registry = Registry::new();
    let mut manifest = index("x", None);
    manifest.resize(4 * 1024 * 1024, b' ');
    assert_eq!(
        registry.put("a/manifests/x", INDEX, &manifest).await.status,
        201
    );
    manifest.push(b' ');
    let refused = registry.put("a/manifests/x", INDEX, &manifest).await;
    assert_eq!(refused.refusal(), (413, "MANIFEST_INVALID".to_owned()));
    let announced = [("content-length", "1073741824"), ("expect", "100-continue")];
    let unsent = Body::from_stream(futures::stream::pending::<std::io::Result<Vec<u8>>>());
    let refused = registry
        .call("PUT /v2/a/manifests/x", &announced, unsent)
        .await;
    assert_eq!(refused.status, 413);
}

#[tokio::test]
async fn missing_leaves_are_listed_and_foreign_repositories_do_not_help() {
    let registry = Registry::new();
    let config = registry.push_blob("other", b"config").await;
    let layer = sha256(b"absent");
    let reply = registry
        .put("a/manifests/x", OCI, &image(config, 6, layer, 6))
        .await;
    assert_eq!(reply.status, 400);
    let entries = reply.json()["errors"].as_array().unwrap().clone();
    let listed: Vec<&str> = entries
        .iter()
        .map(|entry| entry["detail"]["digest"].as_str().unwrap())
        .collect();
    assert_eq!(listed, [config.to_string(), layer.to_string()]);
    assert!(
        entries
            .iter()
            .all(|entry| entry["code"] == "MANIFEST_BLOB_UNKNOWN")
    );

    let config = registry.push_blob("a", b"config").await;
    let layer = registry.push_blob("a", b"layer").await;
    let reply = registry
        .put("a/manifests/x", OCI, &image(config, 7, layer, 5))
        .await;
    assert_eq!(reply.refusal(), (400, "SIZE_INVALID".to_owned()));
}

#[tokio::test]
async fn tags_and_manifests_are_deleted_apart() {
    let registry = Registry::new();
    let (digest, _) = registry.push_image("a", "v1").await;
    registry.push_image("a", "v2").await;
    let tag = registry.call("DELETE /v2/a/manifests/v2", &[], "").await;
    assert_eq!(tag.status, 202);
    assert!(tag.header("meridian-version").ends_with("@eu"));
    assert_eq!(
        registry.get("/v2/a/manifests/v2").await.refusal(),
        (404, "MANIFEST_UNKNOWN".to_owned())
    );
    let line = format!("DELETE /v2/a/manifests/{digest}");
    assert_eq!(registry.call(&line, &[], "").await.status, 202);
    assert_eq!(registry.get("/v2/a/manifests/v1").await.status, 404);
    assert_eq!(registry.call(&line, &[], "").await.status, 404);
    assert_eq!(
        registry
            .call("DELETE /v2/a/manifests/.x", &[], "")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn what_a_registry_does_not_know_is_told_apart() {
    let registry = Registry::new();
    registry.push_image("a", "v1").await;
    for (path, status, code) in [
        ("/v2/b/manifests/v1", 404, "NAME_UNKNOWN"),
        ("/v2/a/manifests/v9", 404, "MANIFEST_UNKNOWN"),
        ("/v2/a/manifests/-x", 404, "MANIFEST_UNKNOWN"),
        ("/v2/a/manifests/sha256:xyz", 400, "DIGEST_INVALID"),
        ("/v2/A/manifests/v1", 400, "NAME_INVALID"),
    ] {
        assert_eq!(
            registry.get(path).await.refusal(),
            (status, code.to_owned()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_outdated_is_warned_of() {
    let registry = Registry::new();
    let artifact = "application/vnd.oci.artifact.manifest.v1+json";
    let manifest = format!(r#"{{"mediaType":"{artifact}","artifactType":"a/b"}}"#);
    let reply = registry
        .put("a/manifests/x", artifact, manifest.as_bytes())
        .await;
    assert_eq!(reply.status, 201, "{:?}", reply.json());
    assert!(
        reply
            .header("warning")
            .starts_with("299 - \"this media type")
    );
    let untyped = registry
        .call("PUT /v2/a/manifests/y", &[], index("y", None))
        .await;
    assert_eq!(untyped.status, 201);
    assert_eq!(
        untyped.header("warning"),
        "299 - \"the manifest was sent without a Content-Type\""
    );
    assert_eq!(
        registry
            .get("/v2/a/manifests/y")
            .await
            .header("content-type"),
        INDEX
    );
}
