//! What the referrers API shows of a manifest.

use super::*;

fn shown(manifest: &Manifest) -> Option<Value> {
    let json = manifest.referrer_descriptor(&manifest.digest(Algorithm::Sha256))?;
    Some(serde_json::from_str(&json).unwrap())
}

#[test]
fn the_type_of_artifact_is_the_manifests_or_its_configurations() {
    let artifact = json!({ "mediaType": ARTIFACT, "artifactType": "a/b" });
    for (body, expected) in [
        (image(), Some(CONFIG)),
        (with(image(), json!({ "artifactType": "a/b" })), Some("a/b")),
        (
            with(image(), json!({ "artifactType": "a/b; c" })),
            Some("a/b; c"),
        ),
        (with(image(), json!({ "artifactType": "" })), Some(CONFIG)),
        (index(), None),
        (with(index(), json!({ "artifactType": "a/b" })), Some("a/b")),
        (artifact, Some("a/b")),
    ] {
        let manifest = parse(None, &body.to_string()).unwrap();
        assert_eq!(manifest.artifact_type(), expected, "{body}");
    }
}

#[test]
fn a_descriptor_carries_all_annotations() {
    let annotations = json!({ "b": "\u{7}\"\\<script>", "a": "", "": "é\u{2028}" });
    let subject = descriptor(IMAGE, b"subject");
    for (body, artifact_type) in [(image(), json!(CONFIG)), (index(), Value::Null)] {
        let more = json!({ "subject": subject, "annotations": annotations });
        let body = with(body, more);
        let text = serde_json::to_string_pretty(&body).unwrap();
        let manifest = parse(None, &text).unwrap();
        let mut expected = json!({
            "mediaType": body["mediaType"],
            "digest": digest(text.as_bytes()),
            "size": text.len(),
            "annotations": annotations,
        });
        if !artifact_type.is_null() {
            expected["artifactType"] = artifact_type;
        }
        assert_eq!(shown(&manifest), Some(expected));
        assert_eq!(
            digests(manifest.subject().into_iter()),
            [digest(b"subject")]
        );
    }
}

#[test]
fn annotations_that_are_not_there_are_not_shown() {
    let body = with(image(), json!({ "subject": descriptor(IMAGE, b"subject") }));
    let shown = shown(&parse(None, &body.to_string()).unwrap()).unwrap();
    assert_eq!(shown.get("annotations"), None);
}

#[test]
fn a_descriptor_has_the_digest_under_which_the_manifest_is_kept() {
    let body = with(image(), json!({ "subject": descriptor(IMAGE, b"subject") }));
    let manifest = parse(None, &body.to_string()).unwrap();
    let wide = manifest.digest(Algorithm::Sha512);
    let json = manifest.referrer_descriptor(&wide).unwrap();
    assert!(json.contains(&wide.to_string()));
}

#[test]
fn a_manifest_without_subject_is_no_referrer() {
    let body = with(image(), json!({ "annotations": { "a": "b" } }));
    assert_eq!(shown(&parse(None, &body.to_string()).unwrap()), None);
}
