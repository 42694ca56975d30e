//! Whether this is a registry, which methods resources have, and the form of refusals.

use meridian_oci::{Algorithm, Digest};
use serde_json::json;

use crate::expected::{is, refused};
use crate::server::Registry;
use crate::wire::{ask, get, head};

#[tokio::test]
async fn a_registry_says_that_it_is_one() {
    let registry = Registry::start().await;
    let mut table = registry.table("distribution-spec, Determining Support (end-1)");
    let yes = is(200)
        .header("Content-Type", "application/json")
        .json(json!({}));
    table
        .row("the API is there", get("/v2/"), yes.clone())
        .await;
    table
        .row("the slash may be missing", get("/v2"), yes.clone())
        .await;
    table
        .row("a query means nothing", get("/v2/?ns=docker.io"), yes)
        .await;
    table
        .row(
            "HEAD works too",
            head("/v2/"),
            is(200).header("Content-Length", 2),
        )
        .await;
    let rule = "nobody is asked who they are";
    table
        .row(rule, get("/v2/"), is(200).without("WWW-Authenticate"))
        .await;
    let rule = "credentials that nobody asked for do no harm";
    for credentials in ["Basic eDp5", "Bearer x.y.z", "nonsense"] {
        let request = get("/v2/").header("Authorization", credentials);
        table.row(rule, request, is(200)).await;
    }
    let rule = "OpenShift's signatures are not announced (containers/image would ask for them)";
    table
        .row(
            rule,
            get("/v2/"),
            is(200).without("X-Registry-Supports-Signatures"),
        )
        .await;
    drop(table);

    let mut table = registry.table("distribution-spec, Extensions");
    for target in [
        "/v2/_oci/ext/discover".to_owned(),
        format!("/v2/{}/_oci/ext/discover", registry.repository("app")),
    ] {
        let expected = is(200).header("Content-Type", "application/json");
        let answer = table
            .row("extensions are listed", get(target), expected)
            .await;
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let extensions = json["extensions"].as_array().cloned().unwrap_or_default();
        let lawful = extensions.iter().all(|extension| {
            extension["name"]
                .as_str()
                .is_some_and(|name| name.starts_with('_'))
                && extension["url"].is_string()
                && extension["description"].is_string()
                && extension["endpoints"].is_array()
        });
        table.must(
            "an extension has its four members",
            lawful && !extensions.is_empty(),
            true,
        );
    }
    let unknown = refused(404, "EXTENSION_UNKNOWN");
    table
        .row("an unknown extension", get("/v2/_nobody/x/y"), unknown)
        .await;
}

#[tokio::test]
async fn a_resource_names_the_methods_that_it_has() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let digest = Digest::of(Algorithm::Sha256, b"any");
    let location = registry.open(&repository).await;
    let mut table =
        registry.table("RFC 9110, 15.5.6: 405 with Allow; distribution-spec, UNSUPPORTED");
    for (target, methods) in [
        ("/v2/".to_owned(), "GET, HEAD"),
        ("/v2/_catalog".to_owned(), "GET, HEAD"),
        ("/v2/_oci/ext/discover".to_owned(), "GET, HEAD"),
        (format!("/v2/{repository}/tags/list"), "GET, HEAD"),
        (format!("/v2/{repository}/referrers/{digest}"), "GET, HEAD"),
        (
            format!("/v2/{repository}/manifests/v1"),
            "GET, HEAD, PUT, DELETE",
        ),
        (
            format!("/v2/{repository}/manifests/{digest}"),
            "GET, HEAD, PUT, DELETE",
        ),
        (
            format!("/v2/{repository}/blobs/{digest}"),
            "GET, HEAD, DELETE",
        ),
        (format!("/v2/{repository}/blobs/uploads/"), "POST"),
        (location, "GET, HEAD, PATCH, PUT, DELETE"),
    ] {
        let has: Vec<&str> = methods.split(", ").collect();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            if has.contains(&method) {
                continue;
            }
            let mut expected = refused(405, "UNSUPPORTED").header("Allow", methods);
            if method == "HEAD" {
                expected = expected.headless();
            }
            let rule = format!("{target:.60} does not have {method}");
            table.row(rule, ask(method, &*target), expected).await;
        }
        // No resource has these; that is answered before it is known which resource is asked.
        for method in ["TRACE", "PROPFIND"] {
            let rule = format!("{target:.60} does not have {method}");
            let request = ask(method, &*target);
            table.row(rule, request, refused(405, "UNSUPPORTED")).await;
        }
    }
}
