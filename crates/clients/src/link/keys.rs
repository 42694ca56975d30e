//! The keys that links are signed with.
//!
//! Owns their text form: one or more, separated by white space, so that a file has one on each line.
//! The first signs, all are recognised. So a key is replaced in three steps, each of them on all
//! processes before the next: the new one second; the new one first; the old one gone.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use meridian_secret::Secret;
use sha2::Sha256;

/// A key of fewer characters could be guessed.
const LEAST_KEY: usize = 32;
/// A link is held against each of them.
const MOST_KEYS: usize = 8;

/// Keys of links. Does not show them. Cheap to clone.
#[derive(Clone)]
pub struct LinkKeys(Arc<[Hmac<Sha256>]>);

/// Why a text holds no keys of links. Tells nothing of them but their lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseLinkKeysError {
    /// There is none.
    #[error(
        "missing; set `key_file` beside it to a file that holds at least {LEAST_KEY} random characters, the same for all frontends and blob services of the region"
    )]
    None,
    /// One could be guessed.
    #[error("key {place} has {length} characters; use at least {LEAST_KEY} random ones")]
    Short {
        /// Which one, counted from 1.
        place: usize,
        /// Its length.
        length: usize,
    },
    /// There are too many.
    #[error("{0} keys; keep {MOST_KEYS} at most, the one that signs first")]
    TooMany(usize),
}

// === impl LinkKeys ===

impl LinkKeys {
    /// A key that follows from another secret, for a frontend and a blob service that share it
    /// already.
    #[must_use]
    pub fn derived_from(secret: &Secret) -> Self {
        let mut mac = keyed(secret.expose());
        mac.update(b"meridian blob link key 1");
        let key = Hmac::new_from_slice(&mac.finalize().into_bytes());
        Self([key.expect("HMAC takes keys of any length")].into())
    }

    /// The key that signs.
    pub(super) fn first(&self) -> &Hmac<Sha256> {
        &self.0[0]
    }

    /// All keys that are recognised.
    pub(super) fn all(&self) -> impl Iterator<Item = &Hmac<Sha256>> {
        self.0.iter()
    }
}

impl FromStr for LinkKeys {
    type Err = ParseLinkKeysError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let keys: Vec<&str> = text.split_whitespace().collect();
        if keys.is_empty() {
            return Err(ParseLinkKeysError::None);
        }
        if keys.len() > MOST_KEYS {
            return Err(ParseLinkKeysError::TooMany(keys.len()));
        }
        if let Some(short) = keys.iter().position(|key| key.len() < LEAST_KEY) {
            return Err(ParseLinkKeysError::Short {
                place: short + 1,
                length: keys[short].len(),
            });
        }
        Ok(Self(keys.into_iter().map(keyed).collect()))
    }
}

impl fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkKeys({} of them)", self.0.len())
    }
}

fn keyed(key: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length")
}
