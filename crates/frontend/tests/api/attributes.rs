//! What Azure Container Registry has beyond the distribution API.

use serde_json::json;

use super::lists::next;
use super::*;

const LOCKED: &str = "REGISTRY_DISALLOWED_OPERATION";

/// Tags `1` to `4` of two images.
async fn tagged() -> (Registry, [Digest; 2]) {
    let registry = Registry::new();
    for (tag, marker) in [("3", "x"), ("1", "x"), ("2", "y"), ("4", "x")] {
        let path = format!("team/app/manifests/{tag}");
        assert_eq!(
            registry
                .put(&path, INDEX, &index(marker, None))
                .await
                .status,
            201
        );
    }
    let digests = ["x", "y"].map(|marker| sha256(&index(marker, None)));
    (registry, digests)
}

/// What stands under a key of each item of a list.
fn each(reply: &Reply, list: &str, key: &str) -> Vec<String> {
    let items = reply.json()[list].as_array().unwrap().clone();
    let texts = items
        .iter()
        .map(|item| item[key].as_str().unwrap().to_owned());
    texts.collect()
}

#[tokio::test]
async fn a_registry_is_called_as_its_client_calls_it() {
    let (registry, [one, _]) = tagged().await;
    for path in [
        "/acr/v1/team/app".to_owned(),
        "/acr/v1/team/app/_tags/1".to_owned(),
        "/acr/v1/team/app/_tags".to_owned(),
        format!("/acr/v1/team%2Fapp/_manifests/{one}"),
        "/acr/v1/team%2Fapp/_manifests".to_owned(),
    ] {
        let line = format!("GET {path}");
        let reply = registry
            .call(&line, &[("host", "reg.example:5000")], "")
            .await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.json()["registry"], "reg.example:5000", "{path}");
        assert_eq!(reply.json()["imageName"], "team/app", "{path}");
        assert_eq!(
            registry.get(&path).await.json()["registry"],
            "default",
            "{path}"
        );
    }
    let host = [("host", "reg.example")];
    let set = registry
        .call("PATCH /acr/v1/team/app/_tags/1", &host, "{}")
        .await;
    assert_eq!(set.json()["registry"], "reg.example");
}

#[tokio::test]
async fn a_blob_that_must_not_be_pulled_is_refused_as_a_manifest_is() {
    let registry = Registry::new();
    let digest = registry.push_blob("a", b"secret").await;
    registry.push_image("a", "v1").await;
    registry.memory.forbid_reads(true);
    let known = [("if-none-match", &*format!("\"{digest}\""))];
    let path = format!("/v2/a/blobs/{digest}");
    for (line, headers) in [
        (format!("GET {path}"), &[][..]),
        (format!("GET {path}"), &known[..]),
        ("GET /v2/a/manifests/v1".to_owned(), &[]),
    ] {
        let reply = registry.call(&line, headers, "").await;
        assert_eq!(
            reply.refusal(),
            (405, LOCKED.to_owned()),
            "{line} {headers:?}"
        );
    }
    for path in [&*path, "/v2/a/manifests/v1"] {
        let reply = registry.call(&format!("HEAD {path}"), &[], "").await;
        assert_eq!(reply.status, 405, "{path}");
    }
    // What is not there is not, and may be pushed.
    let absent = registry
        .get(&format!("/v2/a/blobs/{}", sha256(b"more")))
        .await;
    assert_eq!(absent.refusal(), (404, "BLOB_UNKNOWN".to_owned()));
    registry.push_blob("a", b"more").await;
    registry.memory.forbid_reads(false);
    assert_eq!(registry.get(&path).await.body, b"secret");
}

#[tokio::test]
async fn tags_are_listed_with_their_attributes_in_pages() {
    let (registry, [one, other]) = tagged().await;
    let all = registry.get("/acr/v1/team/app/_tags").await;
    assert_eq!(each(&all, "tags", "name"), ["1", "2", "3", "4"]);
    let first = &all.json()["tags"][0];
    assert_eq!(first["digest"], one.to_string());
    assert_eq!(
        first["changeableAttributes"],
        json!({
            "deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true,
        })
    );
    assert_eq!(first["createdTime"], "2023-11-14T22:13:20.0000000Z");
    assert!(all.headers.get("link").is_none());

    let page = registry
        .get("/acr/v1/team%2Fapp/_tags?n=3&api-version=2021-07-01")
        .await;
    assert_eq!(next(&page), "/acr/v1/team/app/_tags?last=3&n=3");
    let page = registry.get(&next(&page)).await;
    assert_eq!(each(&page, "tags", "name"), ["4"]);
    assert!(page.headers.get("link").is_none());

    let path = format!("/acr/v1/team/app/_tags?digest={one}&n=2");
    let page = registry.get(&path).await;
    assert_eq!(each(&page, "tags", "name"), ["1", "3"]);
    let page = registry.get(&next(&page)).await;
    assert_eq!(each(&page, "tags", "name"), ["4"]);
    let path = format!(
        "/acr/v1/team/app/_tags?digest={}",
        other.to_string().replace(':', "%3A")
    );
    assert_eq!(each(&registry.get(&path).await, "tags", "name"), ["2"]);
    let none = registry.get("/acr/v1/team/app/_tags?n=0").await;
    assert_eq!(
        (none.status.as_u16(), none.json()["tags"].clone()),
        (200, json!([]))
    );
}

