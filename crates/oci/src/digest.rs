//! A content digest, in the algorithms that this registry serves.
//!
//! Owns the text form of image-spec `descriptor.md` ("Digests") and the raw form that travels in
//! protobuf and in store keys. Holds bytes, not text, so that no malformed digest can exist and
//! equality is equality of content. Computing one from a stream is [`Hasher`](crate::Hasher)'s.

use std::fmt;
use std::str::FromStr;

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};

use crate::Hasher;

/// A hash function that digests may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, the canonical one.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// A content digest. Digests of different algorithms are different names, and never equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Digest {
    /// Of SHA-256.
    Sha256([u8; 32]),
    /// Of SHA-512.
    Sha512([u8; 64]),
}

/// Why something is not a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseDigestError {
    /// It does not follow the grammar, or its hash has the wrong length or upper-case letters.
    #[error("digest is malformed")]
    Malformed,
    /// It follows the grammar, but this registry does not serve its algorithm.
    #[error("digest algorithm is not supported")]
    UnsupportedAlgorithm,
}

// === impl Algorithm ===

impl Algorithm {
    /// Its registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many bytes its hashes have.
    #[must_use]
    pub const fn hash_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl FromStr for Algorithm {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ if is_algorithm(text) => Err(ParseDigestError::UnsupportedAlgorithm),
            _ => Err(ParseDigestError::Malformed),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl Digest ===

impl Digest {
    /// The digest of `content`.
    #[must_use]
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish()
    }

    /// Puts together what [`algorithm`](Self::algorithm) and [`as_bytes`](Self::as_bytes) took
    /// apart.
    ///
    /// # Errors
    ///
    /// [`ParseDigestError::Malformed`] if the hash has not the algorithm's length.
    pub fn from_parts(algorithm: Algorithm, hash: &[u8]) -> Result<Self, ParseDigestError> {
        match algorithm {
            Algorithm::Sha256 => hash.try_into().map(Self::Sha256),
            Algorithm::Sha512 => hash.try_into().map(Self::Sha512),
        }
        .map_err(|_| ParseDigestError::Malformed)
    }

    /// The hash function that made it.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The raw hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(hash) => hash,
            Self::Sha512(hash) => hash,
        }
    }

    /// The hash in lower-case hexadecimal digits, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut hex = String::with_capacity(2 * self.as_bytes().len());
        self.push_hex(&mut hex);
        hex
    }

    fn push_hex(&self, text: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in self.as_bytes() {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (algorithm, encoded) = text.split_once(':').ok_or(ParseDigestError::Malformed)?;
        if !is_encoded(encoded) {
            return Err(ParseDigestError::Malformed);
        }
        let algorithm = algorithm.parse::<Algorithm>()?;
        let mut hash = [0; 64];
        let hash = &mut hash[..algorithm.hash_len()];
        decode_hex(encoded.as_bytes(), hash)?;
        Self::from_parts(algorithm, hash)
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        let algorithm = digest.algorithm();
        let mut text = Self::with_capacity(7 + 2 * algorithm.hash_len());
        text.push_str(algorithm.as_str());
        text.push(':');
        digest.push_hex(&mut text);
        text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from(*self))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl ParseDigestError ===

impl Classify for ParseDigestError {
    fn code(&self) -> Code {
        match self {
            Self::Malformed => Code::InvalidArgument,
            Self::UnsupportedAlgorithm => Code::Unsupported,
        }
    }
}

/// `algorithm = component *(separator component)`, `component = 1*[a-z0-9]`.
fn is_algorithm(text: &str) -> bool {
    text.split(['+', '.', '_', '-']).all(|component| {
        !component.is_empty()
            && component
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

/// `encoded = 1*[a-zA-Z0-9=_-]`.
fn is_encoded(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
}

fn decode_hex(hex: &[u8], hash: &mut [u8]) -> Result<(), ParseDigestError> {
    if hex.len() != 2 * hash.len() {
        return Err(ParseDigestError::Malformed);
    }
    for (byte, pair) in hash.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(())
}

const fn nibble(digit: u8) -> Result<u8, ParseDigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParseDigestError::Malformed),
    }
}

#[cfg(test)]
mod tests;
