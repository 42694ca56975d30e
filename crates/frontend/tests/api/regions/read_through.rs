//! What is not here and is had elsewhere.

use futures::future::join_all;

use super::*;

#[tokio::test]
async fn a_manifest_of_another_region_is_answered_with_the_region_that_had_it() {
    let world = World::new();
    let (digest, manifest) = world.us.push_image("a", "v1").await;
    for reference in ["v1".to_owned(), digest.to_string()] {
        let path = format!("/v2/a/manifests/{reference}");
        let got = world.eu.get(&path).await;
        assert_eq!((got.status.as_u16(), &got.body), (200, &manifest));
        assert_eq!(got.header("content-type"), OCI);
        let head = world.eu.call(&format!("HEAD {path}"), &[], "").await;
        assert_eq!(head.header("content-length"), manifest.len().to_string());
        let etag = format!("\"{digest}\"");
        let held = [("if-none-match", etag.as_str())];
        let current = world.eu.call(&format!("GET {path}"), &held, "").await;
        assert_eq!(current.status, 304);
        for reply in [got, head, current] {
            assert_eq!(reply.header("meridian-region"), "us", "{path}");
            assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        }
    }
}

#[tokio::test]
async fn a_blob_of_another_region_is_streamed_whole_or_in_part() {
    let world = World::new();
    let digest = world.us.push_blob("a", b"hello world").await;
    let path = format!("/v2/a/blobs/{digest}");
    let whole = world.eu.get(&path).await;
    assert_eq!(
        (whole.status.as_u16(), &whole.body[..]),
        (200, &b"hello world"[..])
    );
    let line = format!("GET {path}");
    let part = world.eu.call(&line, &[("range", "bytes=6-")], "").await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &b"world"[..]));
    assert_eq!(part.header("content-range"), "bytes 6-10/11");
    let outside = world.eu.call(&line, &[("range", "bytes=11-")], "").await;
    assert_eq!(outside.status, 416);
    let etag = format!("\"{digest}\"");
    let held = [("if-none-match", etag.as_str())];
    let current = world.eu.call(&line, &held, "").await;
    assert_eq!(current.status, 304);
    for reply in [whole, part, current] {
        assert_eq!(reply.header("meridian-region"), "us");
    }
}

#[tokio::test]
async fn what_is_here_is_answered_by_this_region_and_nobody_is_asked() {
    let world = World::new();
    let (digest, _) = world.eu.push_image("a", "v1").await;
    let blob = sha256(b"layer");
    for path in [
        format!("/v2/a/manifests/{digest}"),
        format!("/v2/a/blobs/{blob}"),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = world.eu.call(&format!("{method} {path}"), &[], "").await;
            assert_eq!(reply.status, 200);
            assert_eq!(reply.header("meridian-region"), "eu");
        }
    }
    for call in ["resolve", "read_blob", "bring"] {
        assert_eq!(world.abroad.asked(call), 0, "{call}");
    }
    let alone = Registry::new();
    let (digest, _) = alone.push_image("a", "v1").await;
    let reply = alone.get(&format!("/v2/a/manifests/{digest}")).await;
    assert!(!reply.headers.contains_key("meridian-region"));
}

#[tokio::test]
async fn what_is_nowhere_is_unknown_as_it_always_was() {
    let world = World::new();
    world.eu.tag("b", "v1", "x").await;
    let digest = sha256(b"nowhere");
    for (path, code) in [
        ("/v2/a/manifests/v1".to_owned(), "NAME_UNKNOWN"),
        ("/v2/b/manifests/v2".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("/v2/b/manifests/{digest}"), "MANIFEST_UNKNOWN"),
        (format!("/v2/b/blobs/{digest}"), "BLOB_UNKNOWN"),
    ] {
        let reply = world.eu.get(&path).await;
        assert_eq!(reply.refusal(), (404, code.to_owned()), "{path}");
        assert_eq!(reply.header("meridian-region"), "eu");
    }
}