#[tokio::test]
async fn lists_are_ordered_by_time_and_say_where_they_stood() {
    let (registry, [one, other]) = tagged().await;
    for (order, expected) in [
        ("timedesc", ["4", "2", "1", "3"]),
        ("timeasc", ["3", "1", "2", "4"]),
        ("none", ["1", "2", "3", "4"]),
        ("", ["1", "2", "3", "4"]),
    ] {
        let mut target = format!("/acr/v1/team/app/_tags?n=1&orderby={order}");
        for expected in expected {
            let page = registry.get(&target).await;
            assert_eq!(each(&page, "tags", "name"), [expected], "{order}");
            if page.headers.contains_key("link") {
                target = next(&page);
            }
        }
    }
    let page = registry
        .get("/acr/v1/team/app/_manifests?orderby=timedesc")
        .await;
    let digests = [one, other].map(|digest| digest.to_string());
    assert_eq!(each(&page, "manifests", "digest"), digests);
    let first = page.json()["manifests"][0].clone();
    assert_eq!(first["tags"], json!(["1", "3", "4"]));
    assert_eq!(first["mediaType"], INDEX);
    assert!(first.get("references").is_none());
}

#[tokio::test]
async fn lists_that_cannot_be_are_refused() {
    let (registry, [digest, _]) = tagged().await;
    let at = "/acr/v1/team/app";
    for (path, status, code) in [
        (format!("{at}/_tags?orderby=name"), 400, "UNSUPPORTED"),
        (
            format!("{at}/_tags?orderby=timedesc&last=3"),
            400,
            "UNSUPPORTED",
        ),
        (
            format!("{at}/_tags?orderby=timedesc&last=3&at=7"),
            400,
            "UNSUPPORTED",
        ),
        (format!("{at}/_tags?digest=sha256:x"), 400, "DIGEST_INVALID"),
        (format!("{at}/_tags?n=x"), 400, "PAGINATION_NUMBER_INVALID"),
        (format!("{at}/_tags?last=.x"), 400, "TAG_INVALID"),
        (format!("{at}/_manifests?last=v1"), 400, "DIGEST_INVALID"),
        ("/acr/v1/nowhere/_tags".to_owned(), 404, "NAME_UNKNOWN"),
        (
            "/acr/v1/nowhere/_manifests?n=0".to_owned(),
            404,
            "NAME_UNKNOWN",
        ),
        (format!("{at}/_tags/9"), 404, "MANIFEST_UNKNOWN"),
    ] {
        let reply = registry.get(&path).await;
        assert_eq!(reply.refusal(), (status, code.to_owned()), "{path}");
    }
    let unordered = registry
        .get(&format!("{at}/_tags?orderby=timedesc&last=3"))
        .await;
    assert_eq!(unordered.json()["errors"][0]["detail"]["limit"], 10_000);
    for path in [
        "/acr/v1/_catalog",
        "/acr/v1/a/_tags",
        "/acr/v1/a/_manifests",
    ] {
        let reply = registry.call(&format!("DELETE {path}"), &[], "").await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("allow")),
            (405, "GET, HEAD")
        );
    }
    let path = format!("{at}/_manifests/{digest}");
    let reply = registry.call(&format!("PUT {path}"), &[], "").await;
    assert_eq!(reply.header("allow"), "GET, PATCH, DELETE");
    let reply = registry.call(&format!("DELETE {path}"), &[], "").await;
    assert_eq!(reply.status, 202);
    assert_eq!(registry.get(&path).await.status, 404);
}

#[tokio::test]
async fn repositories_are_listed_a_hundred_at_a_time_if_nobody_says() {
    let registry = Registry::new();
    for number in 100..202 {
        let path = format!("r{number}/manifests/1");
        let reply = registry.put(&path, INDEX, &index("x", None)).await;
        assert_eq!(reply.status, 201);
    }
    let page = registry.get("/acr/v1/_catalog").await;
    assert_eq!(page.json()["repositories"].as_array().unwrap().len(), 100);
    assert_eq!(next(&page), "/acr/v1/_catalog?n=100&last=r199");
    let rest = registry.get(&next(&page)).await;
    assert_eq!(rest.json(), json!({ "repositories": ["r200", "r201"] }));
    assert_eq!(
        registry.get("/v2/_catalog").await.json()["repositories"]
            .as_array()
            .unwrap()
            .len(),
        102
    );
}
