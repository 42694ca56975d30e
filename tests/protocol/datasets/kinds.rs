//! The kinds of content: images, indexes and artifacts as clients push them, and as the
//! specifications allow them (image-spec; Docker schema 2).

use meridian_oci::Algorithm;
use serde_json::{Value, json};

use crate::content::{
    CONFIG, DOCKER_IMAGE, DOCKER_LIST, EMPTY, IMAGE, INDEX, LAYER, Set, extended, image, index,
};

/// A kind of content, and how to make it.
pub(super) type Kind = (&'static str, fn(&mut Set));

pub(super) const SBOM: &str = "application/vnd.example.sbom.v1";
const SIGNATURE: &str = "application/vnd.example.signature.v1";

pub(super) const KINDS: [Kind; 26] = [
    ("image", |set| {
        let image = set.image();
        set.add(&["image"], &image);
    }),
    ("uncompressed and zstd layers", |set| {
        let config = set.blob(CONFIG, "{\"os\":\"linux\"}");
        let layers = [set.fresh(LAYER), set.fresh(&format!("{LAYER}+zstd"))];
        set.add(&["layers"], &image(&config, &layers));
    }),
    ("manifest of 3.9 MB", |set| {
        let image = set.image();
        let annotations: serde_json::Map<String, Value> = (0..390)
            .map(|i| (format!("org.example.large.{i}"), "A".repeat(10_000).into()))
            .collect();
        let large = extended(image, &json!({"annotations": annotations}));
        set.add(&["large"], &large);
    }),
    ("multi-platform index", |set| {
        let children = platforms(set);
        set.add(&["index", "also-index"], &index(&children));
    }),
    ("nested index", |set| {
        let inner =
            [platforms(set), platforms(set)].map(|children| set.add(&[], &index(&children)));
        set.add(&["nested"], &index(&inner));
    }),
    ("empty index", |set| {
        set.add(&["empty"], &index(&[]));
    }),
    ("artifact", |set| {
        let artifact = set.artifact(SBOM);
        set.add(&["artifact"], &artifact);
    }),
    ("artifact index", |set| {
        let children = [SBOM, SIGNATURE].map(|artifact_type| {
            let artifact = set.artifact(artifact_type);
            set.add(&[], &artifact)
        });
        let members = json!({"artifactType": SBOM});
        set.add(&["artifacts"], &extended(index(&children), &members));
    }),
    ("artifact of nothing but annotations", |set| {
        let empty = set.blob(EMPTY, "{}");
        let members = json!({"artifactType": SBOM, "annotations": {"a": "b"}});
        let nothing = image(&empty, std::slice::from_ref(&empty));
        set.add(&["nothing"], &extended(nothing, &members));
    }),
    ("artifacts with a subject that is present", |set| {
        let subject = set.image();
        let subject = set.add(&["subject"], &subject);
        refer_to(set, &subject);
    }),
    ("artifacts with a subject that is absent", |set| {
        let subject = set.absent(IMAGE);
        refer_to(set, &subject);
    }),
    ("index with a subject", |set| {
        let children = platforms(set);
        let subject = set.add(&["subject"], &index(&children));
        let artifact = set.artifact(SBOM);
        let child = set.add(&[], &artifact);
        let typed = json!({"artifactType": SBOM, "subject": subject, "annotations": {"k": "v"}});
        set.add(&["typed"], &extended(index(&[child]), &typed));
        let untyped = json!({"subject": subject});
        set.add(&["untyped"], &extended(index(&[]), &untyped));
    }),
    ("embedded data", |set| {
        let config = set.blob(EMPTY, "{}");
        let config = extended(config, &json!({"data": "e30="}));
        let layer = set.blob("text/plain", "hello");
        let layer = extended(layer, &json!({"data": "aGVsbG8="}));
        let inner = set.add(&[], &image(&config, &[layer]));
        set.add(&["data"], &index(&[inner]));
    }),
    ("layers that may not be distributed", |set| {
        let mut document = set.image();
        for suffix in ["", "+gzip", "+zstd"] {
            let media_type =
                format!("application/vnd.oci.image.layer.nondistributable.v1.tar{suffix}");
            let layer = foreign(set, &media_type);
            document["layers"].as_array_mut().unwrap().push(layer);
        }
        set.add(&["nondistributable"], &document);
    }),
    ("foreign layers of Windows images", |set| {
        let config = set.fresh("application/vnd.docker.container.image.v1+json");
        let base = foreign(
            set,
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        );
        let own = set.fresh("application/vnd.docker.image.rootfs.diff.tar.gzip");
        let members = json!({"mediaType": DOCKER_IMAGE});
        set.add(
            &["windows"],
            &extended(image(&config, &[base, own]), &members),
        );
    }),
    ("layers with other places to get them from", |set| {
        let mut document = set.image();
        let layer = foreign(set, LAYER);
        document["layers"].as_array_mut().unwrap().push(layer);
        set.add(&["urls"], &document);
    }),
    ("fields that nobody knows", |set| {
        let custom = json!({
            "org.example.custom": {"nested": [1, -2.5e3, null, true, {"deep": "\u{e9}"}]},
            "Extra": "kept",
        });
        let layer = extended(set.fresh(LAYER), &custom);
        let config = extended(set.fresh(CONFIG), &custom);
        let image = extended(image(&config, &[layer]), &custom);
        let child = extended(set.add(&[], &image), &custom);
        set.add(&["custom"], &extended(index(&[child]), &custom));
    }),
    ("image without layers", |set| {
        let config = set.fresh(CONFIG);
        set.add(&["bare"], &image(&config, &[]));
    }),
    ("docker image, schema 2", |set| {
        let document = docker(set);
        set.add(&["docker"], &document);
    }),
    ("docker manifest list", |set| {
        let children = ["amd64", "arm64"].map(|architecture| {
            let image = docker(set);
            let platform = json!({"platform": {"os": "linux", "architecture": architecture}});
            extended(set.add(&[], &image), &platform)
        });
        let list = extended(index(&children), &json!({"mediaType": DOCKER_LIST}));
        set.add(&["list"], &list);
    }),
    ("helm chart", |set| {
        let config = set.fresh("application/vnd.cncf.helm.config.v1+json");
        let chart = set.fresh("application/vnd.cncf.helm.chart.content.v1.tar+gzip");
        let provenance = set.fresh("application/vnd.cncf.helm.chart.provenance.v1.prov");
        set.add(&["chart"], &image(&config, &[chart, provenance]));
    }),
    ("artifact manifests of before version 1.1", |set| {
        for (tag, media_type) in [
            ("oci", "application/vnd.oci.artifact.manifest.v1+json"),
            (
                "oras",
                "application/vnd.cncf.oras.artifact.manifest.v1+json",
            ),
        ] {
            let blob = set.fresh(SBOM);
            let document = json!({"mediaType": media_type, "artifactType": SBOM, "blobs": [blob]});
            set.add_bytes(&[tag], media_type, document.to_string());
        }
    }),
    ("build cache", |set| {
        let layer = set.fresh(&format!("{LAYER}+gzip"));
        let config = set.fresh("application/vnd.buildkit.cacheconfig.v0");
        set.add(&["cache"], &index(&[layer, config]));
    }),
    ("image that does not say its type", |set| {
        let mut document = set.image();
        document.as_object_mut().unwrap().remove("mediaType");
        set.add_bytes(&["untyped"], IMAGE, document.to_string());
    }),
    ("manifest in an odd hand", |set| {
        let odd = format!(
            "\r\n\t {{ \"manifests\":\n[ ] ,\"x\" : \"\\u00e9 é \\/ \\ud83d\\ude00\",\
             \"n\":1E+2,\"mediaType\":\"{INDEX}\",  \"schemaVersion\" : 2}}  \n\n"
        );
        set.add_bytes(&["odd"], INDEX, odd);
    }),
    (
        "manifest whose leaves are named in the other algorithm",
        |set| {
            let own = set.algorithm;
            set.algorithm = match own {
                Algorithm::Sha256 => Algorithm::Sha512,
                Algorithm::Sha512 => Algorithm::Sha256,
            };
            let image = set.image();
            let child = set.add(&[], &image);
            set.algorithm = own;
            set.add(&["mixed"], &index(&[child]));
        },
    ),
];

fn platforms(set: &mut Set) -> Vec<Value> {
    ["amd64", "arm64"]
        .map(|architecture| {
            let image = set.image();
            let platform = json!({"platform": {"os": "linux", "architecture": architecture}});
            extended(set.add(&[], &image), &platform)
        })
        .to_vec()
}

fn foreign(set: &mut Set, media_type: &str) -> Value {
    let urls = json!({"urls": ["https://store.example.com/layer"]});
    extended(set.absent(media_type), &urls)
}

fn docker(set: &mut Set) -> Value {
    let config = set.fresh("application/vnd.docker.container.image.v1+json");
    let layer = set.fresh("application/vnd.docker.image.rootfs.diff.tar.gzip");
    extended(
        image(&config, &[layer]),
        &json!({"mediaType": DOCKER_IMAGE}),
    )
}

/// An image of that subject, and artifacts with and without annotations.
fn refer_to(set: &mut Set, subject: &Value) {
    let subject = json!({"subject": subject});
    let plain = extended(set.image(), &subject);
    set.add(&[], &plain);
    for (tag, artifact_type) in [("one", SBOM), ("two", SIGNATURE), ("three", SBOM)] {
        let annotations = json!({"annotations": {"org.example.tag": tag, "kept": "\u{e9}\"\\"}});
        let artifact = extended(set.artifact(artifact_type), &subject);
        set.add(&[tag], &extended(artifact, &annotations));
    }
}
