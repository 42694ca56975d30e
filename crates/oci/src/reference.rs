//! What a manifest is asked for by: a tag or a digest, and nothing else (distribution-spec "Pulling
//! manifests").

use std::fmt;
use std::str::FromStr;

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};

use crate::{Digest, ParseDigestError, ParseTagError, Tag};

/// A tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Reference {
    /// Whatever the tag points at.
    Tag(Tag),
    /// This manifest.
    Digest(Digest),
}

/// Why a string is not a reference. A string with a `:` is a candidate for a digest, any other one
/// for a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseReferenceError {
    /// It would have to be a tag.
    #[error(transparent)]
    Tag(#[from] ParseTagError),
    /// It would have to be a digest.
    #[error(transparent)]
    Digest(#[from] ParseDigestError),
}

// === impl Reference ===

impl Reference {
    /// The tag, if it is one.
    #[must_use]
    pub const fn as_tag(&self) -> Option<&Tag> {
        match self {
            Self::Tag(tag) => Some(tag),
            Self::Digest(_) => None,
        }
    }

    /// The digest, if it is one.
    #[must_use]
    pub const fn as_digest(&self) -> Option<&Digest> {
        match self {
            Self::Tag(_) => None,
            Self::Digest(digest) => Some(digest),
        }
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text.contains(':') {
            Self::Digest(text.parse()?)
        } else {
            Self::Tag(text.parse()?)
        })
    }
}

impl TryFrom<String> for Reference {
    type Error = ParseReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        match reference {
            Reference::Tag(tag) => tag.into(),
            Reference::Digest(digest) => digest.into(),
        }
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

// === impl ParseReferenceError ===

impl Classify for ParseReferenceError {
    fn code(&self) -> Code {
        match self {
            Self::Tag(error) => error.code(),
            Self::Digest(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_colon_makes_a_digest_candidate() {
        assert_eq!(
            "sha256:baddigeststring".parse::<Reference>(),
            Err(ParseReferenceError::Digest(ParseDigestError::Malformed))
        );
        assert_eq!(
            "a:b".parse::<Reference>(),
            Err(ParseReferenceError::Digest(
                ParseDigestError::UnsupportedAlgorithm
            ))
        );
        assert_eq!(
            ".x".parse::<Reference>(),
            Err(ParseReferenceError::Tag(ParseTagError::Malformed))
        );
        assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
    }

    proptest! {
        #[test]
        fn text_round_trips(text in "sha256:[0-9a-f]{64}|[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}") {
            let reference = text.parse::<Reference>().unwrap();
            prop_assert_eq!(reference.as_digest().is_some(), text.contains(':'));
            prop_assert_eq!(reference.to_string(), text);
            let json = serde_json::to_string(&reference).unwrap();
            prop_assert!(serde_json::from_str::<Reference>(&json).unwrap() == reference);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}|.{0,20}:.{0,140}") {
            let _ = text.parse::<Reference>();
        }
    }
}
