//! Descriptors that cannot be true.

use super::*;

#[test]
fn sizes_that_no_content_has() {
    for size in [
        "-1",
        "-0",
        "2.0",
        "1e3",
        "9223372036854775808",
        "18446744073709551616",
        "1e300",
    ] {
        let body = image()
            .to_string()
            .replacen("\"size\":3", &format!("\"size\":{size}"), 1);
        let error = refusal(Some(IMAGE), &body);
        assert_eq!(error, layer(0, DescriptorFault::Size), "{size}");
        assert_eq!(error.error_code(), ErrorCode::SizeInvalid);
    }
    let body = image()
        .to_string()
        .replacen("\"size\":3", "\"size\":9223372036854775807", 1);
    assert!(parse(None, &body).is_ok());
}

#[test]
fn two_sizes_for_one_digest() {
    let other = with(descriptor(LAYER, b"one"), json!({ "size": 4 }));
    let foreign = with(other.clone(), json!({ "urls": ["http://a"] }));
    for members in [
        json!({ "layers": [descriptor(LAYER, b"one"), other] }),
        json!({ "layers": [descriptor(LAYER, b"one"), foreign] }),
        json!({ "config": other }),
        json!({ "subject": other }),
    ] {
        let error = refusal(None, &with(image(), members).to_string());
        assert_eq!(error, E::ContradictorySizes);
        assert_eq!(error.error_code(), ErrorCode::SizeInvalid);
    }
}

#[test]
fn descriptors_that_are_not_lawful() {
    use DescriptorFault::{ArtifactType, Data, Digest, MediaType, Missing};
    let lawful = || descriptor(LAYER, b"content");
    let edited = |members: Value| with(lawful(), members);
    let upper = digest(b"content").to_uppercase().replace("SHA", "sha");
    for (entry, fault) in [
        (json!({}), Missing("mediaType")),
        (without(lawful(), "mediaType"), Missing("mediaType")),
        (without(lawful(), "digest"), Missing("digest")),
        (without(lawful(), "size"), Missing("size")),
        (edited(json!({ "mediaType": "" })), MediaType),
        (edited(json!({ "mediaType": "tar" })), MediaType),
        (
            edited(json!({ "mediaType": format!("a/{}", "b".repeat(254)) })),
            MediaType,
        ),
        (
            edited(json!({ "digest": "" })),
            Digest(ParseDigestError::Malformed),
        ),
        (
            edited(json!({ "digest": "sha256:abc" })),
            Digest(ParseDigestError::Malformed),
        ),
        (
            edited(json!({ "digest": upper })),
            Digest(ParseDigestError::Malformed),
        ),
        (
            edited(json!({ "digest": "md5:abc" })),
            Digest(ParseDigestError::UnsupportedAlgorithm),
        ),
        (edited(json!({ "artifactType": "no type" })), ArtifactType),
        (
            edited(json!({ "artifactType": format!("a/b;{}", "c".repeat(255)) })),
            ArtifactType,
        ),
        (edited(json!({ "data": "" })), Data),
        (edited(json!({ "data": "Y29udGVuVA==" })), Data),
        (edited(json!({ "data": "Y29udGVudA" })), Data),
        (edited(json!({ "data": "Y29udGVudB==" })), Data),
        (edited(json!({ "data": "Y29u\nGVudA==" })), Data),
        (edited(json!({ "data": "Y29udGVudA==", "size": 6 })), Data),
        (edited(json!({ "data": "Y29udGVudA==", "size": 8 })), Data),
        (
            edited(json!({ "data": "Y29udGVudA==", "size": i64::MAX })),
            Data,
        ),
    ] {
        let layers = json!({ "layers": [descriptor(LAYER, b"one"), entry] });
        let error = refusal(Some(IMAGE), &with(image(), layers).to_string());
        assert_eq!(error, layer(1, fault), "{entry}");
        assert_eq!(error.error_code(), ErrorCode::ManifestInvalid);
    }
    let body = with(image(), json!({ "subject": {} })).to_string();
    let fault = Missing("mediaType");
    let place = DescriptorPlace::Subject;
    assert_eq!(refusal(None, &body), E::Descriptor { place, fault });
    assert_eq!(
        refusal(None, &body).to_string(),
        "subject: mediaType is missing"
    );
    let body = with(image(), json!({ "artifactType": "\u{202e}" })).to_string();
    assert_eq!(refusal(None, &body), E::ArtifactType);
}
