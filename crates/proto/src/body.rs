//! What is said of bytes on their way to the blob service.

use meridian_oci::{Algorithm, ContentRange};

use crate::decode::DecodeError;
use crate::meridian::blob::v1 as wire;

/// A digest algorithm.
///
/// # Errors
///
/// When it is unspecified, or one that this build does not know.
pub fn algorithm(value: i32, field: &'static str) -> Result<Algorithm, DecodeError> {
    match wire::Algorithm::try_from(value) {
        Ok(wire::Algorithm::Sha256) => Ok(Algorithm::Sha256),
        Ok(wire::Algorithm::Sha512) => Ok(Algorithm::Sha512),
        Ok(wire::Algorithm::Unspecified) | Err(_) => Err(DecodeError::Invalid(field)),
    }
}

/// A chunk's range.
///
/// # Errors
///
/// When it is empty, or ends beyond what a blob can have.
pub fn content_range(value: wire::Part, field: &'static str) -> Result<ContentRange, DecodeError> {
    ContentRange::new(value.start, value.end_inclusive).map_err(|_| DecodeError::Invalid(field))
}

impl From<Algorithm> for wire::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256,
            Algorithm::Sha512 => Self::Sha512,
        }
    }
}

impl From<ContentRange> for wire::Part {
    fn from(range: ContentRange) -> Self {
        Self {
            start: range.start(),
            end_inclusive: range.end_inclusive(),
        }
    }
}
