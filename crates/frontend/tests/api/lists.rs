//! Tags, repositories and referrers, page by page.

use serde_json::json;

use super::*;

/// The target of a `Link`.
pub(crate) fn next(reply: &Reply) -> String {
    let link = reply.header("link");
    let target = link.strip_prefix('<').unwrap();
    target.strip_suffix(">; rel=\"next\"").unwrap().to_owned()
}

#[tokio::test]
async fn tags_are_listed_in_byte_order_page_by_page() {
    let registry = Registry::new();
    for tag in ["b", "a", "B", "_c", "1"] {
        assert_eq!(
            registry
                .put(&format!("x/y/manifests/{tag}"), INDEX, &index("x", None))
                .await
                .status,
            201
        );
    }
    let all = registry.get("/v2/x/y/tags/list").await;
    assert_eq!(all.header("content-type"), "application/json");
    assert_eq!(
        all.json(),
        json!({"name": "x/y", "tags": ["1", "B", "_c", "a", "b"]})
    );
    assert!(all.headers.get("link").is_none());

    let first = registry.get("/v2/x/y/tags/list?n=2").await;
    assert_eq!(first.json()["tags"], json!(["1", "B"]));
    assert_eq!(next(&first), "/v2/x/y/tags/list?n=2&last=B");
    let second = registry.get(&next(&first)).await;
    assert_eq!(second.json()["tags"], json!(["_c", "a"]));
    let third = registry.get(&next(&second)).await;
    assert_eq!(third.json()["tags"], json!(["b"]));
    assert!(third.headers.get("link").is_none());

    let exact = registry.get("/v2/x/y/tags/list?n=5").await;
    assert!(exact.headers.get("link").is_none());
    let from_the_middle = registry.get("/v2/x/y/tags/list?last=Z").await;
    assert_eq!(from_the_middle.json()["tags"], json!(["_c", "a", "b"]));
    let none = registry.get("/v2/x/y/tags/list?n=0").await;
    assert_eq!(none.json()["tags"], json!([]));
    assert!(none.headers.get("link").is_none());
    let past = registry.get("/v2/x/y/tags/list?last=z").await;
    assert_eq!(past.json(), json!({"name": "x/y", "tags": []}));
}

#[tokio::test]
async fn a_page_is_clamped_and_says_what_follows() {
    let mut config = Config::default();
    config.limits.page = 2;
    let registry = Registry::with(config);
    for name in ["c", "a/b", "a"] {
        registry.push_image(name, "v1").await;
        registry.push_image(name, "v2").await;
        registry.push_image(name, "v3").await;
    }
    for query in ["", "?n=1000000000000000000", "?n=3"] {
        let page = registry.get(&format!("/v2/_catalog{query}")).await;
        assert_eq!(page.json(), json!({"repositories": ["a", "a/b"]}));
        assert_eq!(next(&page), "/v2/_catalog?n=2&last=a/b");
        let rest = registry.get(&next(&page)).await;
        assert_eq!(rest.json(), json!({"repositories": ["c"]}));
        assert!(rest.headers.get("link").is_none());
        let tags = registry.get(&format!("/v2/a/tags/list{query}")).await;
        assert_eq!(next(&tags), "/v2/a/tags/list?n=2&last=v2");
    }
    let none = registry.get("/v2/_catalog?n=0").await;
    assert_eq!(none.json(), json!({"repositories": []}));
    let escaped = registry.get("/v2/_catalog?last=a%2Fb").await;
    assert_eq!(escaped.json(), json!({"repositories": ["c"]}));
}

#[tokio::test]
async fn pages_that_cannot_be_are_refused() {
    let registry = Registry::new();
    registry.push_image("a", "v1").await;
    for (path, status, code) in [
        ("/v2/a/tags/list?n=-1", 400, "PAGINATION_NUMBER_INVALID"),
        ("/v2/a/tags/list?n=abc", 400, "PAGINATION_NUMBER_INVALID"),
        ("/v2/_catalog?n=1.5", 400, "PAGINATION_NUMBER_INVALID"),
        ("/v2/a/tags/list?last=../", 400, "TAG_INVALID"),
        ("/v2/_catalog?last=../", 400, "NAME_INVALID"),
        ("/v2/b/tags/list", 404, "NAME_UNKNOWN"),
        ("/v2/b/tags/list?n=0", 404, "NAME_UNKNOWN"),
    ] {
        assert_eq!(
            registry.get(path).await.refusal(),
            (status, code.to_owned()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn referrers_are_an_index_even_of_nothing() {
    let registry = Registry::new();
    let subject = sha256(b"nobody");
    let empty = registry
        .get(&format!("/v2/nowhere/referrers/{subject}"))
        .await;
    assert_eq!(empty.status, 200);
    assert_eq!(empty.header("content-type"), INDEX);
    assert_eq!(
        empty.json(),
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
    );
    let refused = registry.get("/v2/a/referrers/sha256:xyz").await;
    assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".to_owned()));
}

#[tokio::test]
async fn referrers_are_filtered_and_paged_with_their_filter() {
    let registry = Registry::new();
    let subject = sha256(b"subject");
    let padding = "x".repeat(600_000);
    for marker in ["sbom+json", "sig", "sig2"] {
        let manifest = String::from_utf8(index(marker, Some(&subject))).unwrap();
        let manifest = manifest.replace(
            "\"marker\":",
            &format!("\"padding\":\"{padding}\",\"marker\":"),
        );
        let digest = sha256(manifest.as_bytes());
        let reply = registry
            .put(&format!("a/manifests/{digest}"), INDEX, manifest.as_bytes())
            .await;
        assert_eq!(reply.status, 201);
    }
    let path = format!("/v2/a/referrers/{subject}");
    let one = registry
        .get(&format!("{path}?artifactType=application/sig"))
        .await;
    assert_eq!(one.header("oci-filters-applied"), "artifactType");
    let manifests = one.json()["manifests"].as_array().unwrap().clone();
    assert_eq!(manifests.len(), 1);
    assert_eq!(manifests[0]["annotations"]["marker"], "sig");
    assert_eq!(manifests[0]["artifactType"], "application/sig");

    let first = registry.get(&path).await;
    assert!(first.headers.get("oci-filters-applied").is_none());
    assert_eq!(first.json()["manifests"].as_array().unwrap().len(), 2);
    let rest = registry.get(&next(&first)).await;
    assert_eq!(rest.json()["manifests"].as_array().unwrap().len(), 1);
    assert!(rest.headers.get("link").is_none());

    let mut target = format!(
        "{path}?artifactType=application/sbom%2Bjson&artifactType=application/sig&artifactType=application/sig2"
    );
    let mut markers = Vec::new();
    loop {
        let page = registry.get(&target).await;
        assert_eq!(page.header("oci-filters-applied"), "artifactType");
        for manifest in page.json()["manifests"].as_array().unwrap() {
            markers.push(
                manifest["annotations"]["marker"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
        }
        if page.headers.get("link").is_none() {
            break;
        }
        target = next(&page);
        assert!(
            target.contains("artifactType=application/sbom%2Bjson&"),
            "{target}"
        );
    }
    markers.sort();
    assert_eq!(markers, ["sbom+json", "sig", "sig2"]);
    let many = "artifactType=a&".repeat(33);
    assert_eq!(registry.get(&format!("{path}?{many}")).await.status, 400);
}
