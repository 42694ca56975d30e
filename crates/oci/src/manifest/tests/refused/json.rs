//! JSON that this or another reader would misread.

use super::*;

#[test]
fn bytes_that_are_not_json() {
    let body = image().to_string();
    let unknown = |value: &str| image_with("top", &format!("\"x\":{value}"));
    for text in [
        String::new(),
        " ".to_owned(),
        format!("\u{feff}{body}"),
        format!("{body}{body}"),
        format!("{body}x"),
        format!("{body}\0"),
        body[..body.len() - 1].to_owned(),
        unknown("\"\\ud800\""),
        unknown("\"\\udc00\""),
        unknown("\"\\ud800\\u0041\""),
        unknown("[{\"\\ud800\":0}]"),
        unknown("\"a\nb\""),
        unknown("1e400"),
        unknown("01"),
        unknown("+1"),
        unknown(".5"),
        unknown("NaN"),
        unknown("[1,]"),
        unknown("'x'"),
        unknown("0/*c*/"),
        image_with("top", "\"schemaVersion\":2e400"),
        image_with("top", "\"annotations\":{\"a\":\"\\ud800\"}"),
    ] {
        let error = refusal(Some(IMAGE), &text);
        assert!(matches!(error, E::NotJson { .. }), "{error:?}: {text}");
    }
    let mut bytes = body.into_bytes();
    bytes[10] = 0xff;
    assert_eq!(Manifest::parse(Some(IMAGE), bytes.into()), Err(E::NotUtf8));
    let mut bytes = unknown("\"@\"").into_bytes();
    let at = bytes.iter().position(|&b| b == b'@').unwrap();
    bytes[at] = 0xed;
    assert_eq!(Manifest::parse(Some(IMAGE), bytes.into()), Err(E::NotUtf8));
}

#[test]
fn names_that_occur_twice() {
    let media_type = format!("\"mediaType\":\"{IMAGE}\"");
    let escaped = format!("\"m\\u0065diaType\":\"{INDEX}\"");
    for (at, insert) in [
        ("top", media_type.as_str()),
        ("top", &escaped),
        ("top", "\"schemaVersion\":2"),
        ("top", "\"layers\":[]"),
        ("top", "\"layers\":null"),
        ("top", "\"x\":0,\"x\":0"),
        ("top", "\"x\":0,\"\\u0078\":0"),
        ("top", "\"x\":{\"y\":0,\"y\":1}"),
        ("top", "\"x\":[[{\"y\":{},\"z\":0,\"y\":{}}]]"),
        ("top", "\"\":0,\"\":0"),
        ("top", "\"annotations\":{\"a\":\"b\",\"a\":\"b\"}"),
        ("config", "\"size\":6"),
        (
            "config",
            "\"d\\u0069gest\":\"sha256:x\",\"digest\":\"sha256:x\"",
        ),
        ("config", "\"annotations\":{\"a\":\"b\",\"\\u0061\":\"b\"}"),
        ("layers", "\"platform\":{\"os\":\"a\",\"os\":\"b\"}"),
        ("layers", "\"x\":{\"y\":0,\"\\u0079\":1}"),
    ] {
        let text = image_with(at, insert);
        assert_eq!(
            refusal(Some(IMAGE), &text),
            E::DuplicateName,
            "{at} {insert}"
        );
    }
}

#[test]
fn names_that_other_readers_take_for_known_ones() {
    for (at, name, expected) in [
        ("top", "MediaType", "mediaType"),
        ("top", "MEDIATYPE", "mediaType"),
        ("top", "layer\u{17f}", "layers"),
        ("top", "Manifests", "manifests"),
        ("top", "fslayers", "fsLayers"),
        ("top", "schemaversion", "schemaVersion"),
        ("config", "Digest", "digest"),
        ("layers", "SIZE", "size"),
        ("layers", "ur\\u006cS", "urls"),
    ] {
        let text = image_with(at, &format!("\"{name}\":0"));
        assert_eq!(
            refusal(Some(IMAGE), &text),
            E::MiscasedName { expected },
            "{name}"
        );
    }
}

