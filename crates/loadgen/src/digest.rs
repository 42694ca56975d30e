//! The digest of what is pushed.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The SHA-256 digest of some content, written `sha256:<hex>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest(String);

/// Computes a [`Digest`] of content that comes in pieces.
#[derive(Default)]
pub(crate) struct Hasher(Sha256);

// === impl Digest ===

impl Digest {
    pub(crate) fn of(content: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(content);
        hasher.finish()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Hasher ===

impl Hasher {
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub(crate) fn finish(self) -> Digest {
        let mut text = String::from("sha256:");
        push_hex(&mut text, &self.0.finalize());
        Digest(text)
    }
}

/// Appends lower-case hexadecimal digits.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.reserve(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        assert_eq!(
            Digest::of(b"").as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn pieces_hash_like_the_whole() {
        let mut hasher = Hasher::default();
        hasher.update(b"meri");
        hasher.update(b"dian");
        assert_eq!(hasher.finish(), Digest::of(b"meridian"));
    }
}
