//! One push that sets several tags (end-7b of the next distribution-spec).

use std::collections::BTreeSet;

use harness::Answer;
use meridian_oci::Digest;

use crate::content::{ALGORITHMS, INDEX, marked};
use crate::expected::{is, refused};
use crate::server::Registry;
use crate::wire::{get, head, put};

#[tokio::test]
async fn a_push_by_digest_sets_tags() {
    let registry = Registry::start().await;
    for algorithm in ALGORITHMS {
        let repository = registry.repository(&algorithm.to_string());
        let [one, two] = ["one", "two"].map(marked);
        let mut table =
            registry.table("distribution-spec (next), Pushing Manifests with tags (end-7b)");
        let send = |bytes: &[u8], query: &str| {
            let digest = Digest::of(algorithm, bytes);
            let request = put(format!("/v2/{repository}/manifests/{digest}{query}"));
            request.header("Content-Type", INDEX).body(bytes.to_vec())
        };
        let manifest = |reference: &str| format!("/v2/{repository}/manifests/{reference}");
        let set = |answer: &Answer| -> BTreeSet<String> {
            let values = answer.headers.get_all("oci-tag").iter();
            values
                .map(|value| value.to_str().unwrap().to_owned())
                .collect()
        };
        let digest = Digest::of(algorithm, &one);
        for (rule, query, tags) in [
            ("none", String::new(), vec![]),
            ("one", "?tag=a".to_owned(), vec!["a"]),
            ("two", "?tag=b&tag=c".to_owned(), vec!["b", "c"]),
            ("one twice", "?tag=d&tag=d".to_owned(), vec!["d"]),
            (
                "escaped, among others",
                "?x=y&tag=e%2Ef&ns=z".to_owned(),
                vec!["e.f"],
            ),
        ] {
            let answer = table
                .row(rule, send(&one, &query), is(201).of(&digest))
                .await;
            let expected: BTreeSet<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            table.must(
                format!("OCI-Tag tells what was set: {rule}"),
                set(&answer),
                expected,
            );
            for tag in tags {
                let rule = format!("it is under the tag: {rule}");
                table
                    .row(rule, head(manifest(tag)), is(200).of(&digest))
                    .await;
            }
        }
        let many: Vec<String> = (0..32).map(|i| format!("many{i:02}")).collect();
        let query = format!("?tag={}", many.join("&tag="));
        let answer = table
            .row("32 of them", send(&one, &query), is(201).of(&digest))
            .await;
        table.must(
            "OCI-Tag tells all 32",
            set(&answer),
            many.into_iter().collect(),
        );
        let moved = Digest::of(algorithm, &two);
        table
            .row("a tag moves", send(&two, "?tag=b"), is(201).of(&moved))
            .await;
        table
            .row("it has moved", head(manifest("b")), is(200).of(&moved))
            .await;
        table
            .row(
                "the others have not",
                head(manifest("c")),
                is(200).of(&digest),
            )
            .await;

        let three = marked("three");
        let invalid = refused(400, "MANIFEST_INVALID");
        let many: String = (0..33).map(|i| format!("&tag=n{i}")).collect();
        let many = format!("?ns=x{many}");
        for (rule, query, expected) in [
            ("too many", many.as_str(), refused(414, "MANIFEST_INVALID")),
            ("a malformed one", "?tag=good&tag=.bad", invalid.clone()),
            ("an empty one", "?tag=good&tag=", invalid.clone()),
            (
                "a long one",
                &format!("?tag=good&tag={}", "x".repeat(129)),
                invalid,
            ),
        ] {
            table
                .row(format!("{rule} is refused"), send(&three, query), expected)
                .await;
            let unknown = refused(404, "MANIFEST_UNKNOWN");
            let rule = format!("{rule}: nothing was stored");
            let digest = Digest::of(algorithm, &three).to_string();
            for reference in ["good", "n1", &digest] {
                table
                    .row(&rule, get(manifest(reference)), unknown.clone())
                    .await;
            }
        }
        let request = put(format!("/v2/{repository}/manifests/plain?tag=other"))
            .header("Content-Type", INDEX)
            .body(three.clone());
        let rule = "under a tag, a parameter sets no others";
        table.row(rule, request, is(201).without("OCI-Tag")).await;
        table
            .row(
                rule,
                get(manifest("other")),
                refused(404, "MANIFEST_UNKNOWN"),
            )
            .await;
    }
}