#[tokio::test]
async fn a_leaf_is_never_unknown_while_who_has_it_cannot_be_reached() {
    let world = World::new();
    let (digest, _) = world.us.push_image("a", "v1").await;
    let (leaf, other) = (sha256(b"layer"), sha256(b"other"));
    world.abroad.cut(true);
    world.abroad.want(leaf);
    for line in [
        format!("GET /v2/a/blobs/{leaf}"),
        format!("HEAD /v2/a/blobs/{leaf}"),
        format!("GET /v2/a/manifests/{digest}"),
    ] {
        let reply = world.eu.call(&line, &[], "").await;
        assert_eq!(reply.status, 503, "{line}");
        assert_eq!(reply.header("retry-after"), "1", "{line}");
    }
    // Nothing needs this, so a push may be told to upload it.
    for method in ["GET", "HEAD"] {
        let line = format!("{method} /v2/a/blobs/{other}");
        assert_eq!(world.eu.call(&line, &[], "").await.status, 404, "{line}");
    }
    world.abroad.cut(false);
    let back = world.eu.get(&format!("/v2/a/blobs/{leaf}")).await;
    assert_eq!(back.status, 200, "nobody was said to have it nowhere");
}

#[tokio::test]
async fn that_something_is_nowhere_is_remembered_for_a_second() {
    let world = World::new();
    let digest = sha256(&index("late", None));
    let paths = [
        "/v2/a/manifests/late".to_owned(),
        format!("/v2/a/manifests/{digest}"),
    ];
    for (path, asked) in paths.iter().zip(1..) {
        for _ in 0..3 {
            assert_eq!(world.eu.get(path).await.status, 404);
            assert_eq!(world.abroad.asked("resolve"), asked, "{path}");
        }
    }
    let blob = format!("/v2/a/blobs/{}", sha256(b"late"));
    for _ in 0..3 {
        assert_eq!(world.eu.get(&blob).await.status, 404);
        assert_eq!(world.abroad.asked("read_blob"), 1);
    }
    // Of another repository nothing is known.
    assert_eq!(world.eu.get("/v2/b/manifests/late").await.status, 404);
    assert_eq!(world.abroad.asked("resolve"), 3);

    world.us.tag("a", "late", "late").await;
    world.us.push_blob("a", b"late").await;
    let in_a_push = world.eu.call(&format!("HEAD {blob}"), &[], "").await;
    assert_eq!(in_a_push.status, 200, "a push relies on no memory");
    world.clock.advance(1_000);
    for path in &paths {
        assert_eq!(world.eu.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn clients_that_miss_the_same_have_it_looked_for_once() {
    let world = World::new();
    let (digest, _) = world.us.push_image("a", "v1").await;
    let paths = ["v1".to_owned(), digest.to_string()];
    for (reference, asked) in paths.iter().zip(1..) {
        world.abroad.hold();
        let path = format!("/v2/a/manifests/{reference}");
        let clients = join_all((0..20).map(|_| world.eu.get(&path)));
        let release = async { world.abroad.release() };
        let (replies, ()) = tokio::join!(clients, release);
        assert!(replies.iter().all(|reply| reply.status == 200));
        assert_eq!(world.abroad.asked("resolve"), asked, "{path}");
    }
    // What is over is not answered again.
    assert_eq!(world.eu.get("/v2/a/manifests/v1").await.status, 200);
    assert_eq!(world.abroad.asked("resolve"), 3);
}

#[tokio::test]
async fn a_client_that_vanishes_takes_no_answer_from_another() {
    let world = World::new();
    world.us.push_image("a", "v1").await;
    world.abroad.hold();
    let get = || Box::pin(world.eu.get("/v2/a/manifests/v1"));
    let (mut first, mut second) = (get(), get());
    for client in [&mut first, &mut second] {
        assert!(futures::poll!(client).is_pending());
    }
    drop(first);
    world.abroad.release();
    assert_eq!(second.await.status, 200);
    assert_eq!(world.abroad.asked("resolve"), 1);
}
