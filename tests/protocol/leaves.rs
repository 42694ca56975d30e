//! What a manifest names must be there, and in its place.

use serde_json::{Value, json};

use crate::content::{
    ALGORITHMS, CONFIG, IMAGE, INDEX, LAYER, Set, descriptor, extended, image, index, marked,
};
use crate::expected::refused;
use crate::server::Registry;
use crate::wire::{get, put};

#[tokio::test]
async fn content_that_is_missing_is_named() {
    let registry = Registry::start().await;
    for algorithm in ALGORITHMS {
        let repository = registry.repository(&algorithm.to_string());
        let (target, elsewhere) = (
            format!("/v2/{repository}/manifests/v1"),
            registry.repository("elsewhere"),
        );
        let mut table =
            registry.table("distribution-spec, Pushing Manifests: MANIFEST_BLOB_UNKNOWN");
        let mut set = Set::new(algorithm, 1);
        let there = set.fresh(LAYER);
        registry
            .push_blob(&repository, algorithm, &set.blobs[0])
            .await;
        let not_here = set.fresh(LAYER);
        registry
            .push_blob(&elsewhere, algorithm, &set.blobs[1])
            .await;
        let [config, layer] = [CONFIG, LAYER].map(|media_type| set.absent(media_type));
        let child = set.absent(IMAGE);
        let grandchild = set.absent(INDEX);
        for (rule, document, missing) in [
            (
                "its configuration",
                image(&config, std::slice::from_ref(&there)),
                vec![&config],
            ),
            (
                "its layers",
                image(&there, &[layer.clone(), there.clone()]),
                vec![&layer],
            ),
            (
                "both",
                image(&config, std::slice::from_ref(&layer)),
                vec![&config, &layer],
            ),
            (
                "one of them twice",
                image(&layer, &[layer.clone(), layer.clone()]),
                vec![&layer],
            ),
            (
                "what another repository has",
                image(&there, std::slice::from_ref(&not_here)),
                vec![&not_here],
            ),
            (
                "its children",
                index(&[child.clone(), grandchild.clone()]),
                vec![&child, &grandchild],
            ),
        ] {
            let request = put(&*target)
                .header("Content-Type", document["mediaType"].as_str().unwrap())
                .body(document.to_string());
            let refusal = refused(400, "MANIFEST_BLOB_UNKNOWN");
            let answer = table
                .row(format!("missing: {rule}"), request, refusal)
                .await;
            let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let mut told: Vec<Value> = told["errors"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|error| error["detail"]["digest"].clone())
                .collect();
            told.sort_by_key(Value::to_string);
            let mut missing: Vec<Value> = missing.iter().map(|it| it["digest"].clone()).collect();
            missing.sort_by_key(Value::to_string);
            table.must(
                format!("each that is missing is listed once: {rule}"),
                told,
                missing,
            );
            let unknown = refused(404, "MANIFEST_UNKNOWN");
            table
                .row(format!("nothing is stored: {rule}"), get(&*target), unknown)
                .await;
        }
        let size = there["size"].as_u64().unwrap() + 1;
        let wrong = extended(there.clone(), &json!({"size": size}));
        let request = put(&*target)
            .header("Content-Type", IMAGE)
            .body(image(&wrong, &[]).to_string());
        let rule = "a size that is not the content's";
        table.row(rule, request, refused(400, "SIZE_INVALID")).await;
    }
}

/// What an index calls a manifest can be pulled as one.
#[tokio::test]
async fn a_blob_is_not_a_child() {
    let registry = Registry::start().await;
    let mut table = registry.table("distribution-spec, Pushing Manifests: MANIFEST_BLOB_UNKNOWN");
    for algorithm in ALGORITHMS {
        let repository = registry.repository(&algorithm.to_string());
        let target = format!("/v2/{repository}/manifests/v1");
        let bytes = marked("pushed as a blob");
        let digest = registry.push_blob(&repository, algorithm, &bytes).await;
        let child = descriptor(INDEX, &digest, bytes.len());
        let request = put(target)
            .header("Content-Type", INDEX)
            .body(index(&[child]).to_string());
        let rule = "a child that was pushed as a blob is missing";
        table
            .row(rule, request, refused(400, "MANIFEST_BLOB_UNKNOWN"))
            .await;
    }
}
