//! Properties over generated manifests and over bytes that are nearly manifests.

use std::fmt::Write as _;

use proptest::collection::{btree_map, vec};
use proptest::prelude::{
    BoxedStrategy, Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::Index;

use super::*;

/// Any JSON, nested within the limits.
fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300_f64).prop_map(Value::from),
        "\\PC{0,8}|[\\x00-\\x7f]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map("\\PC{0,4}", inner, 0..6).prop_map(|m| m.into_iter().collect()),
        ]
    })
    .boxed()
}

/// A lawful manifest with unknown members here and there.
fn any_manifest() -> BoxedStrategy<Value> {
    let names = || btree_map("x[a-z]{0,3}", any_json(), 0..4);
    let annotations = btree_map("\\PC{0,6}", "\\PC{0,6}", 0..4);
    (any::<bool>(), names(), names(), annotations, any::<bool>())
        .prop_map(|(is_image, outer, inner, annotations, has_subject)| {
            let mut body = if is_image { image() } else { index() };
            let list = if is_image { "layers" } else { "manifests" };
            body[list][0] = with(body[list][0].take(), json!(inner));
            body["annotations"] = json!(annotations);
            if has_subject {
                body["subject"] = with(descriptor(IMAGE, b"subject"), json!(inner));
            }
            with(body, json!(outer))
        })
        .boxed()
}

/// Writes JSON in which the `at`-th object that is not empty has its last member twice, the second
/// time with its name escaped. Counts `at` down.
fn write_twice(value: &Value, at: &mut Option<usize>, text: &mut String) {
    match value {
        Value::Array(elements) => {
            text.push('[');
            for (n, element) in elements.iter().enumerate() {
                text.push_str(if n > 0 { "," } else { "" });
                write_twice(element, at, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let here = !members.is_empty() && *at == Some(0);
            *at = at.and_then(|at| at.checked_sub(usize::from(!members.is_empty())));
            text.push('{');
            for (n, (name, member)) in members.iter().enumerate() {
                text.push_str(if n > 0 { "," } else { "" });
                write!(text, "{}:", json!(name)).unwrap();
                write_twice(member, at, text);
                if here && n + 1 == members.len() {
                    let escaped: String = name
                        .encode_utf16()
                        .map(|unit| format!("\\u{unit:04x}"))
                        .collect();
                    write!(text, ",\"{escaped}\":{member}").unwrap();
                }
            }
            text.push('}');
        }
        leaf => write!(text, "{leaf}").unwrap(),
    }
}

fn objects(value: &Value) -> usize {
    match value {
        Value::Array(elements) => elements.iter().map(objects).sum(),
        Value::Object(members) => {
            usize::from(!members.is_empty()) + members.values().map(objects).sum::<usize>()
        }
        _ => 0,
    }
}

proptest! {
    #[test]
    fn unknown_members_are_taken_and_survive(body in any_manifest(), pretty: bool) {
        let text = if pretty { format!("{body:#}") } else { body.to_string() };
        let manifest = parse(None, &text).unwrap();
        prop_assert_eq!(manifest.bytes(), text.as_bytes());
        prop_assert_eq!(manifest.subject().is_some(), body.get("subject").is_some());
        let again = Manifest::parse(Some(manifest.media_type().as_str()), manifest.bytes().clone());
        prop_assert_eq!(again, Ok(manifest));
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused_wherever_it_is(body in any_manifest(), at: Index) {
        let mut text = String::new();
        write_twice(&body, &mut None, &mut text);
        prop_assert!(parse(None, &text).is_ok());
        text.clear();
        write_twice(&body, &mut Some(at.index(objects(&body))), &mut text);
        prop_assert_eq!(parse(None, &text), Err(ParseManifestError::DuplicateName));
    }

    /// Only our own rules may tell us from a reader that takes any JSON.
    #[test]
    fn what_is_json_is_agreed_on(
        body in any_manifest(),
        edits in vec((any::<Index>(), "[\\x00-\\x7f]|[\\[\\]{}\",:0-9eE.\\\\-]{1,2}", any::<bool>()), 0..4),
        cut in proptest::option::weighted(0.1, any::<Index>()),
    ) {
        let mut text: Vec<char> = body.to_string().chars().collect();
        for (at, insert, replace) in edits {
            let at = at.index(text.len());
            text.splice(at..at + usize::from(replace), insert.chars());
        }
        text.truncate(cut.map_or(text.len(), |cut| cut.index(text.len())));
        let text: String = text.into_iter().collect();
        let judged = serde_json::from_str::<Value>(&text);
        match parse(None, &text) {
            Ok(_) => prop_assert!(judged.is_ok()),
            Err(ParseManifestError::NotJson { .. }) => prop_assert!(judged.is_err()),
            Err(_) => {}
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in vec(any::<u8>(), 0..200), typed: bool) {
        let _ = Manifest::parse(typed.then_some(IMAGE), bytes.into());
    }

    #[test]
    fn no_tokens_make_the_parser_panic(
        tokens in vec(prop_oneof![
            Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("null"), Just("-1"),
            Just("1e9"), Just("\"mediaType\""), Just("\"layers\""), Just("\"manifests\""),
            Just("\"config\""), Just("\"digest\""), Just("\"size\""), Just("\"data\""), Just("\"\\ud800\""),
        ], 0..60),
    ) {
        let _ = parse(None, &tokens.concat());
    }
}
