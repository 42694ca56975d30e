//! The name of a repository inside its registry.
//!
//! Owns the grammar of distribution-spec "Pulling manifests" (`<name>`), checked on the bytes as
//! they were sent: what passes holds no `..`, no empty component, no escape, nothing but lower-case
//! ASCII, so that it may become part of a key. Leaves percent-decoding to the edge.

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};

use crate::text::validated_text;

/// A repository's name: components separated by `/`, at most [`MAX_BYTES`](Self::MAX_BYTES) long.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryName(Box<str>);

/// Why a string is not a repository's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseRepositoryNameError {
    /// It is empty.
    #[error("repository name is empty")]
    Empty,
    /// It is longer than [`RepositoryName::MAX_BYTES`].
    #[error("repository name is longer than {} bytes", RepositoryName::MAX_BYTES)]
    TooLong,
    /// It does not follow the grammar.
    #[error("repository name is malformed")]
    Malformed,
}

validated_text!(RepositoryName, ParseRepositoryNameError, check, Box::from);

impl RepositoryName {
    /// The specification sets no limit; clients cap `host/name` here.
    pub const MAX_BYTES: usize = 255;
}

impl Classify for ParseRepositoryNameError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

fn check(text: &str) -> Result<(), ParseRepositoryNameError> {
    if text.is_empty() {
        Err(ParseRepositoryNameError::Empty)
    } else if text.len() > RepositoryName::MAX_BYTES {
        Err(ParseRepositoryNameError::TooLong)
    } else if text.as_bytes().split(|&b| b == b'/').all(is_component) {
        Ok(())
    } else {
        Err(ParseRepositoryNameError::Malformed)
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(mut rest: &[u8]) -> bool {
    loop {
        let word = prefix_len(rest, |b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        let Some(&separator) = rest.first() else {
            return true;
        };
        let run = prefix_len(rest, |b| b == separator);
        let allowed = match separator {
            b'.' => run == 1,
            b'_' => run <= 2,
            b'-' => true,
            _ => false,
        };
        if !allowed {
            return false;
        }
        rest = &rest[run..];
    }
}

fn prefix_len(bytes: &[u8], holds: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&b| !holds(b)).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests;
