//! Why a manifest is refused. No message repeats what was sent, so all of them may be shown and
//! logged.

use std::fmt;

use meridian_error::{Classify, Code};

use super::{MAX_DEPTH, MAX_MANIFEST_BYTES};
use crate::{ErrorCode, ParseDigestError};

/// Why a manifest is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseManifestError {
    /// It is longer than [`MAX_MANIFEST_BYTES`]; 413.
    #[error("manifest is longer than {MAX_MANIFEST_BYTES} bytes")]
    TooLarge,
    /// The `Content-Type`, or without one the manifest's `mediaType`, is not that of a manifest
    /// that this registry stores.
    #[error("media type is not that of a supported manifest")]
    UnsupportedMediaType,
    /// It is a manifest of Docker's schema 1.
    #[error("manifest schema 1 is not supported")]
    Schema1,
    /// It is not UTF-8.
    #[error("manifest is not UTF-8")]
    NotUtf8,
    /// It is not JSON.
    #[error("manifest is not JSON at line {line}, column {column}")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A member has a value of the wrong type.
    #[error("manifest has a value of an unexpected type near line {line}, column {column}")]
    UnexpectedType {
        /// Counted from 1.
        line: usize,
        /// Where its reading ended or began.
        column: usize,
    },
    /// Its arrays and objects are nested deeper than [`MAX_DEPTH`].
    #[error("manifest is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A list or an object has more entries than this registry takes.
    #[error("manifest has a list or an object of more than {limit} entries")]
    TooMany {
        /// The greatest number.
        limit: usize,
    },
    /// An object has two members of the same name.
    #[error("manifest has an object in which a name occurs twice")]
    DuplicateName,
    /// A member's name differs only in case from `expected`; some readers take it for that.
    #[error("manifest has a name that differs from {expected} only in case")]
    MiscasedName {
        /// The name that it resembles.
        expected: &'static str,
    },
    /// `schemaVersion` is missing or not the integer 2.
    #[error("schemaVersion is not 2")]
    SchemaVersion,
    /// `mediaType` is not the `Content-Type`.
    #[error("mediaType is not the content type under which the manifest was sent")]
    MediaTypeMismatch,
    /// Neither the `Content-Type` nor the manifest tells what it is.
    #[error("manifest has neither a content type nor a mediaType, and its members do not tell one")]
    Undetermined,
    /// It lacks a member that its media type demands.
    #[error("manifest has no {0}")]
    Missing(&'static str),
    /// It has a member that belongs to another kind of manifest.
    #[error("manifest has {0}, which its media type does not allow")]
    Misplaced(&'static str),
    /// `artifactType` is not a media type.
    #[error("artifactType is malformed")]
    ArtifactType,
    /// A descriptor is not lawful.
    #[error("{place}: {fault}")]
    Descriptor {
        /// Which one.
        place: DescriptorPlace,
        /// What is wrong with it.
        fault: DescriptorFault,
    },
    /// Two descriptors give different sizes for the same digest.
    #[error("manifest gives two sizes for the same digest")]
    ContradictorySizes,
}

/// Which descriptor of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DescriptorPlace {
    /// `config`.
    Config,
    /// `subject`.
    Subject,
    /// An entry of the list of this name.
    Entry {
        /// `layers`, `manifests` or `blobs`.
        list: &'static str,
        /// Counted from 0.
        index: usize,
    },
}

/// What is wrong with a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorFault {
    /// It lacks a member that it must have.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// `mediaType` is not a media type.
    #[error("mediaType is malformed")]
    MediaType,
    /// `artifactType` is not a media type.
    #[error("artifactType is malformed")]
    ArtifactType,
    /// `digest` is not a digest that this registry serves.
    #[error("{0}")]
    Digest(ParseDigestError),
    /// `size` is negative, not an integer, or above 2⁶³ − 1.
    #[error("size is not a possible length")]
    Size,
    /// `data` is not the content that `digest` and `size` speak of.
    #[error("data is not the content that digest and size name")]
    Data,
}

// === impl ParseManifestError ===

impl ParseManifestError {
    /// The code by which clients know this failure. [`TooLarge`](Self::TooLarge) goes with status
    /// 413, all others with 400.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        match self {
            Self::UnsupportedMediaType | Self::Schema1 => ErrorCode::Unsupported,
            Self::ContradictorySizes
            | Self::Descriptor {
                fault: DescriptorFault::Size,
                ..
            } => ErrorCode::SizeInvalid,
            _ => ErrorCode::ManifestInvalid,
        }
    }
}

impl Classify for ParseManifestError {
    fn code(&self) -> Code {
        match self {
            Self::TooLarge => Code::ResourceExhausted,
            Self::UnsupportedMediaType | Self::Schema1 => Code::Unsupported,
            _ => Code::InvalidArgument,
        }
    }
}

// === impl DescriptorPlace ===

impl fmt::Display for DescriptorPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => f.write_str("config"),
            Self::Subject => f.write_str("subject"),
            Self::Entry { list, index } => write!(f, "{list}[{index}]"),
        }
    }
}
