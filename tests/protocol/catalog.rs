//! The list of repositories (docker's `_catalog`).

use harness::Answer;
use meridian_oci::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::content::{INDEX, marked};
use crate::expected::{is, refused};
use crate::server::Registry;
use crate::tags::next;
use crate::wire::{delete, get, with};

fn repositories(answer: &Answer) -> Vec<String> {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let names = json["repositories"].as_array().cloned().unwrap_or_default();
    names
        .iter()
        .map(|name| name.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Other tables fill the same registry, so only the names below a prefix are known to be all.
#[tokio::test]
async fn repositories_are_listed_in_byte_order_page_by_page() {
    let registry = Registry::start().await;
    // `-` and `.` come before `/`, and that before digits and letters.
    let names =
        ["a", "a-b", "a.b", "a/b", "a/b/c", "a0", "ab", "b"].map(|name| registry.repository(name));
    for i in 0..names.len() {
        registry
            .put(&names[i * 3 % names.len()], "v1", INDEX, &marked("listed"))
            .await;
    }
    // A push that has only begun shows nothing yet.
    let begun = registry.repository("a/begun");
    registry.push_blob(&begun, Algorithm::Sha256, b"blob").await;

    let before = registry.repository("0");
    let list = |names: &[String]| is(200).json(json!({"repositories": names}));
    let page = |n: usize, last: &str| format!("/v2/_catalog?n={n}&last={last}");
    let link = |n: usize, last: &str| format!("<{}>; rel=\"next\"", page(n, last));
    let mut table = registry.table("docker registry API, Listing Repositories");
    for (rule, target, expected) in [
        (
            "n after one",
            page(3, &before),
            list(&names[..3]).header("Link", link(3, &names[2])),
        ),
        (
            "one after one",
            page(1, &names[3]),
            list(&names[4..5]).header("Link", link(1, &names[4])),
        ),
        (
            "after what does not exist",
            page(2, &registry.repository("a/b/b")),
            list(&names[4..6]).header("Link", link(2, &names[5])),
        ),
        (
            "escaped",
            page(2, &before.replace('/', "%2F")),
            list(&names[..2]).header("Link", link(2, &names[1])),
        ),
        ("none", page(0, &before), list(&[]).without("Link")),
        (
            "after the last name of all",
            page(5, "zzzzzzzz"),
            list(&[]).without("Link"),
        ),
    ] {
        table.row(rule, get(target), expected).await;
    }
    for n in ["-1", "abc", ""] {
        let rule = format!("n is a number, and {n:?} is none");
        let refusal = refused(400, "PAGINATION_NUMBER_INVALID");
        table
            .row(rule, get(format!("/v2/_catalog?n={n}")), refusal)
            .await;
    }
    for last in ["UPPER", "a//b", "../x", "%00"] {
        let rule = format!("last is a name, and {last} is none");
        let target = with("/v2/_catalog", "last", last);
        table
            .row(rule, get(target), refused(400, "NAME_INVALID"))
            .await;
    }
    for n in [1_u64, 2, 1000, 1_000_000_000_000] {
        let mut found: Vec<String> = Vec::new();
        let mut target = Some(format!("/v2/_catalog?n={n}&last={before}"));
        while let Some(page) = target.take() {
            let expected = is(200).header("Content-Type", "application/json");
            let answer = table.row("a page of a walk", get(page), expected).await;
            target = next(&answer);
            found.extend(repositories(&answer));
            if found.len() >= names.len() && n < 1000 {
                break;
            }
        }
        table.must(
            format!("a walk in pages of {n} is in order"),
            found.is_sorted(),
            true,
        );
        found.retain(|name| names.contains(name));
        table.must(
            format!("a walk in pages of {n} finds each once"),
            found,
            names.to_vec(),
        );
    }
    let rule = "a repository is listed once it has a manifest";
    let between = page(1, &names[4]);
    table.row(rule, get(&*between), list(&names[5..6])).await;
    let digest = Digest::of(Algorithm::Sha256, &marked("listed")).to_string();
    registry
        .put(&begun, &digest, INDEX, &marked("listed"))
        .await;
    let first = registry.repository("a/b/d");
    table
        .row(
            rule,
            get(page(1, &first)),
            list(std::slice::from_ref(&begun)),
        )
        .await;
    let rule = "and no longer when it has none";
    let manifest = format!("/v2/{begun}/manifests/{digest}");
    table.row(rule, delete(manifest), is(202)).await;
    table
        .row(rule, get(page(1, &first)), list(&names[5..6]))
        .await;
}
