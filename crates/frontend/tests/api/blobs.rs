//! Blobs: whole, in part, under conditions, and deleted.

use meridian_clients::Stale;

use super::*;

#[tokio::test]
async fn a_blob_is_served_with_all_that_clients_look_for() {
    let registry = Registry::new();
    let digest = registry.push_blob("a/b", b"content").await;
    let path = format!("/v2/a/b/blobs/{digest}");
    let got = registry.get(&path).await;
    let looked = registry.call(&format!("HEAD {path}"), &[], "").await;
    assert_eq!(got.body, b"content");
    for reply in [&got, &looked] {
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), "application/octet-stream");
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        assert_eq!(reply.header("etag"), format!("\"{digest}\""));
        assert_eq!(reply.header("accept-ranges"), "bytes");
        assert_eq!(reply.header("cache-control"), "max-age=31536000");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(looked.header("content-length"), "7");
    assert!(looked.body.is_empty());
    let escaped = registry
        .get(&format!(
            "/v2/a%2Fb/blobs/{}",
            digest.to_string().replace(':', "%3A")
        ))
        .await;
    assert_eq!(escaped.body, b"content");
    let ignored = registry
        .get(&format!("{path}?ns=docker.io&api-version=x"))
        .await;
    assert_eq!(ignored.status, 200);
}

#[tokio::test]
async fn ranges_follow_the_table() {
    let registry = Registry::new();
    let content: Vec<u8> = (0..2048_u32)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect();
    let digest = registry.push_blob("a", &content).await;
    let path = format!("GET /v2/a/blobs/{digest}");
    for (range, part) in [
        ("bytes=500-1499", 500..1500),
        ("bytes=500-", 500..2048),
        ("bytes=-500", 1548..2048),
        ("bytes=2000-5000", 2000..2048),
        ("bytes=0-4194303", 0..2048),
    ] {
        let reply = registry.call(&path, &[("range", range)], "").await;
        assert_eq!(reply.status, 206, "{range}");
        let (start, end) = (part.start, part.end - 1);
        assert_eq!(
            reply.header("content-range"),
            format!("bytes {start}-{end}/2048")
        );
        assert_eq!(reply.body, content[part]);
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    }
    for range in ["bytes=500-0", "bytes=5000-10000", "bytes=2048-"] {
        let reply = registry.call(&path, &[("range", range)], "").await;
        assert_eq!(
            reply.refusal(),
            (416, "RANGE_INVALID".to_owned()),
            "{range}"
        );
        assert_eq!(reply.header("content-range"), "bytes */2048");
    }
    for headers in [
        &[("range", "bytes=0-1,5-6")][..],
        &[("range", "items=0-1")],
        &[("range", "bytes=0-1"), ("range", "bytes=5-6")],
        &[("range", "bytes=0-1"), ("if-range", "\"other\"")],
    ] {
        let reply = registry.call(&path, headers, "").await;
        assert_eq!(
            (reply.status.as_u16(), reply.body.len()),
            (200, 2048),
            "{headers:?}"
        );
    }
    let etag = format!("\"{digest}\"");
    let resumed = [("range", "bytes=1-"), ("if-range", etag.as_str())];
    assert_eq!(registry.call(&path, &resumed, "").await.status, 206);
}

#[tokio::test]
async fn a_blob_that_the_client_has_is_not_sent_but_must_be_there() {
    let registry = Registry::new();
    let digest = registry.push_blob("a", b"x").await;
    let etag = format!("\"{digest}\"");
    for method in ["GET", "HEAD"] {
        let line = format!("{method} /v2/a/blobs/{digest}");
        let reply = registry.call(&line, &[("if-none-match", &etag)], "").await;
        assert_eq!(reply.status, 304);
        assert_eq!(reply.header("etag"), etag);
        let line = format!("{method} /v2/b/blobs/{digest}");
        let reply = registry.call(&line, &[("if-none-match", &etag)], "").await;
        assert_eq!(reply.status, 404);
    }
}

#[tokio::test]
async fn what_is_absent_or_malformed_is_told_apart() {
    let registry = Registry::new();
    let absent = sha256(b"absent");
    let expected = (404, "BLOB_UNKNOWN".to_owned());
    assert_eq!(
        registry
            .get(&format!("/v2/a/blobs/{absent}"))
            .await
            .refusal(),
        expected
    );
    let line = format!("DELETE /v2/a/blobs/{absent}");
    assert_eq!(registry.call(&line, &[], "").await.refusal(), expected);
    let malformed = registry.get("/v2/a/blobs/sha256:xyz").await;
    assert_eq!(malformed.refusal(), (400, "DIGEST_INVALID".to_owned()));
}

#[tokio::test]
async fn deletion_is_refused_while_a_manifest_needs_the_blob() {
    let registry = Registry::new();
    let (manifest, _) = registry.push_image("a", "v1").await;
    let line = format!("DELETE /v2/a/blobs/{}", sha256(b"layer"));
    let refused = registry.call(&line, &[], "").await;
    assert_eq!(refused.refusal(), (409, "DENIED".to_owned()));
    let detail = &refused.json()["errors"][0]["detail"];
    assert_eq!(detail["neededBy"][0], manifest.to_string());

    let manifest = format!("DELETE /v2/a/manifests/{manifest}");
    assert_eq!(registry.call(&manifest, &[], "").await.status, 202);
    assert_eq!(registry.call(&line, &[], "").await.status, 202);
    assert_eq!(registry.call(&line, &[], "").await.status, 404);
}

#[tokio::test]
async fn what_may_be_gone_says_so() {
    let registry = Registry::new();
    let (manifest, _) = registry.push_image("a", "1").await;
    let layer = sha256(b"layer");
    registry.memory.age(Stale {
        region: "eu".parse().unwrap(),
        age: Some(Duration::from_millis(2_900)),
    });
    let etag = format!("\"{layer}\"");
    for (line, headers, status) in [
        (format!("GET /v2/a/blobs/{layer}"), &[][..], 200),
        (format!("HEAD /v2/a/blobs/{layer}"), &[], 200),
        (
            format!("GET /v2/a/blobs/{layer}"),
            &[("range", "bytes=1-2")],
            206,
        ),
        (
            format!("GET /v2/a/blobs/{layer}"),
            &[("if-none-match", &*etag)],
            304,
        ),
        (format!("GET /v2/a/manifests/{manifest}"), &[], 200),
    ] {
        let reply = registry.call(&line, headers, "").await;
        assert_eq!(reply.status, status, "{line}");
        assert_eq!(reply.header("meridian-stale"), "eu;age=2", "{line}");
    }
}
