//! A tag: the mutable name of a manifest, `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (distribution-spec
//! "Pulling manifests").

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};

use crate::text::validated_text;

/// A tag. Ordered by its bytes, as tag lists are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(Box<str>);

/// Why a string is not a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseTagError {
    /// It is empty.
    #[error("tag is empty")]
    Empty,
    /// It is longer than [`Tag::MAX_BYTES`].
    #[error("tag is longer than {} bytes", Tag::MAX_BYTES)]
    TooLong,
    /// It does not follow the grammar.
    #[error("tag is malformed")]
    Malformed,
}

validated_text!(Tag, ParseTagError, check, Box::from);

impl Tag {
    /// The greatest length.
    pub const MAX_BYTES: usize = 128;
}

impl Classify for ParseTagError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

fn check(text: &str) -> Result<(), ParseTagError> {
    let [first, rest @ ..] = text.as_bytes() else {
        return Err(ParseTagError::Empty);
    };
    if text.len() > Tag::MAX_BYTES {
        return Err(ParseTagError::TooLong);
    }
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    if word(first) && rest.iter().all(|b| word(b) || matches!(b, b'.' | b'-')) {
        Ok(())
    } else {
        Err(ParseTagError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use regex::Regex;

    use super::*;

    #[test]
    fn hostile_tags_are_told_apart() {
        use ParseTagError::{Empty, Malformed, TooLong};
        let long = "a".repeat(129);
        for (tag, expected) in [
            ("", Empty),
            (long.as_str(), TooLong),
            (".x", Malformed),
            ("-x", Malformed),
            ("a:b", Malformed),
            ("a@b", Malformed),
            ("a/b", Malformed),
            ("..", Malformed),
            ("a b", Malformed),
            ("a\n", Malformed),
            ("a\0", Malformed),
            ("a%2e", Malformed),
            ("täg", Malformed),
            ("ｌatest", Malformed),
        ] {
            assert_eq!(tag.parse::<Tag>(), Err(expected), "{tag:?}");
        }
        assert!("a".repeat(128).parse::<Tag>().is_ok());
    }

    proptest! {
        #[test]
        fn acceptance_agrees_with_the_grammar(text in r"[a-zA-Z0-9_.:/@-]{0,9}|[a-zA-Z0-9_][a-zA-Z0-9._-]{120,130}|\PC{0,20}") {
            let grammar = Regex::new(r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$").unwrap();
            let parsed = text.parse::<Tag>();
            prop_assert_eq!(parsed.is_ok(), grammar.is_match(&text));
            if let Ok(tag) = parsed {
                prop_assert_eq!(tag.to_string(), text);
            }
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = String::from_utf8_lossy(&bytes).parse::<Tag>();
        }
    }
}
