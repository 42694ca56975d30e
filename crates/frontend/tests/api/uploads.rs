//! Upload sessions, in every way in which clients use them.

use super::*;

impl Registry {
    async fn open(&self) -> String {
        let reply = self
            .call(
                "POST /v2/a/b/blobs/uploads/",
                &[("content-length", "0")],
                "",
            )
            .await;
        assert_eq!(reply.status, 202);
        assert_eq!(reply.header("range"), "0-0");
        assert_eq!(reply.header("oci-chunk-min-length"), "1024");
        let location = reply.header("location").to_owned();
        assert_eq!(
            location,
            format!(
                "/v2/a/b/blobs/uploads/{}",
                reply.header("docker-upload-uuid")
            )
        );
        location
    }

    async fn patch(&self, location: &str, range: &str, chunk: &str) -> Reply {
        let length = chunk.len().to_string();
        let headers = [("content-range", range), ("content-length", &length)];
        self.call(&format!("PATCH {location}"), &headers, chunk.to_owned())
            .await
    }
}

#[tokio::test]
async fn a_blob_comes_in_chunks_whose_disorder_can_be_mended() {
    let registry = Registry::new();
    let location = registry.open().await;
    let first = registry.patch(&location, "0-4", "hello").await;
    assert_eq!((first.status.as_u16(), first.header("range")), (202, "0-4"));
    for range in ["0-4", "6-10", "5-1"] {
        let reply = registry.patch(&location, range, "hello").await;
        assert_eq!(
            reply.refusal(),
            (416, "RANGE_INVALID".to_owned()),
            "{range}"
        );
        assert_eq!(
            (reply.header("range"), reply.header("location")),
            ("0-4", location.as_str())
        );
    }
    for method in ["GET", "HEAD"] {
        let status = registry
            .call(&format!("{method} {location}?_state=stale"), &[], "")
            .await;
        assert_eq!(
            (status.status.as_u16(), status.header("range")),
            (204, "0-4")
        );
        assert_eq!(status.header("location"), location);
    }
    let digest = sha256(b"hello world");
    let line = format!("PUT {location}?_state=x&digest={digest}");
    let disorder = [("content-range", "0-5"), ("content-length", "6")];
    assert_eq!(registry.call(&line, &disorder, " world").await.status, 416);
    let last = [("content-range", "5-10"), ("content-length", "6")];
    let done = registry.call(&line, &last, " world").await;
    assert_eq!(done.status, 201);
    assert_eq!(done.header("location"), format!("/v2/a/b/blobs/{digest}"));
    assert_eq!(done.header("docker-content-digest"), digest.to_string());
    assert_eq!(
        registry.get(done.header("location")).await.body,
        b"hello world"
    );
    assert_eq!(
        registry.call(&line, &[], "").await.status,
        201,
        "a repeated PUT"
    );
}

#[tokio::test]
async fn a_blob_comes_as_a_stream_or_at_once() {
    let registry = Registry::new();
    let digest = sha256(b"abcd");
    let streamed = registry.open().await;
    for piece in ["ab", "cd"] {
        let stream = futures::stream::iter([Ok::<_, std::io::Error>(piece)]);
        let body = Body::from_stream(stream);
        let octets = [("content-type", "application/octet-stream")];
        let reply = registry
            .call(&format!("PATCH {streamed}"), &octets, body)
            .await;
        assert_eq!(reply.status, 202);
    }
    let monolithic = registry.open().await;
    for (location, body) in [(streamed, ""), (monolithic, "abcd")] {
        let line = format!(
            "PUT {location}?digest={}",
            digest.to_string().replace(':', "%3A")
        );
        assert_eq!(registry.call(&line, &[], body).await.status, 201);
    }
    let sha512 = Digest::of(Algorithm::Sha512, b"abcd");
    let line = format!("POST /v2/a/blobs/uploads/?digest={sha512}");
    let reply = registry.call(&line, &[], "abcd").await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("docker-content-digest"), sha512.to_string());
}

#[tokio::test]
async fn opening_takes_what_clients_send() {
    let registry = Registry::new();
    for line in [
        "POST /v2/a/blobs/uploads/",
        "POST /v2/a/blobs/uploads",
        "POST /v2/a%2Fb/blobs/uploads/?ns=docker.io&origin=x",
        "POST /v2/a/blobs/uploads/?digest-algorithm=sha512",
    ] {
        let json = [
            ("content-type", "application/json"),
            ("content-length", "0"),
        ];
        assert_eq!(registry.call(line, &json, "").await.status, 202, "{line}");
    }
    let refused = registry
        .call("POST /v2/a/blobs/uploads/?digest-algorithm=md5", &[], "")
        .await;
    assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".to_owned()));
}

