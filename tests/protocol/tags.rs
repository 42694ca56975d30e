//! Tags: their grammar and their lists.

use harness::Answer;
use meridian_oci::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::content::{INDEX, marked};
use crate::expected::{is, refused};
use crate::server::Registry;
use crate::wire::{get, head, put, with};

/// In byte order: digits, capitals, `_`, small letters.
const TAGS: [&str; 9] = ["0", "1.0", "A", "Z-1", "_x", "a", "a.b", "latest", "z"];

fn tags(answer: &Answer) -> Vec<String> {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let tags = json["tags"].as_array().cloned().unwrap_or_default();
    tags.iter()
        .map(|tag| tag.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// The target of the link to the next page.
pub(crate) fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    Some(link.strip_prefix('<')?.split_once('>')?.0.to_owned())
}

#[tokio::test]
async fn tags_are_listed_in_byte_order_page_by_page() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let bytes = marked("listed");
    // Pushed in no order.
    for i in 0..TAGS.len() {
        registry
            .put(&repository, TAGS[i * 5 % TAGS.len()], INDEX, &bytes)
            .await;
    }
    let target = format!("/v2/{repository}/tags/list");
    let list = |tags: &[&str]| is(200).json(json!({"name": repository, "tags": tags}));
    let link = |n: usize, last: &str| format!("<{target}?n={n}&last={last}>; rel=\"next\"");
    let mut table = registry.table("distribution-spec, Listing Tags");
    for (rule, query, expected) in [
        (
            "all of them",
            "",
            list(&TAGS)
                .without("Link")
                .header("Content-Type", "application/json"),
        ),
        (
            "n, and where the rest is",
            "?n=4",
            list(&TAGS[..4]).header("Link", link(4, "Z-1")),
        ),
        ("one", "?n=1", list(&TAGS[..1]).header("Link", link(1, "0"))),
        ("as many as there are", "?n=9", list(&TAGS).without("Link")),
        (
            "one less",
            "?n=8",
            list(&TAGS[..8]).header("Link", link(8, "latest")),
        ),
        ("more than there are", "?n=10", list(&TAGS).without("Link")),
        (
            "far more than there are",
            "?n=1000000000000000000",
            list(&TAGS).without("Link"),
        ),
        (
            "more than any number",
            "?n=99999999999999999999999",
            list(&TAGS).without("Link"),
        ),
        ("none", "?n=0", list(&[]).without("Link")),
        ("none after one", "?n=0&last=a", list(&[]).without("Link")),
        (
            "after one, without n",
            "?last=A",
            list(&TAGS[3..]).without("Link"),
        ),
        (
            "n after one",
            "?n=2&last=A",
            list(&TAGS[3..5]).header("Link", link(2, "_x")),
        ),
        (
            "n after one, in the other order",
            "?last=A&n=2",
            list(&TAGS[3..5]).header("Link", link(2, "_x")),
        ),
        (
            "after what does not exist",
            "?last=B",
            list(&TAGS[3..]).without("Link"),
        ),
        ("after the last one", "?last=z", list(&[]).without("Link")),
        (
            "the last ones",
            "?n=2&last=a.b",
            list(&TAGS[7..]).without("Link"),
        ),
        ("after nothing", "?last=", list(&TAGS).without("Link")),
        (
            "unknown parameters mean nothing",
            "?ns=docker.io&x=y",
            list(&TAGS).without("Link"),
        ),
    ] {
        table
            .row(rule, get(format!("{target}{query}")), expected)
            .await;
    }
    let number = refused(400, "PAGINATION_NUMBER_INVALID");
    for n in ["-1", "abc", "1.5", "", "0x10", "%2B1", "1e3"] {
        let rule = format!("n is a number, and {n:?} is none");
        table
            .row(rule, get(with(&target, "n", n)), number.clone())
            .await;
    }
    for last in [".x", "a/b", "%00", &"a".repeat(129)] {
        let rule = format!("last is a tag, and {last:.10?} is none");
        table
            .row(
                rule,
                get(with(&target, "last", last)),
                refused(400, "TAG_INVALID"),
            )
            .await;
    }
    for n in 1..=TAGS.len() {
        let mut found = Vec::new();
        let mut page = Some(with(&target, "n", n));
        while let Some(target) = page.take() {
            let answer = table.row("a page of a walk", get(target), is(200)).await;
            let tags = tags(&answer);
            page = next(&answer);
            let rule = format!("only the last page has less than {n}");
            table.must(rule, tags.len() == n || page.is_none(), true);
            table.must("a page that leads on is not empty", tags.is_empty(), false);
            found.extend(tags);
        }
        table.must(
            format!("a walk in pages of {n} finds each tag once"),
            found,
            TAGS.map(String::from).to_vec(),
        );
    }
    let unknown = format!("/v2/{}/tags/list", registry.repository("nowhere"));
    let absent = refused(404, "NAME_UNKNOWN");
    table
        .row(
            "an unknown repository has no list",
            get(&*unknown),
            absent.clone(),
        )
        .await;
    table
        .row(
            "not even an empty page of it",
            get(with(&unknown, "n", 0)),
            absent,
        )
        .await;
    table.row("nor a HEAD", head(unknown), is(404)).await;
    let untagged = registry.repository("untagged");
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    registry
        .put(&untagged, &digest.to_string(), INDEX, &bytes)
        .await;
    let rule = "a repository without tags has a list without tags";
    let expected = is(200).json(json!({"name": untagged, "tags": []}));
    table
        .row(rule, get(format!("/v2/{untagged}/tags/list")), expected)
        .await;
}

#[tokio::test]
async fn tags_follow_their_grammar() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let bytes = marked("grammar");
    let mut table = registry.table("distribution-spec, Pulling manifests: <reference> as a tag");
    let long = "a".repeat(128);
    for tag in [
        "a",
        "Z",
        "0",
        "_",
        "a.b-c_d",
        "v1..2--3__4",
        "UPPER",
        "list",
        "latest",
        &long,
    ] {
        let target = format!("/v2/{repository}/manifests/{tag}");
        let request = put(&*target)
            .header("Content-Type", INDEX)
            .body(bytes.clone());
        table
            .row(format!("{tag:.20} is a tag"), request, is(201))
            .await;
        let rule = format!("{tag:.20} is found");
        table
            .row(rule, get(target), is(200).body(bytes.clone()))
            .await;
    }
    let longer = "a".repeat(129);
    for tag in [
        ".a", "-a", "a%20b", "a@b", "a+b", "a%00", "%C3%A9", "a,b", "a~b", &longer,
    ] {
        let target = format!("/v2/{repository}/manifests/{tag}");
        let request = put(&*target)
            .header("Content-Type", INDEX)
            .body(bytes.clone());
        let rule = format!("{tag:.20} is not a tag");
        table
            .row(&rule, request, refused(400, "MANIFEST_INVALID"))
            .await;
        table
            .row(&rule, get(target), refused(404, "MANIFEST_UNKNOWN"))
            .await;
    }
}
