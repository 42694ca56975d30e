//! Why the metadata has no answer, or refuses.

use std::time::Duration;

use meridian_error::{Classify, Code, Retry};
use meridian_event::Target;
use meridian_oci::Digest;

/// Why a read has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No registry of that name.
    #[error("no such registry")]
    RegistryUnknown,
    /// No repository of that name.
    #[error("no such repository")]
    RepositoryUnknown,
    /// The repository has no such tag or manifest.
    #[error("no such manifest")]
    ManifestUnknown,
    /// The blob is not present in the repository.
    #[error("no such blob")]
    BlobUnknown,
    /// An attribute forbids it: of what is asked for, or of what that is in, or holds.
    #[error("an attribute forbids it")]
    Locked,
    /// The metadata group cannot answer now.
    #[error("the metadata service is not available: {reason}")]
    Unavailable {
        /// Why, for the log.
        reason: String,
    },
    /// The answer did not come in time.
    #[error("the metadata service did not answer in time")]
    DeadlineExceeded,
    /// A bug, or a failing machine.
    #[error("the metadata service failed: {reason}")]
    Internal {
        /// Why, for the log.
        reason: String,
    },
}

/// Why a write was refused, or has an unknown outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// What the write stands on does not exist.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The condition does not hold.
    #[error("the condition of the request does not hold")]
    ConditionFailed {
        /// What the tag points at.
        current: Option<Digest>,
    },
    /// The manifest names content that is not present in the repository.
    #[error("the manifest names {} absent objects", .0.len())]
    LeavesUnknown(Vec<Digest>),
    /// The manifest gives a size that is not the size of what it names.
    #[error("the manifest gives a wrong size for {} objects", .0.len())]
    SizesDiffer(Vec<Digest>),
    /// Present manifests still need it.
    #[error("{} manifests still need it", .0.len())]
    InUse(Vec<Digest>),
    /// A limit of the registry was reached.
    #[error("a limit was reached: {what}")]
    Exhausted {
        /// Which.
        what: String,
        /// When it may be over.
        retry_after: Option<Duration>,
    },
    /// The disk of the metadata has no room for more. Nothing was written; what deletes goes on.
    #[error("the disk of the metadata is full")]
    NoRoom,
    /// What another region is said to have done cannot be: it contradicts itself, or is not another
    /// region's. Trying again does not help.
    #[error("what is to be merged cannot have happened: {reason}")]
    Malformed {
        /// Why, for the log.
        reason: String,
    },
}

// === impl ReadError ===

impl ReadError {
    /// That something is not there.
    #[must_use]
    pub const fn unknown(target: &Target) -> Self {
        match target {
            Target::Repository => Self::RepositoryUnknown,
            Target::Tag(_) | Target::Manifest(_) => Self::ManifestUnknown,
        }
    }
}

impl Classify for ReadError {
    fn code(&self) -> Code {
        match self {
            Self::RegistryUnknown
            | Self::RepositoryUnknown
            | Self::ManifestUnknown
            | Self::BlobUnknown => Code::NotFound,
            Self::Locked => Code::Denied,
            Self::Unavailable { .. } => Code::Unavailable,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Internal { .. } => Code::Internal,
        }
    }
}

// === impl WriteError ===

impl Classify for WriteError {
    fn code(&self) -> Code {
        match self {
            Self::Read(error) => error.code(),
            Self::ConditionFailed { .. } | Self::InUse(_) => Code::Conflict,
            Self::LeavesUnknown(_) | Self::SizesDiffer(_) | Self::Malformed { .. } => {
                Code::InvalidArgument
            }
            Self::Exhausted { .. } | Self::NoRoom => Code::ResourceExhausted,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Read(error) => error.retry(),
            Self::Exhausted { retry_after, .. } => Retry::Yes {
                after: *retry_after,
            },
            Self::NoRoom => Retry::Yes { after: None },
            _ => Retry::No,
        }
    }
}
