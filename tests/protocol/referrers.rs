//! What refers to a manifest (distribution-spec "Listing Referrers", end-12).

use meridian_oci::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::content::{ALGORITHMS, CONFIG, EMPTY, INDEX, Set, extended, image, index};
use crate::expected::{is, refused};
use crate::server::Registry;
use crate::tags::next;
use crate::wire::{Request, delete, get, head, put, with};

const ONE: &str = "application/vnd.example.one+json";
const TWO: &str = "application/vnd.example.two";

fn entries(body: &[u8]) -> Vec<Value> {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    json["manifests"].as_array().cloned().unwrap_or_default()
}

/// The digests that a body lists, and those of a set, in one order.
fn digests<'a>(entries: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let digests = entries
        .into_iter()
        .map(|entry| entry["digest"].as_str().unwrap_or_default());
    let mut digests: Vec<String> = digests.map(str::to_owned).collect();
    digests.sort();
    digests
}

#[tokio::test]
async fn what_nothing_refers_to_has_an_empty_list() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    registry
        .push_blob(&repository, Algorithm::Sha256, b"the repository exists")
        .await;
    let mut table = registry.table("distribution-spec, Listing Referrers: never 404");
    let empty = is(200)
        .header("Content-Type", INDEX)
        .json(index(&[]))
        .without("Link");
    for algorithm in ALGORITHMS {
        let unknown = Digest::of(algorithm, b"nobody pushed this");
        for repository in [&repository, &registry.repository("nowhere")] {
            let target = format!("/v2/{repository}/referrers/{unknown}");
            let rule = format!("of an unknown digest: {algorithm}");
            table
                .row(
                    &rule,
                    get(&*target),
                    empty.clone().without("OCI-Filters-Applied"),
                )
                .await;
            table
                .row(&rule, head(&*target), is(200).header("Content-Type", INDEX))
                .await;
            let filtered = empty.clone().header("OCI-Filters-Applied", "artifactType");
            let rule = format!("of an unknown digest, by type: {algorithm}");
            table
                .row(rule, get(with(&target, "artifactType", "a/b")), filtered)
                .await;
            let rule = "an empty type is none";
            let unfiltered = empty.clone().without("OCI-Filters-Applied");
            table
                .row(rule, get(with(&target, "artifactType", "")), unfiltered)
                .await;
        }
    }
    for digest in [
        "sha256:xyz",
        "sha256:",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "latest",
    ] {
        let target = format!("/v2/{repository}/referrers/{digest}");
        let rule = format!("{digest} is not a digest");
        table
            .row(rule, get(target), refused(400, "DIGEST_INVALID"))
            .await;
    }
}

