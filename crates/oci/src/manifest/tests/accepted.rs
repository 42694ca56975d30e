//! What must be taken, and what is read of it.

use super::*;

/// The kind of a manifest and how many blobs, foreign blobs and children it names.
fn outline(content_type: Option<&str>, body: &Value) -> (ManifestKind, [usize; 3]) {
    let manifest = parse(content_type, &body.to_string())
        .unwrap_or_else(|error| panic!("{error}: {content_type:?} {body}"));
    let counts = [
        manifest.blobs().len(),
        manifest.foreign_blobs().len(),
        manifest.children().len(),
    ];
    (manifest.kind(), counts)
}

#[test]
fn every_family_of_manifests_is_taken() {
    use ManifestKind::{Artifact, Image, Index};
    let docker = with(image(), json!({ "mediaType": DOCKER_IMAGE }));
    let list = with(index(), json!({ "mediaType": DOCKER_LIST }));
    let oras = "application/vnd.cncf.oras.artifact.manifest.v1+json";
    let artifact = json!({
        "mediaType": ARTIFACT, "artifactType": "a/b",
        "blobs": [descriptor("c/d", b"blob")], "subject": descriptor(IMAGE, b"child"),
    });
    let chart = with(
        image(),
        json!({
            "config": descriptor("application/vnd.cncf.helm.config.v1+json", b"{}"),
            "layers": [descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"chart")],
        }),
    );
    for (content_type, body, expected) in [
        (IMAGE, image(), (Image, [3, 0, 0])),
        (INDEX, index(), (Index, [0, 0, 1])),
        (DOCKER_IMAGE, docker, (Image, [3, 0, 0])),
        (DOCKER_LIST, list, (Index, [0, 0, 1])),
        (ARTIFACT, artifact.clone(), (Artifact, [1, 0, 0])),
        (
            ARTIFACT,
            without(artifact.clone(), "blobs"),
            (Artifact, [0, 0, 0]),
        ),
        (
            oras,
            with(artifact, json!({ "mediaType": oras })),
            (Artifact, [1, 0, 0]),
        ),
        (IMAGE, chart, (Image, [2, 0, 0])),
    ] {
        assert_eq!(outline(Some(content_type), &body), expected, "{body}");
        assert_eq!(outline(None, &body), expected, "{body}");
    }
}

#[test]
fn lists_may_be_empty_or_null() {
    for list in [json!([]), Value::Null] {
        let image = with(image(), json!({ "layers": list }));
        assert_eq!(outline(Some(IMAGE), &image).1, [1, 0, 0]);
        let index = with(index(), json!({ "manifests": list }));
        assert_eq!(outline(Some(INDEX), &index).1, [0, 0, 0]);
    }
    let bare = without(image(), "layers");
    assert_eq!(outline(Some(IMAGE), &bare).1, [1, 0, 0]);
}

#[test]
fn optional_members_may_be_null() {
    let nulls = json!({ "subject": null, "annotations": null, "artifactType": null });
    let layer = json!({ "urls": null, "annotations": null, "data": null, "artifactType": null });
    let layer = with(descriptor(LAYER, b"one"), layer);
    let body = with(with(image(), nulls), json!({ "layers": [layer] }));
    assert_eq!(outline(Some(IMAGE), &body).1, [2, 0, 0]);
}

#[test]
fn a_missing_media_type_is_found_elsewhere() {
    for (content_type, body, expected) in [
        (
            Some(DOCKER_IMAGE),
            without(image(), "mediaType"),
            DOCKER_IMAGE,
        ),
        (
            Some(DOCKER_LIST),
            without(index(), "mediaType"),
            DOCKER_LIST,
        ),
        (
            None,
            with(image(), json!({ "mediaType": DOCKER_IMAGE })),
            DOCKER_IMAGE,
        ),
        (Some(" \t"), index(), INDEX),
        (None, without(image(), "mediaType"), IMAGE),
        (None, without(index(), "mediaType"), INDEX),
    ] {
        let manifest = parse(content_type, &body.to_string()).unwrap();
        assert_eq!(manifest.media_type().as_str(), expected);
    }
}

#[test]
fn parameters_of_the_content_type_are_ignored() {
    let header = format!("{IMAGE}; charset=utf-8");
    let manifest = parse(Some(&header), &image().to_string()).unwrap();
    assert_eq!(*manifest.media_type(), MediaType::OCI_IMAGE_MANIFEST);
}