#[tokio::test]
async fn hostile_heads_are_refused_before_the_body_is_read() {
    let registry = Registry::new();
    let location = registry.open().await;
    let digest = sha256(b"x");
    for (line, headers, status, code) in [
        (
            "PATCH",
            &[("content-range", "0-")][..],
            400,
            "BLOB_UPLOAD_INVALID",
        ),
        (
            "PATCH",
            &[("content-range", "a-b")],
            400,
            "BLOB_UPLOAD_INVALID",
        ),
        (
            "PATCH",
            &[("content-range", "bytes 0-9/10")],
            400,
            "BLOB_UPLOAD_INVALID",
        ),
        (
            "PATCH",
            &[("content-range", "0-18446744073709551616")],
            400,
            "BLOB_UPLOAD_INVALID",
        ),
        (
            "PATCH",
            &[("content-range", "0-9"), ("content-length", "5")],
            400,
            "SIZE_INVALID",
        ),
        (
            "PATCH",
            &[("content-type", "application/json")],
            415,
            "UNSUPPORTED",
        ),
        ("PUT", &[], 400, "DIGEST_INVALID"),
        ("PUT ?digest=", &[], 400, "DIGEST_INVALID"),
        ("PUT ?digest=sha256:xyz", &[], 400, "DIGEST_INVALID"),
        (
            &format!("PUT ?digest={digest}&digest={digest}"),
            &[],
            400,
            "DIGEST_INVALID",
        ),
    ] {
        let (method, query) = line.split_once(' ').unwrap_or((line, ""));
        let body = Body::from_stream(futures::stream::pending::<std::io::Result<Vec<u8>>>());
        let mut request = vec![("expect", "100-continue")];
        request.extend_from_slice(headers);
        let reply = registry
            .call(&format!("{method} {location}{query}"), &request, body)
            .await;
        assert_eq!(
            reply.refusal(),
            (status, code.to_owned()),
            "{line} {headers:?}"
        );
    }
    assert_eq!(registry.get(&location).await.header("range"), "0-0");
}

#[tokio::test]
async fn what_differs_from_its_digest_or_length_leaves_nothing() {
    let registry = Registry::new();
    let location = registry.open().await;
    let digest = sha256(b"other");
    let line = format!("PUT {location}?digest={digest}");
    let refused = registry.call(&line, &[], "content").await;
    assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".to_owned()));
    let short = registry
        .call(
            &format!("PATCH {}", registry.open().await),
            &[("content-length", "9")],
            "short",
        )
        .await;
    assert_eq!(short.refusal(), (400, "SIZE_INVALID".to_owned()));
    let line = format!("POST /v2/a/b/blobs/uploads/?digest={digest}");
    let refused = registry.call(&line, &[], "content").await;
    assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".to_owned()));
    assert_eq!(
        registry
            .get(&format!("/v2/a/b/blobs/{digest}"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_session_belongs_to_its_repository_and_ends() {
    let registry = Registry::new();
    let location = registry.open().await;
    let foreign = location.replace("/a/b/", "/a/c/");
    let unknown = (404, "BLOB_UPLOAD_UNKNOWN".to_owned());
    for method in ["GET", "PATCH", "DELETE"] {
        assert_eq!(
            registry
                .call(&format!("{method} {foreign}"), &[], "")
                .await
                .refusal(),
            unknown
        );
    }
    assert_eq!(
        registry
            .call(&format!("DELETE {location}"), &[], "")
            .await
            .status,
        204
    );
    for line in [
        format!("GET {location}"),
        format!("DELETE {location}"),
        "GET /v2/a/b/blobs/uploads/x".to_owned(),
    ] {
        assert_eq!(
            registry.call(&line, &[], "").await.refusal(),
            unknown,
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_mount_succeeds_or_becomes_a_session() {
    let registry = Registry::new();
    let digest = registry.push_blob("source", b"x").await;
    for from in ["&from=source", ""] {
        let line = format!(
            "POST /v2/target{}/blobs/uploads/?mount={digest}{from}&origin=x",
            from.len()
        );
        let reply = registry.call(&line, &[], "").await;
        assert_eq!(reply.status, 201);
        let path = format!("/v2/target{}/blobs/{digest}", from.len());
        assert_eq!(reply.header("location"), path);
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        assert_eq!(registry.get(&path).await.status, 200);
    }
    let absent = sha256(b"absent");
    for query in [
        format!("mount={digest}&from=nowhere"),
        format!("mount={digest}&from=No%20Name"),
        format!("mount={absent}&from=source"),
        format!("mount={absent}"),
    ] {
        let line = format!("POST /v2/other/blobs/uploads/?{query}");
        let reply = registry.call(&line, &[], "").await;
        assert_eq!(reply.status, 202, "{query}");
        assert!(
            reply
                .header("location")
                .starts_with("/v2/other/blobs/uploads/")
        );
    }
    let refused = registry
        .call("POST /v2/a/blobs/uploads/?mount=md5:x", &[], "")
        .await;
    assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".to_owned()));
}

#[tokio::test]
async fn of_two_writers_one_is_refused() {
    let registry = Registry::new();
    let location = registry.open().await;
    let line = format!("PATCH {location}");
    let (sender, receiver) = futures::channel::oneshot::channel::<()>();
    let slow = Body::from_stream(futures::stream::once(async {
        receiver.await.unwrap();
        Ok::<_, std::io::Error>("slow")
    }));
    let first = registry.call(&line, &[], slow);
    let second = async {
        let refused = registry.call(&line, &[], "fast").await;
        assert_eq!(refused.refusal(), (409, "BLOB_UPLOAD_INVALID".to_owned()));
        sender.send(()).unwrap();
    };
    let (first, ()) = futures::future::join(first, second).await;
    assert_eq!((first.status.as_u16(), first.header("range")), (202, "0-3"));
}
