//! The name of a registry, the tenant: lower-case letters, digits and inner hyphens, so that it can
//! stand as a label in a host name.

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};

use crate::text::validated_text;

/// A registry's name, 1 to [`MAX_BYTES`](Self::MAX_BYTES) characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegistryName(Box<str>);

/// Why a string is not a registry's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseRegistryNameError {
    /// It is empty.
    #[error("registry name is empty")]
    Empty,
    /// It is longer than [`RegistryName::MAX_BYTES`].
    #[error("registry name is longer than {} bytes", RegistryName::MAX_BYTES)]
    TooLong,
    /// It has other characters, or begins or ends with a hyphen.
    #[error("registry name is malformed")]
    Malformed,
}

validated_text!(RegistryName, ParseRegistryNameError, check, Box::from);

impl RegistryName {
    /// The greatest length of a label in the DNS.
    pub const MAX_BYTES: usize = 63;
}

impl Classify for ParseRegistryNameError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

fn check(text: &str) -> Result<(), ParseRegistryNameError> {
    if text.is_empty() {
        return Err(ParseRegistryNameError::Empty);
    }
    if text.len() > RegistryName::MAX_BYTES {
        return Err(ParseRegistryNameError::TooLong);
    }
    let lawful = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.bytes().all(lawful) && !text.starts_with('-') && !text.ends_with('-') {
        Ok(())
    } else {
        Err(ParseRegistryNameError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use regex::Regex;

    use super::*;

    proptest! {
        #[test]
        fn acceptance_agrees_with_the_grammar(text in r"[a-z0-9A_.-]{0,4}|[a-z0-9-]{60,66}|\PC{0,20}") {
            let grammar = Regex::new("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$").unwrap();
            let parsed = text.parse::<RegistryName>();
            prop_assert_eq!(parsed.is_ok(), grammar.is_match(&text));
            if let Ok(name) = parsed {
                prop_assert_eq!(name.to_string(), text);
            }
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = String::from_utf8_lossy(&bytes).parse::<RegistryName>();
        }
    }
}