#[test]
fn foreign_layers_are_not_demanded() {
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let urls = json!({ "urls": ["http://169.254.169.254/layer", "<script>"] });
    let layers = json!([
        descriptor(LAYER, b"plain"),
        descriptor(foreign, b"windows"),
        with(descriptor(LAYER, b"elsewhere"), urls.clone()),
        with(descriptor(LAYER, b"here"), json!({ "urls": [] })),
        with(descriptor(LAYER, b"plain"), urls),
    ]);
    let body = with(image(), json!({ "layers": layers })).to_string();
    let manifest = parse(None, &body).unwrap();
    let demanded = [b"config".as_slice(), b"plain", b"here"].map(digest);
    assert_eq!(digests(manifest.blobs()), demanded);
    let optional = [b"windows".as_slice(), b"elsewhere"].map(digest);
    assert_eq!(digests(manifest.foreign_blobs()), optional);
}

#[test]
fn each_blob_and_child_is_named_once() {
    let layers = vec![descriptor(LAYER, b"same"); 5];
    let body = with(image(), json!({ "config": layers[0], "layers": layers }));
    assert_eq!(outline(None, &body).1, [1, 0, 0]);
    let children = vec![descriptor(IMAGE, b"same"); 5];
    let body = with(index(), json!({ "manifests": children }));
    assert_eq!(outline(None, &body).1, [0, 0, 1]);
}

#[test]
fn what_an_index_names_that_is_no_manifest_is_a_blob() {
    let cache = json!([
        descriptor(LAYER, b"layer"),
        descriptor("application/vnd.buildkit.cacheconfig.v0", b"cache"),
        descriptor(INDEX, b"nested"),
        descriptor(DOCKER_IMAGE, b"image"),
    ]);
    let body = with(index(), json!({ "manifests": cache }));
    let manifest = parse(None, &body.to_string()).unwrap();
    assert_eq!(
        digests(manifest.blobs()),
        [b"layer".as_slice(), b"cache"].map(digest)
    );
    assert_eq!(
        digests(manifest.children()),
        [b"nested".as_slice(), b"image"].map(digest)
    );
}

#[test]
fn embedded_data_is_taken_when_it_is_the_content() {
    use base64::Engine as _;
    for content in [b"".as_slice(), b"a", b"ab", b"abc", b"\xff\0content"] {
        let data = base64::prelude::BASE64_STANDARD.encode(content);
        for digest in [Algorithm::Sha256, Algorithm::Sha512].map(|a| Digest::of(a, content)) {
            let config = json!({
                "mediaType": CONFIG, "digest": digest, "size": content.len(), "data": data,
            });
            let body = with(image(), json!({ "config": config }));
            assert_eq!(outline(None, &body).1, [3, 0, 0]);
        }
    }
}

#[test]
fn bytes_are_kept_and_hashed_as_they_are() {
    let body = format!("\n {}\t", serde_json::to_string_pretty(&image()).unwrap());
    let manifest = parse(Some(IMAGE), &body).unwrap();
    assert_eq!(manifest.bytes(), body.as_bytes());
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        assert_eq!(
            manifest.digest(algorithm),
            Digest::of(algorithm, body.as_bytes())
        );
    }
}

#[test]
fn exactly_four_mebibytes_are_taken_and_one_more_is_not() {
    let mut body = image().to_string();
    body.push_str(&" ".repeat(MAX_MANIFEST_BYTES - body.len()));
    assert!(parse(Some(IMAGE), &body).is_ok());
    body.push(' ');
    assert_eq!(parse(Some(IMAGE), &body), Err(ParseManifestError::TooLarge));
}

#[test]
fn lists_and_objects_are_taken_up_to_their_limits() {
    let layers = vec![descriptor(LAYER, b"same"); MAX_DESCRIPTORS];
    assert_eq!(
        outline(None, &with(image(), json!({ "layers": layers }))).1,
        [2, 0, 0]
    );
    let members: Value = (0..MAX_MEMBERS)
        .map(|n| (n.to_string(), json!("x")))
        .collect();
    let body = with(
        image(),
        json!({ "annotations": members, "unknown": members }),
    );
    assert_eq!(outline(None, &body).1, [3, 0, 0]);
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1));
    let body = with(
        image(),
        json!({ "unknown": serde_json::from_str::<Value>(&deep).unwrap() }),
    );
    assert_eq!(outline(None, &body).1, [3, 0, 0]);
}