#[tokio::test]
async fn referrers_are_listed_by_type_and_come_and_go() {
    let registry = Registry::start().await;
    for algorithm in ALGORITHMS {
        let repository = registry.repository(&algorithm.to_string());
        let mut set = Set::new(algorithm, 1);
        let subject = set.image();
        let subject = set.add(&[], &subject);
        let members = json!({"subject": subject});
        let config = set.blob(CONFIG, "{}");
        let empty = set.blob(EMPTY, "{}");
        for (marker, document) in [
            (
                "one",
                extended(
                    set.artifact(ONE),
                    &json!({"annotations": {"a": "b", "é\"\\\n": ""}}),
                ),
            ),
            (
                "another one",
                extended(set.artifact(ONE), &json!({"annotations": {"a": "c"}})),
            ),
            ("two", set.artifact(TWO)),
            (
                "no annotations",
                extended(set.artifact(TWO), &json!({"annotations": {}})),
            ),
            ("its configuration's type", image(&config, &[])),
            ("the type of nothing", image(&empty, &[])),
            (
                "an index",
                extended(index(&[]), &json!({"artifactType": ONE})),
            ),
            ("an index without type", index(&[])),
        ] {
            let document = extended(document, &members);
            set.add(
                &[],
                &extended(document, &json!({"org.example.marker": marker})),
            );
        }
        for blob in &set.blobs {
            registry.push_blob(&repository, algorithm, blob).await;
        }
        let subject = set.manifests[0].digest;
        let target = format!("/v2/{repository}/referrers/{subject}");
        let send = |document: &crate::content::Document| -> Request {
            put(format!("/v2/{repository}/manifests/{}", document.digest))
                .header("Content-Type", document.media_type)
                .body(document.bytes.clone())
        };
        let mut table =
            registry.table("distribution-spec, Listing Referrers; Pushing Manifests with Subject");
        let mut expected = Vec::new();
        for document in &set.manifests[1..] {
            let told = is(201).header("OCI-Subject", subject);
            table
                .row("a push tells the subject", send(document), told.clone())
                .await;
            table
                .row("the same push again changes nothing", send(document), told)
                .await;
            expected.push(document.as_referrer());
            let rule = "each is listed at once, before its subject is there";
            let answer = table.row(rule, get(&*target), is(200)).await;
            table.must(rule, digests(&entries(&answer.body)), digests(&expected));
        }
        let rule = "an absent subject is not found for being referred to";
        let manifest = format!("/v2/{repository}/manifests/{subject}");
        table.row(rule, head(&*manifest), is(404)).await;
        let plain = is(201).without("OCI-Subject");
        table
            .row("the subject comes later", send(&set.manifests[0]), plain)
            .await;
        let answer = table
            .row(
                "all of them",
                get(&*target),
                is(200).header("Content-Type", INDEX),
            )
            .await;
        let listed = entries(&answer.body);
        for entry in &expected {
            let found = listed.iter().find(|it| it["digest"] == entry["digest"]);
            let mut entry = entry.clone();
            if entry["annotations"] == json!({}) {
                entry.as_object_mut().unwrap().remove("annotations");
            }
            let rule = "an entry has type, size, artifact type and annotations, and nothing else";
            table.must(rule, found, Some(&entry));
        }
        let escaped = ONE.replace('/', "%2F").replace('+', "%2B");
        for (rule, query, types) in [
            ("one type", format!("?artifactType={ONE}"), vec![ONE]),
            (
                "one type, escaped",
                format!("?artifactType={escaped}"),
                vec![ONE],
            ),
            (
                "the type of a configuration",
                format!("?artifactType={CONFIG}"),
                vec![CONFIG],
            ),
            (
                "several types are alternatives",
                format!("?artifactType={ONE}&artifactType={TWO}"),
                vec![ONE, TWO],
            ),
            (
                "a type that none has",
                "?artifactType=a/b".to_owned(),
                vec![],
            ),
            (
                "a type is the whole type",
                format!("?artifactType={}", &TWO[..TWO.len() - 1]),
                vec![],
            ),
        ] {
            let filtered = is(200).header("OCI-Filters-Applied", "artifactType");
            let answer = table
                .row(rule, get(format!("{target}{query}")), filtered)
                .await;
            let of = |entry: &&Value| types.iter().any(|it| entry["artifactType"] == *it);
            let found = digests(&entries(&answer.body));
            table.must(rule, found, digests(expected.iter().filter(of)));
        }
        let elsewhere = format!(
            "/v2/{}/referrers/{subject}",
            registry.repository("elsewhere")
        );
        let rule = "another repository has referrers of its own";
        table
            .row(rule, get(elsewhere), is(200).json(index(&[])))
            .await;

        let rule = "deleting a referrer takes it off the list";
        for document in set.manifests[1..4].iter() {
            let target = format!("/v2/{repository}/manifests/{}", document.digest);
            table.row(rule, delete(target), is(202)).await;
        }
        let answer = table.row(rule, get(&*target), is(200)).await;
        table.must(
            rule,
            digests(&entries(&answer.body)),
            digests(&expected[3..]),
        );
        let rule = "pushing it again puts it back";
        table
            .row(
                rule,
                send(&set.manifests[1]),
                is(201).header("OCI-Subject", subject),
            )
            .await;
        let answer = table.row(rule, get(&*target), is(200)).await;
        let back = expected[..1].iter().chain(&expected[3..]);
        table.must(rule, digests(&entries(&answer.body)), digests(back));
        let rule = "deleting the subject leaves its referrers";
        table.row(rule, delete(manifest), is(202)).await;
        let answer = table.row(rule, get(&*target), is(200)).await;
        table.must(rule, entries(&answer.body).len(), expected.len() - 2);
    }
}

#[tokio::test]
async fn a_long_list_of_referrers_comes_in_pages() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let mut set = Set::new(Algorithm::Sha256, 2);
    let subject = set.absent(INDEX);
    for i in 0..6 {
        let artifact_type = if i % 3 == 0 { ONE } else { TWO };
        let members = json!({
            "artifactType": artifact_type,
            "subject": subject,
            "annotations": {"i": i.to_string(), "long": "x".repeat(600_000)},
        });
        set.add(&[], &extended(index(&[]), &members));
    }
    for document in &set.manifests {
        let reference = document.digest.to_string();
        registry
            .put(&repository, &reference, INDEX, &document.bytes)
            .await;
    }
    let digest = subject["digest"].as_str().unwrap();
    let mut table = registry.table("distribution-spec, Listing Referrers: pages");
    for filter in [None, Some(TWO)] {
        let first = format!("/v2/{repository}/referrers/{digest}");
        let first = filter.map_or_else(
            || first.clone(),
            |filter| with(&first, "artifactType", filter),
        );
        let (mut found, mut pages, mut page) = (Vec::new(), 0, Some(first));
        while let Some(target) = page.take() {
            let mut expected = is(200).header("Content-Type", INDEX);
            if filter.is_some() {
                expected = expected.header("OCI-Filters-Applied", "artifactType");
            }
            let answer = table
                .row("a page, with its filter", get(target), expected)
                .await;
            let rule = "a page is an index that clients can take";
            table.must(rule, answer.body.len() <= 4 * 1024 * 1024, true);
            page = next(&answer);
            pages += 1;
            found.extend(entries(&answer.body));
        }
        table.must("there is more than one page", pages > 1, true);
        let entries: Vec<Value> = set.manifests.iter().map(|it| it.as_referrer()).collect();
        let of = |entry: &&Value| filter.is_none_or(|filter| entry["artifactType"] == filter);
        let expected = digests(entries.iter().filter(of));
        table.must(
            format!("a walk finds each once, by {filter:?}"),
            digests(&found),
            expected,
        );
    }
    let rule = "what follows is named by a digest";
    let target = format!("/v2/{repository}/referrers/{digest}?last=latest");
    table
        .row(rule, get(target), refused(400, "DIGEST_INVALID"))
        .await;
}
