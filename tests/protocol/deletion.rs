//! Deleting tags, manifests and blobs (distribution-spec "Content Management", end-9 and end-10).

use std::collections::BTreeSet;

use meridian_oci::Digest;
use serde_json::{Value, json};

use crate::content::{ALGORITHMS, CONFIG, INDEX, LAYER, Set, image, index, marked};
use crate::expected::{is, refused};
use crate::server::Registry;
use crate::wire::{delete, get, head, post, put, with};

#[tokio::test]
async fn a_tag_is_deleted_alone_and_a_manifest_with_its_tags() {
    let registry = Registry::start().await;
    for algorithm in ALGORITHMS {
        let repository = registry.repository(&algorithm.to_string());
        let manifest = |reference: &str| format!("/v2/{repository}/manifests/{reference}");
        let list = |tags: &[&str]| is(200).json(json!({"name": repository, "tags": tags}));
        let listed = format!("/v2/{repository}/tags/list");
        let [one, two] = ["one", "two"].map(marked);
        let digests = [&one, &two].map(|bytes| Digest::of(algorithm, bytes));
        let [first, second] = digests.map(|digest| digest.to_string());
        let unknown = refused(404, "MANIFEST_UNKNOWN");
        registry
            .put(
                &repository,
                &format!("{first}?tag=a&tag=b&tag=c"),
                INDEX,
                &one,
            )
            .await;
        registry
            .put(&repository, &format!("{second}?tag=z"), INDEX, &two)
            .await;

        let mut table = registry.table("distribution-spec, Deleting tags; Deleting Manifests");
        for (rule, request, expected) in [
            (
                "a tag is deleted",
                delete(manifest("a")),
                is(202).header("Content-Length", 0),
            ),
            ("it is gone", get(manifest("a")), unknown.clone()),
            ("it is deleted once", delete(manifest("a")), unknown.clone()),
            ("it is not listed", get(&*listed), list(&["b", "c", "z"])),
            (
                "other tags of the manifest stay",
                head(manifest("b")),
                is(200).of(&digests[0]),
            ),
            ("the manifest stays", head(manifest(&first)), is(200)),
            (
                "a manifest is deleted",
                delete(manifest(&first)),
                is(202).header("Content-Length", 0),
            ),
            ("it is gone", get(manifest(&first)), unknown.clone()),
            ("its tags are gone", get(manifest("b")), unknown.clone()),
            ("its tags are not listed", get(&*listed), list(&["z"])),
            (
                "it is deleted once",
                delete(manifest(&first)),
                unknown.clone(),
            ),
            ("others stay", head(manifest("z")), is(200).of(&digests[1])),
        ] {
            table.row(rule, request, expected).await;
        }
        let request = put(manifest(&first))
            .header("Content-Type", INDEX)
            .body(one.clone());
        table
            .row("what was deleted may come back", request, is(201))
            .await;
        table
            .row(
                "it is there",
                get(manifest(&first)),
                is(200).body(one.clone()),
            )
            .await;
        table
            .row("its old tags are not", get(manifest("b")), unknown.clone())
            .await;
        let absent = Digest::of(algorithm, b"absent").to_string();
        for (rule, target, expected) in [
            ("an unknown tag", manifest("absent"), unknown.clone()),
            ("an unknown manifest", manifest(&absent), unknown),
            (
                "an unknown blob",
                format!("/v2/{repository}/blobs/{absent}"),
                refused(404, "BLOB_UNKNOWN"),
            ),
            (
                "a malformed digest",
                manifest("sha256:xyz"),
                refused(400, "DIGEST_INVALID"),
            ),
            (
                "a malformed digest of a blob",
                format!("/v2/{repository}/blobs/sha256:xyz"),
                refused(400, "DIGEST_INVALID"),
            ),
            (
                "a manifest of an unknown repository",
                format!("/v2/{}/manifests/x", registry.repository("nowhere")),
                refused(404, "NAME_UNKNOWN"),
            ),
        ] {
            table
                .row(format!("{rule} is not deleted"), delete(target), expected)
                .await;
        }
    }
}

