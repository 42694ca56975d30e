//! The id of an upload session. Opaque: who makes one decides what is in it; that it can be told
//! from a guess is the blob service's.

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};

use crate::text::validated_text;

/// A token of URL-safe characters, `[A-Za-z0-9_-]{16,128}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UploadId(Box<str>);

/// Why a string is not the id of an upload session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseUploadIdError {
    /// It is shorter than [`UploadId::MIN_BYTES`].
    #[error("upload id is shorter than {} bytes", UploadId::MIN_BYTES)]
    TooShort,
    /// It is longer than [`UploadId::MAX_BYTES`].
    #[error("upload id is longer than {} bytes", UploadId::MAX_BYTES)]
    TooLong,
    /// It has other characters.
    #[error("upload id is malformed")]
    Malformed,
}

validated_text!(UploadId, ParseUploadIdError, check, Box::from);

impl UploadId {
    /// The least length.
    pub const MIN_BYTES: usize = 16;
    /// The greatest length.
    pub const MAX_BYTES: usize = 128;
}

impl Classify for ParseUploadIdError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

fn check(text: &str) -> Result<(), ParseUploadIdError> {
    if text.len() < UploadId::MIN_BYTES {
        Err(ParseUploadIdError::TooShort)
    } else if text.len() > UploadId::MAX_BYTES {
        Err(ParseUploadIdError::TooLong)
    } else if text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    {
        Ok(())
    } else {
        Err(ParseUploadIdError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use regex::Regex;

    use super::*;

    proptest! {
        #[test]
        fn acceptance_agrees_with_the_grammar(text in r"[A-Za-z0-9_./%-]{12,20}|[A-Za-z0-9_-]{14,18}|[A-Za-z0-9_-]{126,130}|\PC{0,40}") {
            let grammar = Regex::new("^[A-Za-z0-9_-]{16,128}$").unwrap();
            let parsed = text.parse::<UploadId>();
            prop_assert_eq!(parsed.is_ok(), grammar.is_match(&text));
            if let Ok(id) = parsed {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = String::from_utf8_lossy(&bytes).parse::<UploadId>();
        }
    }
}
