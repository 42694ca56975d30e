//! Manifests that are of no kind, or of two.

use super::*;

#[test]
fn content_types_that_are_not_manifests() {
    let body = image().to_string();
    for (header, expected) in [
        ("application/json", E::UnsupportedMediaType),
        ("application/octet-stream", E::UnsupportedMediaType),
        ("text/html", E::UnsupportedMediaType),
        ("*/*", E::UnsupportedMediaType),
        (CONFIG, E::UnsupportedMediaType),
        (
            "application/vnd.oci.image.MANIFEST.v1+json",
            E::UnsupportedMediaType,
        ),
        (
            "application/vnd.docker.distribution.manifest.v1+json",
            E::Schema1,
        ),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            E::Schema1,
        ),
    ] {
        let error = refusal(Some(header), &body);
        assert_eq!(error, expected, "{header}");
        assert_eq!(error.error_code(), ErrorCode::Unsupported);
        assert_eq!(error.code(), Code::Unsupported);
    }
    let body = with(image(), json!({ "mediaType": "application/json" })).to_string();
    assert_eq!(refusal(None, &body), E::UnsupportedMediaType);
}

#[test]
fn docker_schema_1() {
    let signed = json!({
        "schemaVersion": 1, "name": "a", "tag": "b", "architecture": "amd64",
        "fsLayers": [{ "blobSum": digest(b"layer") }], "history": [], "signatures": [],
    });
    for content_type in [None, Some(IMAGE), Some(DOCKER_IMAGE)] {
        assert_eq!(refusal(content_type, &signed.to_string()), E::Schema1);
        let disguised = with(image(), json!({ "fsLayers": [] })).to_string();
        assert_eq!(refusal(content_type, &disguised), E::Schema1);
        let versioned = without(image(), "mediaType");
        let versioned = with(versioned, json!({ "schemaVersion": 1 })).to_string();
        assert_eq!(refusal(content_type, &versioned), E::Schema1);
    }
}

#[test]
fn members_of_two_kinds_of_manifests() {
    let (image, index) = (image(), index());
    let both = with(image.clone(), json!({ "manifests": index["manifests"] }));
    for (content_type, body, expected) in [
        (IMAGE, both.clone(), E::Misplaced("manifests")),
        (
            IMAGE,
            with(image.clone(), json!({ "manifests": [] })),
            E::Misplaced("manifests"),
        ),
        (
            IMAGE,
            with(image.clone(), json!({ "manifests": null })),
            E::Misplaced("manifests"),
        ),
        (
            IMAGE,
            with(image.clone(), json!({ "blobs": [] })),
            E::Misplaced("blobs"),
        ),
        (
            INDEX,
            with(both, json!({ "mediaType": INDEX })),
            E::Misplaced("config"),
        ),
        (
            INDEX,
            with(index.clone(), json!({ "config": image["config"] })),
            E::Misplaced("config"),
        ),
        (
            INDEX,
            with(index.clone(), json!({ "layers": [] })),
            E::Misplaced("layers"),
        ),
        (
            INDEX,
            without(image.clone(), "mediaType"),
            E::Misplaced("config"),
        ),
        (
            IMAGE,
            without(index.clone(), "mediaType"),
            E::Misplaced("manifests"),
        ),
        (
            DOCKER_LIST,
            without(image.clone(), "mediaType"),
            E::Misplaced("config"),
        ),
        (INDEX, image.clone(), E::MediaTypeMismatch),
        (IMAGE, index, E::MediaTypeMismatch),
        (DOCKER_IMAGE, image.clone(), E::MediaTypeMismatch),
        (
            IMAGE,
            with(image.clone(), json!({ "mediaType": "" })),
            E::MediaTypeMismatch,
        ),
        (
            IMAGE,
            with(image, json!({ "mediaType": format!("{IMAGE};a=b") })),
            E::MediaTypeMismatch,
        ),
    ] {
        assert_eq!(
            refusal(Some(content_type), &body.to_string()),
            expected,
            "{body}"
        );
    }
}

#[test]
fn bodies_that_do_not_tell_what_they_are() {
    let both = json!({ "schemaVersion": 2, "config": descriptor(CONFIG, b""), "manifests": [] });
    for body in [
        json!({}),
        json!({ "schemaVersion": 2 }),
        json!({ "schemaVersion": 2, "layers": [] }),
        json!({ "schemaVersion": 2, "blobs": [] }),
        both,
    ] {
        assert_eq!(refusal(None, &body.to_string()), E::Undetermined, "{body}");
    }
    for (content_type, name) in [(IMAGE, "config"), (INDEX, "manifests")] {
        let body = json!({ "schemaVersion": 2 }).to_string();
        assert_eq!(refusal(Some(content_type), &body), E::Missing(name));
    }
}

#[test]
fn schema_versions_that_are_not_the_integer_2() {
    for version in [
        "-2",
        "2.0",
        "2e0",
        "3",
        "0",
        "18446744073709551615",
        "18446744073709551616",
    ] {
        let body = image().to_string().replace(
            "\"schemaVersion\":2",
            &format!("\"schemaVersion\":{version}"),
        );
        assert_eq!(refusal(Some(IMAGE), &body), E::SchemaVersion, "{version}");
    }
    let body = without(image(), "schemaVersion").to_string();
    assert_eq!(refusal(Some(IMAGE), &body), E::SchemaVersion);
    let body =
        json!({ "mediaType": ARTIFACT, "artifactType": "a/b", "schemaVersion": 3 }).to_string();
    assert_eq!(refusal(None, &body), E::SchemaVersion);
}
