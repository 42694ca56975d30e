//! Pieces that many messages share, parsed.

use std::str::FromStr;

use meridian_clock::Version;
use meridian_error::{Classify, Code};
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Algorithm, Digest};

use crate::meridian::content::v1 as wire;

/// A message that is well-formed and yet means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not a protobuf message of its type.
    #[error("the message is not well-formed")]
    Malformed(#[from] prost::DecodeError),
    /// A field that must be there is not.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A field holds what it may not.
    #[error("field {0} has no valid value")]
    Invalid(&'static str),
    /// The kind of the event is newer than this build.
    #[error("the event is of a kind that this version does not know")]
    UnknownEvent,
}

impl Classify for DecodeError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownEvent => Code::Unsupported,
            _ => Code::InvalidArgument,
        }
    }
}

/// A field that must be there.
///
/// # Errors
///
/// When it is not.
pub fn required<T>(value: Option<T>, field: &'static str) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Missing(field))
}

/// A string, parsed.
///
/// # Errors
///
/// When the parser refuses it.
pub fn text<T: FromStr>(value: &str, field: &'static str) -> Result<T, DecodeError> {
    value.parse().map_err(|_| DecodeError::Invalid(field))
}

/// A string that is empty if there is none, parsed.
///
/// # Errors
///
/// When there is one, and the parser refuses it.
pub fn optional<T: FromStr>(value: &str, field: &'static str) -> Result<Option<T>, DecodeError> {
    (!value.is_empty()).then(|| text(value, field)).transpose()
}

/// A digest.
///
/// # Errors
///
/// When it is missing or has another length than its algorithm's.
pub fn digest(value: Option<wire::Digest>, field: &'static str) -> Result<Digest, DecodeError> {
    let hash = required(value, field)?.hash;
    let (algorithm, raw) = match required(hash, field)? {
        wire::digest::Hash::Sha256(raw) => (Algorithm::Sha256, raw),
        wire::digest::Hash::Sha512(raw) => (Algorithm::Sha512, raw),
    };
    Digest::from_parts(algorithm, &raw).map_err(|_| DecodeError::Invalid(field))
}

/// A leaf.
///
/// # Errors
///
/// When it or its digest is missing or invalid.
pub fn leaf(value: Option<wire::Leaf>, field: &'static str) -> Result<Leaf, DecodeError> {
    let leaf = required(value, field)?;
    Ok(Leaf {
        digest: digest(leaf.digest, field)?,
        size: leaf.size,
    })
}

/// A version.
///
/// # Errors
///
/// When it is missing or names no region.
pub fn version(value: Option<wire::Version>, field: &'static str) -> Result<Version, DecodeError> {
    let version = required(value, field)?;
    Ok(Version {
        millis: version.millis,
        counter: version.counter,
        region: text(&version.region, field)?,
    })
}

/// A registry's id.
///
/// # Errors
///
/// As for [`version`].
pub fn registry(
    value: Option<wire::Version>,
    field: &'static str,
) -> Result<RegistryId, DecodeError> {
    version(value, field).map(RegistryId::new)
}

impl From<Digest> for wire::Digest {
    fn from(digest: Digest) -> Self {
        let raw = bytes::Bytes::copy_from_slice(digest.as_bytes());
        let hash = match digest.algorithm() {
            Algorithm::Sha256 => wire::digest::Hash::Sha256(raw),
            Algorithm::Sha512 => wire::digest::Hash::Sha512(raw),
        };
        Self { hash: Some(hash) }
    }
}

impl From<Leaf> for wire::Leaf {
    fn from(leaf: Leaf) -> Self {
        Self {
            digest: Some(leaf.digest.into()),
            size: leaf.size,
        }
    }
}

impl From<RegistryId> for wire::Version {
    fn from(registry: RegistryId) -> Self {
        registry.version().into()
    }
}

impl From<Version> for wire::Version {
    fn from(version: Version) -> Self {
        Self {
            millis: version.millis,
            counter: version.counter,
            region: version.region.to_string(),
        }
    }
}
