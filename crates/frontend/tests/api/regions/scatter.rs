//! Pushes whose requests do not all come to the same region.

use super::*;

#[tokio::test]
async fn a_session_is_gone_on_with_in_its_region_wherever_its_client_is_led() {
    let world = World::new();
    let opened = world.us.call("POST /v2/a/blobs/uploads/", &[], "").await;
    let location = opened.header("location").to_owned();
    let id = opened.header("docker-upload-uuid");
    assert!(id.starts_with("us~"), "{id}");
    assert_eq!(location, format!("/v2/a/blobs/uploads/{id}"));

    let first = [("content-range", "0-4"), ("content-length", "5")];
    let line = format!("PATCH {location}");
    let appended = world.eu.call(&line, &first, "hello").await;
    assert_eq!(appended.status, 202);
    let again = world.eu.call(&line, &first, "hello").await;
    assert_eq!(again.refusal(), (416, "RANGE_INVALID".to_owned()));
    let status = world.eu.get(&location).await;
    assert_eq!(status.status, 204);
    for reply in [appended, again, status] {
        assert_eq!(reply.header("location"), location);
        assert_eq!(reply.header("range"), "0-4");
    }

    let digest = sha256(b"hello");
    let done = world
        .eu
        .call(&format!("PUT {location}?digest={digest}"), &[], "")
        .await;
    assert_eq!(done.status, 201);
    let blob = world.eu.get(done.header("location")).await;
    assert_eq!((blob.status.as_u16(), &blob.body[..]), (200, &b"hello"[..]));

    let other = world.us.call("POST /v2/a/blobs/uploads/", &[], "").await;
    let line = format!("DELETE {}", other.header("location"));
    assert_eq!(world.eu.call(&line, &[], "").await.status, 204);
    assert_eq!(world.us.get(other.header("location")).await.status, 404);
}

#[tokio::test]
async fn a_session_of_a_region_that_nobody_knows_is_unknown() {
    let world = World::new();
    let opened = world.eu.call("POST /v2/a/blobs/uploads/", &[], "").await;
    let id = opened
        .header("docker-upload-uuid")
        .strip_prefix("eu~")
        .unwrap();
    for (registry, region, status) in [
        (&world.eu, "eu~", 204),
        (&world.eu, "", 204),
        (&world.us, "eu~", 204),
        (&world.us, "", 404),
        (&world.eu, "us~", 404),
        (&world.eu, "asia~", 404),
        (&world.eu, "EU~", 404),
        (&Registry::new(), "eu~", 404),
    ] {
        let reply = registry
            .get(&format!("/v2/a/blobs/uploads/{region}{id}"))
            .await;
        assert_eq!(reply.status, status, "{region}");
        if status == 404 {
            assert_eq!(reply.refusal().1, "BLOB_UPLOAD_UNKNOWN", "{region}");
        }
    }
}

#[tokio::test]
async fn a_blob_is_there_for_a_push_only_once_it_is_here() {
    let world = World::new();
    let digest = world.us.push_blob("a", b"layer").await;
    let line = format!("HEAD /v2/a/blobs/{digest}");
    let reply = world.eu.call(&line, &[], "").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("content-length")),
        (200, "5")
    );
    assert_eq!(reply.header("meridian-region"), "eu");
    world.abroad.cut(true);
    assert_eq!(world.eu.call(&line, &[], "").await.status, 200);
    // A region that is cut off takes pushes.
    let line = format!("HEAD /v2/a/blobs/{}", sha256(b"other"));
    assert_eq!(world.eu.call(&line, &[], "").await.status, 404);
}

#[tokio::test]
async fn a_blob_that_another_region_has_is_deleted_here() {
    let world = World::new();
    let digest = world.us.push_blob("a", b"layer").await;
    let line = format!("DELETE /v2/a/blobs/{digest}");
    assert_eq!(world.eu.call(&line, &[], "").await.status, 202);
    let nowhere = format!("DELETE /v2/a/blobs/{}", sha256(b"other"));
    assert_eq!(world.eu.call(&nowhere, &[], "").await.status, 404);
}

#[tokio::test]
async fn a_manifest_has_what_it_names_brought_from_other_regions() {
    let world = World::new();
    let config = world.eu.push_blob("a", b"v1").await;
    let layer = world.us.push_blob("a", b"layer").await;
    let manifest = image(config, 2, layer, 5);
    let put = world.eu.put("a/manifests/v1", OCI, &manifest).await;
    assert_eq!(put.status, 201);
    assert!(put.headers.contains_key("meridian-version"));
    assert_eq!(world.abroad.asked("bring"), 1);

    let child = world.us.tag("a", "child", "child").await;
    let size = index("child", None).len();
    let parent = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{{"mediaType":"{INDEX}","digest":"{child}","size":{size}}}]}}"#
    );
    let put = world
        .eu
        .put("a/manifests/all", INDEX, parent.as_bytes())
        .await;
    assert_eq!(put.status, 201);
}

#[tokio::test]
async fn a_manifest_that_names_what_is_nowhere_is_refused_and_says_what() {
    let world = World::new();
    let layer = world.us.push_blob("a", b"layer").await;
    let nowhere = sha256(b"nowhere");
    let manifest = image(nowhere, 7, layer, 5);
    let put = world.eu.put("a/manifests/v1", OCI, &manifest).await;
    assert_eq!(put.refusal(), (400, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    let errors = put.json()["errors"].as_array().unwrap().clone();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0]["detail"]["digest"], nowhere.to_string());
    world.abroad.cut(true);
    let put = world.eu.put("a/manifests/v1", OCI, &manifest).await;
    assert_eq!(put.refusal(), (503, "UNAVAILABLE".to_owned()));
    assert_eq!(put.header("retry-after"), "1");
}

/// Every way in which the requests of a push can fall to two regions.
#[tokio::test]
async fn a_push_succeeds_however_its_requests_are_scattered() {
    for way in 0..1_u32 << 6 {
        let world = World::new();
        let at = |request: u32| match way >> request & 1 {
            0 => &world.eu,
            _ => &world.us,
        };
        let (config, layer) = (sha256(b"v1"), sha256(b"layer"));
        let opened = at(0).call("POST /v2/a/blobs/uploads/", &[], "").await;
        let line = format!("PATCH {}", opened.header("location"));
        let appended = at(1).call(&line, &[], "layer").await;
        assert_eq!(appended.status, 202, "{way:06b}");
        let line = format!("PUT {}?digest={layer}", appended.header("location"));
        assert_eq!(at(2).call(&line, &[], "").await.status, 201, "{way:06b}");
        let line = format!("POST /v2/a/blobs/uploads/?digest={config}");
        assert_eq!(at(3).call(&line, &[], "v1").await.status, 201, "{way:06b}");
        let line = format!("HEAD /v2/a/blobs/{layer}");
        assert_eq!(at(4).call(&line, &[], "").await.status, 200, "{way:06b}");
        let manifest = image(config, 2, layer, 5);
        let put = at(5).put("a/manifests/v1", OCI, &manifest).await;
        assert_eq!(put.status, 201, "{way:06b}");
        for registry in [&world.eu, &world.us] {
            let got = registry.get("/v2/a/manifests/v1").await;
            assert_eq!(got.body, manifest, "{way:06b}");
        }
    }
}