#[test]
fn values_of_the_wrong_type() {
    for body in [json!([]), json!("x"), json!(2), Value::Null] {
        let error = refusal(Some(IMAGE), &body.to_string());
        assert!(matches!(error, E::UnexpectedType { .. }), "{error:?}");
    }
    for members in [
        json!({ "schemaVersion": "2" }),
        json!({ "schemaVersion": null }),
        json!({ "schemaVersion": true }),
        json!({ "mediaType": 2 }),
        json!({ "mediaType": null }),
        json!({ "config": null }),
        json!({ "config": [] }),
        json!({ "layers": {} }),
        json!({ "layers": [null] }),
        json!({ "layers": [[]] }),
        json!({ "subject": [] }),
        json!({ "annotations": { "a": 1 } }),
        json!({ "annotations": { "a": null } }),
        json!({ "annotations": [] }),
        json!({ "artifactType": {} }),
        json!({ "config": with(descriptor(CONFIG, b""), json!({ "size": "2" })) }),
        json!({ "config": with(descriptor(CONFIG, b""), json!({ "size": null })) }),
        json!({ "config": with(descriptor(CONFIG, b""), json!({ "digest": null })) }),
        json!({ "config": with(descriptor(CONFIG, b""), json!({ "urls": "http://a" })) }),
        json!({ "config": with(descriptor(CONFIG, b""), json!({ "urls": [1] })) }),
        json!({ "config": with(descriptor(CONFIG, b""), json!({ "data": [1] })) }),
    ] {
        let error = refusal(None, &with(image(), members.clone()).to_string());
        assert!(
            matches!(error, E::UnexpectedType { .. }),
            "{error:?} {members}"
        );
    }
}

#[test]
fn more_than_the_limits() {
    let deep = |open: &str, close: &str, depth: usize| {
        let value = format!("{}0{}", open.repeat(depth), close.repeat(depth));
        image_with("top", &format!("\"x\":{value}"))
    };
    for depth in [MAX_DEPTH, 127, 128, 100_000] {
        assert_eq!(refusal(None, &deep("[", "]", depth)), E::TooDeep);
        assert_eq!(refusal(None, &deep("{\"a\":", "}", depth)), E::TooDeep);
        let platform = format!("\"platform\":{}", "[".repeat(depth));
        assert_eq!(refusal(None, &image_with("config", &platform)), E::TooDeep);
    }
    let layers = vec![descriptor(LAYER, b"same"); MAX_DESCRIPTORS + 1];
    let body = with(image(), json!({ "layers": layers })).to_string();
    let limit = MAX_DESCRIPTORS;
    assert_eq!(refusal(None, &body), E::TooMany { limit });
    let members: Value = (0..=MAX_MEMBERS)
        .map(|n| (n.to_string(), json!("x")))
        .collect();
    for name in ["annotations", "unknown"] {
        let body = with(image(), json!({ name: members })).to_string();
        let limit = MAX_MEMBERS;
        assert_eq!(refusal(None, &body), E::TooMany { limit });
    }
}

#[test]
fn messages_repeat_nothing_that_was_sent() {
    let canary = "\u{1b}[31mcanary";
    let encoded = json!(canary).to_string();
    for body in [
        format!("{{{encoded}:{encoded}"),
        image_with("top", &format!("\"layers\":{encoded}")),
        image_with("top", &format!("\"mediaType\":{encoded}")),
        image_with("config", &format!("\"digest\":{encoded}")),
        image_with("top", &format!("{encoded}:0,{encoded}:0")),
        with(image(), json!({ "mediaType": canary })).to_string(),
        with(image(), json!({ "artifactType": canary })).to_string(),
        encoded,
    ] {
        let message = meridian_error::chain(&refusal(Some(IMAGE), &body));
        assert!(
            !message.contains("canary") && message.is_ascii(),
            "{message}"
        );
    }
}
