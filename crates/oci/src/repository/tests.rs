use proptest::prelude::{any, prop_assert_eq, proptest};
use regex::Regex;

use super::*;

const GRAMMAR: &str = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$";

fn parse(text: &str) -> Result<RepositoryName, ParseRepositoryNameError> {
    text.parse()
}

#[test]
fn hostile_names_are_refused() {
    for (row, names) in [
        (1, "a/../b .. . /a a/ a//b /"),
        (2, "%2e%2e %2E%2e%2f"),
        (3, "a%2fb a%2Fb"),
        (4, "%252e"),
        (5, "a\0b a\r a\x7f a\x0b"),
        (7, "ünïcode аbc \u{202e}cba ａｂｃ a\u{301} ſ"),
        (8, "Library/Nginx A aB"),
        (10, "a___b a..b -a a- _a a_ .a a. a.-b a-_b a_-b a/-b a-/b"),
        (12, "a:b a@b a\\b a?b a#b a* $(x) a;b _catalog a/_oci"),
    ] {
        for name in names.split(' ') {
            let parsed = parse(name);
            assert_eq!(
                parsed,
                Err(ParseRepositoryNameError::Malformed),
                "row {row}: {name:?}"
            );
        }
    }
    for name in [" ", " a", "a ", "a b", "a\n", "\n", "a\r\nx-evil:1"] {
        assert_eq!(
            parse(name),
            Err(ParseRepositoryNameError::Malformed),
            "{name:?}"
        );
    }
    assert_eq!(parse(""), Err(ParseRepositoryNameError::Empty));
}

#[test]
fn lawful_names_are_accepted() {
    for name in [
        "a",
        "0",
        "a__b",
        "a_b",
        "a.b",
        "a-b",
        "a---b",
        "a/b/c",
        "blobs",
        "manifests",
        "uploads",
        "tags/list",
        "a/manifests/b",
        "a--b__c.d_e/0",
    ] {
        assert_eq!(parse(name).unwrap().to_string(), name);
    }
}

#[test]
fn length_is_counted_in_bytes_and_bounded() {
    assert!(parse(&"a".repeat(255)).is_ok());
    assert_eq!(
        parse(&"a".repeat(256)),
        Err(ParseRepositoryNameError::TooLong)
    );
    assert_eq!(
        parse(&"a/".repeat(10_000)),
        Err(ParseRepositoryNameError::TooLong)
    );
}

/// Every string of up to seven characters of an alphabet in which each character has a role.
#[test]
fn acceptance_agrees_with_the_grammar_on_every_short_string() {
    let grammar = Regex::new(GRAMMAR).unwrap();
    let mut strings = vec![String::new()];
    for _ in 0..7 {
        strings = strings
            .iter()
            .flat_map(|s| ["a", ".", "_", "-", "/"].map(|c| format!("{s}{c}")))
            .collect();
        for text in &strings {
            assert_eq!(parse(text).is_ok(), grammar.is_match(text), "{text:?}");
        }
    }
}

proptest! {
    #[test]
    fn acceptance_agrees_with_the_grammar(text in r"[a-z0-9._/A%-]{0,20}|\PC{0,20}") {
        let grammar = Regex::new(GRAMMAR).unwrap();
        prop_assert_eq!(parse(&text).is_ok(), grammar.is_match(&text));
    }

    #[test]
    fn what_is_generated_by_the_grammar_round_trips(
        text in r"[a-z0-9]{1,9}((\.|_|__|-{1,3})[a-z0-9]{1,9}){0,3}(/[a-z0-9]{1,9}((\.|_|__|-{1,3})[a-z0-9]{1,9}){0,2}){0,3}"
    ) {
        let name = parse(&text).unwrap();
        prop_assert_eq!(name.to_string(), text);
        let json = serde_json::to_string(&name).unwrap();
        prop_assert_eq!(serde_json::from_str::<RepositoryName>(&json).unwrap(), name);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn serde_checks() {
    assert!(serde_json::from_str::<RepositoryName>("\"a/../b\"").is_err());
}
