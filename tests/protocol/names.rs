//! Names of repositories, and the paths in which they stand.

use meridian_oci::{Algorithm, Digest};
use serde_json::json;

use crate::content::{INDEX, marked};
use crate::expected::{is, refused};
use crate::server::Registry;
use crate::wire::{Request, get, post, put};

/// A name of that length which follows the grammar.
fn long(prefix: &str, length: usize) -> String {
    let mut name = format!("{prefix}/");
    while name.len() < length {
        name.push_str(if name.len() % 10 == 9 && name.len() + 1 < length {
            "/"
        } else {
            "a"
        });
    }
    name
}

#[tokio::test]
async fn names_follow_their_grammar() {
    let registry = Registry::start().await;
    let bytes = marked("names");
    let mut table = registry.table("distribution-spec, Pulling manifests: <name>");
    let prefix = registry.repository("x");
    for name in [
        "a",
        "0",
        "a0",
        "a.b",
        "a_b",
        "a__b",
        "a-b",
        "a--b",
        "a----b",
        "a.b_c__d-e",
        "a/b/c/d/e/f",
        "blobs",
        "manifests",
        "tags",
        "uploads",
        "referrers",
        "list",
        "v2",
        "blobs/uploads",
        "tags/list",
        "a/manifests/b",
        "a/blobs/uploads/b",
        "a/referrers",
        "0/1.2/3",
    ] {
        let name = format!("{prefix}/{name}");
        let put = put(format!("/v2/{name}/manifests/v1")).header("Content-Type", INDEX);
        let request = put.body(bytes.clone());
        table
            .row(format!("{name} is a name"), request, is(201))
            .await;
        let rule = format!("{name} is listed");
        let expected = is(200).json(json!({"name": name, "tags": ["v1"]}));
        table
            .row(rule, get(format!("/v2/{name}/tags/list")), expected)
            .await;
        let rule = format!("{name} is found however it is escaped");
        let escaped = name.replace('/', "%2F");
        let target = format!("/v2/{escaped}/manifests/v1");
        table
            .row(rule, get(target), is(200).body(bytes.clone()))
            .await;
    }
    let [most, more] = [255, 256].map(|length| long(&prefix, length));
    let request = put(format!("/v2/{most}/manifests/v1"));
    let request = request.header("Content-Type", INDEX).body(bytes.clone());
    table.row("a name of 255 bytes", request, is(201)).await;
    for name in [
        "A",
        "aB",
        "Library/nginx",
        "a_",
        "_a",
        "a.",
        ".a",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "a-.b",
        "a_-b",
        "a//b",
        "a/",
        "/a",
        "a/-b",
        "a/./b",
        "a/../b",
        "a b",
        "a%20b",
        "a+b",
        "a~b",
        "a,b",
        "a%2e",
        "a%2Eb",
        "%61",
        "a%00",
        "a%0a",
        "%C3%A9",
        "a%252Fb",
        "a%3Ab",
        "a:b",
        "a@b",
        &more,
    ] {
        if name.contains(' ') {
            continue;
        }
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let body = |request: Request| request.header("Content-Type", INDEX).body(bytes.clone());
        for request in [
            get(format!("/v2/{name}/manifests/v1")),
            body(put(format!("/v2/{name}/manifests/v1"))),
            get(format!("/v2/{name}/tags/list")),
            get(format!("/v2/{name}/blobs/{digest}")),
            get(format!("/v2/{name}/referrers/{digest}")),
            post(format!("/v2/{name}/blobs/uploads/")),
        ] {
            let rule = format!("{name:.20} is not a name");
            table.row(rule, request, refused(400, "NAME_INVALID")).await;
        }
    }
}

/// Azure's SDK escapes `/` and `:` of what stands in a path; nothing else is unescaped there.
#[tokio::test]
async fn paths_are_read_as_they_are_sent() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let bytes = marked("paths");
    let digest = registry
        .push_blob(&repository, Algorithm::Sha256, &bytes)
        .await;
    registry.put(&repository, "v1", INDEX, &bytes).await;
    let escaped = repository.replace('/', "%2f");
    let mut table = registry.table("RFC 3986 and the habits of Azure's SDK: escapes in paths");
    for colon in ["%3A", "%3a", ":"] {
        let digest = digest.to_string().replace(':', colon);
        for (path, expected) in [
            ("blobs", is(200).body(bytes.clone())),
            ("manifests", is(200).body(bytes.clone())),
            ("referrers", is(200)),
        ] {
            let target = format!("/v2/{escaped}/{path}/{digest}");
            table
                .row(format!("{path} of {digest:.12}"), get(target), expected)
                .await;
        }
    }
    for (rule, target, expected) in [
        (
            "a tag is not unescaped",
            format!("/v2/{repository}/manifests/%76%31"),
            refused(404, "MANIFEST_UNKNOWN"),
        ),
        (
            "an endpoint is not unescaped",
            format!("/v2/{repository}/%6Danifests/v1"),
            is(404),
        ),
        (
            "what is unescaped is not unescaped again",
            format!("/v2/{}/tags/list", repository.replace('/', "%252F")),
            refused(400, "NAME_INVALID"),
        ),
        (
            "dots are not resolved",
            format!("/v2/{repository}/../app/manifests/v1"),
            refused(400, "NAME_INVALID"),
        ),
        (
            "a slash at the end is not ignored",
            format!("/v2/{repository}/manifests/v1/"),
            is(404),
        ),
        ("nothing lies beside the API", "/v1/".to_owned(), is(404)),
        ("nothing lies above the API", "/".to_owned(), is(404)),
        ("the API has a slash", "/v2x/".to_owned(), is(404)),
    ] {
        table.row(rule, get(target), expected).await;
    }
}
