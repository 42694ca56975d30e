//! Conditional requests.

use super::*;

#[tokio::test]
async fn a_manifest_that_the_client_has_is_not_sent() {
    let registry = Registry::new();
    let (digest, _) = registry.push_image("a", "v1").await;
    let etag = format!("\"{digest}\"");
    for method in ["GET", "HEAD"] {
        for reference in ["v1".to_owned(), digest.to_string()] {
            let line = format!("{method} /v2/a/manifests/{reference}");
            let current = registry.call(&line, &[("if-none-match", &etag)], "").await;
            assert_eq!(current.status, 304, "{line}");
            assert_eq!(current.header("docker-content-digest"), digest.to_string());
            let changed = registry
                .call(&line, &[("if-none-match", "\"x\"")], "")
                .await;
            assert_eq!(changed.status, 200, "{line}");
        }
        let line = format!("{method} /v2/a/manifests/absent");
        let absent = registry.call(&line, &[("if-none-match", &etag)], "").await;
        assert_eq!(absent.status, 404);
    }
}

#[tokio::test]
async fn a_tag_moves_only_from_where_the_client_says() {
    let registry = Registry::new();
    let put = async |manifest: &[u8], header: (&str, &str)| {
        let headers = [("content-type", INDEX), header];
        registry
            .call("PUT /v2/a/manifests/v1", &headers, manifest.to_vec())
            .await
    };
    let (one, two) = (index("one", None), index("two", None));
    let (first, second) = (
        format!("\"{}\"", sha256(&one)),
        format!("\"{}\"", sha256(&two)),
    );

    assert_eq!(put(&one, ("if-match", &first)).await.status, 412);
    assert_eq!(put(&one, ("if-none-match", "*")).await.status, 201);
    let taken = put(&two, ("if-none-match", "*")).await;
    assert_eq!(taken.refusal(), (412, "DENIED".to_owned()));
    assert_eq!(taken.header("etag"), first);
    assert_eq!(put(&two, ("if-match", &second)).await.status, 412);
    assert_eq!(put(&two, ("if-match", "\"nonsense\"")).await.status, 412);
    assert_eq!(put(&two, ("if-match", &first)).await.status, 201);

    let line = "DELETE /v2/a/manifests/v1";
    assert_eq!(
        registry
            .call(line, &[("if-match", &first)], "")
            .await
            .status,
        412
    );
    assert_eq!(
        registry
            .call(line, &[("if-match", &second)], "")
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn conditions_that_cannot_be_decided_are_refused_not_ignored() {
    let registry = Registry::new();
    let manifest = index("one", None);
    let digest = sha256(&manifest);
    let etag = format!("\"{digest}\"");
    for (reference, header) in [
        ("v1", ("if-match", "*")),
        ("v1", ("if-none-match", etag.as_str())),
        (&digest.to_string(), ("if-match", &etag)),
    ] {
        let line = format!("PUT /v2/a/manifests/{reference}");
        let headers = [("content-type", INDEX), header];
        let reply = registry.call(&line, &headers, manifest.clone()).await;
        assert_eq!(
            reply.refusal(),
            (400, "UNSUPPORTED".to_owned()),
            "{reference} {header:?}"
        );
    }
    let line = format!("PUT /v2/a/manifests/{digest}");
    let absent = [("content-type", INDEX), ("if-none-match", "*")];
    assert_eq!(
        registry.call(&line, &absent, manifest.clone()).await.status,
        201
    );
    assert_eq!(registry.call(&line, &absent, manifest).await.status, 412);
    let line = format!("DELETE /v2/a/manifests/{digest}");
    let other = format!("\"{}\"", sha256(b"other"));
    assert_eq!(
        registry
            .call(&line, &[("if-match", &other)], "")
            .await
            .status,
        412
    );
    assert_eq!(
        registry
            .call(&line, &[("if-match", &etag)], "")
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn what_is_not_what_the_client_means_is_not_sent() {
    let registry = Registry::new();
    let (digest, _) = registry.push_image("a", "v1").await;
    let blob = registry.push_blob("a", b"blob").await;
    for (path, digest, unknown) in [
        ("manifests/v1".to_owned(), digest, "MANIFEST_UNKNOWN"),
        (format!("blobs/{blob}"), blob, "BLOB_UNKNOWN"),
    ] {
        let [own, other] = [digest, sha256(b"other")].map(|digest| format!("\"{digest}\""));
        for method in ["GET", "HEAD"] {
            let line = format!("{method} /v2/a/{path}");
            let meant = registry.call(&line, &[("if-match", &own)], "").await;
            assert_eq!(meant.status, 200, "{line}");
            let both = [("if-match", &*own), ("if-none-match", &*own)];
            assert_eq!(registry.call(&line, &both, "").await.status, 304, "{line}");
            let differs = registry.call(&line, &[("if-match", &other)], "").await;
            assert_eq!(differs.status, 412, "{line}");
            assert_eq!(differs.header("etag"), own, "{line}");
        }
        let (kind, _) = path.split_once('/').unwrap();
        let line = format!("GET /v2/a/{kind}/{}", sha256(b"absent"));
        let absent = registry.call(&line, &[("if-match", &own)], "").await;
        assert_eq!(absent.refusal(), (404, unknown.to_owned()));
    }
}

#[tokio::test]
async fn a_blob_is_deleted_only_under_its_own_name() {
    let registry = Registry::new();
    let digest = registry.push_blob("a", b"bytes").await;
    let line = format!("DELETE /v2/a/blobs/{digest}");
    let [own, other] = [digest, sha256(b"other")].map(|digest| format!("\"{digest}\""));
    let weak = format!("W/{own}");
    for (header, status) in [
        (("if-match", &*other), 412),
        (("if-match", &*weak), 412),
        (("if-none-match", "*"), 400),
        (("if-match", &*own), 202),
    ] {
        let reply = registry.call(&line, &[header], "").await;
        assert_eq!(reply.status, status, "{header:?}");
    }
}