#[tokio::test]
async fn what_is_still_named_is_not_deleted() {
    let registry = Registry::start().await;
    for algorithm in ALGORITHMS {
        let repository = registry.repository(&algorithm.to_string());
        let mut set = Set::new(algorithm, 1);
        let (config, layer) = (set.fresh(CONFIG), set.fresh(LAYER));
        for blob in &set.blobs {
            registry.push_blob(&repository, algorithm, blob).await;
        }
        let other = set.add(&[], &image(&config, &[]));
        let child = set.add(&[], &image(&config, std::slice::from_ref(&layer)));
        let parent = set.add(&[], &index(&[child, other]));
        set.add(&[], &index(&[parent]));
        let [other, child, parent, nested] = [0, 1, 2, 3].map(|i| set.manifests[i].clone());
        for document in [&other, &child, &parent, &nested] {
            let reference = document.digest.to_string();
            registry
                .put(
                    &repository,
                    &reference,
                    document.media_type,
                    &document.bytes,
                )
                .await;
        }
        let named = |descriptor: &Value| descriptor["digest"].as_str().unwrap().to_owned();
        let blob = |descriptor: &Value| format!("/v2/{repository}/blobs/{}", named(descriptor));
        let manifest = |document: &crate::content::Document| {
            format!("/v2/{repository}/manifests/{}", document.digest)
        };
        let mut table = registry.table("deletion of what is named: 409 with the referrers");
        for (rule, target, referrers) in [
            ("a layer", blob(&layer), vec![&child]),
            (
                "a configuration of two",
                blob(&config),
                vec![&other, &child],
            ),
            ("a child", manifest(&child), vec![&parent]),
            ("a child that is an index", manifest(&parent), vec![&nested]),
        ] {
            let refusal = refused(409, "DENIED");
            let answer = table
                .row(format!("{rule} is not deleted"), delete(&*target), refusal)
                .await;
            let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let told = &told["errors"][0]["detail"]["neededBy"];
            let told = told
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            let told: BTreeSet<String> = told.map(str::to_owned).collect();
            let expected = referrers.iter().map(|it| it.digest.to_string()).collect();
            table.must(format!("{rule}: who names it is told"), told, expected);
            table
                .row(format!("{rule} is there"), head(target), is(200))
                .await;
        }
        for (rule, target) in [
            ("the root", manifest(&nested)),
            ("then what it named", manifest(&parent)),
            ("then its child", manifest(&child)),
            ("then its layer", blob(&layer)),
            ("then the other child", manifest(&other)),
            ("then the configuration", blob(&config)),
        ] {
            table
                .row(format!("{rule} is deleted"), delete(&*target), is(202))
                .await;
            table
                .row(format!("{rule} is gone"), head(target), is(404))
                .await;
        }
    }
}

#[tokio::test]
async fn a_blob_is_deleted_from_its_repository_only() {
    let registry = Registry::start().await;
    let (one, two) = (registry.repository("one"), registry.repository("two"));
    let mut table = registry.table("distribution-spec, Deleting Blobs");
    for algorithm in ALGORITHMS {
        let bytes = marked(&algorithm.to_string());
        let digest = registry.push_blob(&one, algorithm, &bytes).await;
        registry.push_blob(&two, algorithm, &bytes).await;
        // A repository of nothing would be unknown itself.
        registry
            .push_blob(&one, algorithm, b"something stays")
            .await;
        let target = |repository: &str| format!("/v2/{repository}/blobs/{digest}");
        let unknown = refused(404, "BLOB_UNKNOWN");
        for (rule, request, expected) in [
            (
                "a blob is deleted",
                delete(target(&one)),
                is(202).header("Content-Length", 0),
            ),
            ("it is gone", get(target(&one)), unknown.clone()),
            ("it is deleted once", delete(target(&one)), unknown.clone()),
            (
                "that of another repository stays",
                get(target(&two)),
                is(200).body(bytes.clone()),
            ),
        ] {
            table.row(rule, request, expected).await;
        }
        let uploads = format!("/v2/{one}/blobs/uploads/");
        let request = post(with(&uploads, "digest", digest)).body(bytes.clone());
        table
            .row("what was deleted may come back", request, is(201))
            .await;
        table
            .row("it is there", get(target(&one)), is(200).body(bytes))
            .await;
    }
}
