//! Why an operation of a store failed: one enum per family of operations.
//!
//! Owns the classification of what the machine or a remote store says, in one place
//! ([`StorageError`]). Leaves retrying to the caller, with one rule of the house: a failed write is
//! never retried on the same object.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::time::Duration;

use meridian_error::{Classify, Code, Retry};

use crate::BlobKey;

/// The medium failed: a disk, a file system, a remote object store.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}")]
pub struct StorageError {
    doing: &'static str,
    code: Code,
    after: Option<Duration>,
    source: Box<dyn Error + Send + Sync>,
}

/// Why an object could not be started.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The key is in use, by a finished or by an unfinished object. Keys are never used twice, so
    /// this is a broken invariant of the caller.
    #[error("object {0} exists")]
    Exists(BlobKey),
    /// The medium failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an unfinished object could not be taken up again.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Another writer of this process is at it.
    #[error("object {0} has a writer")]
    Busy(BlobKey),
    /// The object cannot be returned to the exported state: the medium lost synced bytes, or the state
    /// is older than those that it keeps.
    #[error("object {key} kept {kept} bytes of {promised} that were synced")]
    Lost {
        /// The object.
        key: BlobKey,
        /// What is there, in bytes.
        kept: u64,
        /// What the state says is there, in bytes.
        promised: u64,
    },
    /// The medium failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why bytes were not written. After any of these but [`WriteError::Offset`] the unfinished object
/// is gone, or will be swept, and the upload has failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// An earlier call on this writer failed. A failed write or sync is never retried: of a disk, the
    /// kernel reports it once, and the next sync succeeds with the bytes lost.
    #[error("an earlier failure ended this write")]
    Poisoned,
    /// The object was deleted while it was written.
    #[error("object {0} was deleted while it was written")]
    Deleted(BlobKey),
    /// A roll-back to an offset that this writer cannot return to. The writer is as before.
    #[error("cannot roll an object of {len} bytes back to byte {to}")]
    Offset {
        /// Where the caller wanted to return to.
        to: u64,
        /// The length of the object.
        len: u64,
    },
    /// The medium failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No finished object has this key.
    #[error("object {0} does not exist")]
    NotFound(BlobKey),
    /// The range does not lie in the object.
    #[error("bytes {} to {} are not in an object of {size} bytes", .range.start, .range.end)]
    OutOfRange {
        /// What was asked for.
        range: Range<u64>,
        /// The object's size in bytes.
        size: u64,
    },
    /// The medium failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

// === impl StorageError ===

impl StorageError {
    /// A failure of the operating system while `doing`, which completes the sentence "cannot …".
    #[must_use]
    pub fn io(doing: &'static str, source: io::Error) -> Self {
        let code = match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Code::ResourceExhausted
            }
            ErrorKind::TimedOut => Code::DeadlineExceeded,
            // Descriptors or memory ran out, or a lock is held: it may pass.
            ErrorKind::OutOfMemory | ErrorKind::ResourceBusy | ErrorKind::WouldBlock => {
                Code::Unavailable
            }
            _ if matches!(source.raw_os_error(), Some(ENFILE | EMFILE)) => Code::Unavailable,
            _ => Code::Internal,
        };
        Self::new(doing, code, source)
    }

    /// A failure of another kind of medium while `doing`, already classified.
    #[must_use]
    pub fn new(
        doing: &'static str,
        code: Code,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            doing,
            code,
            after: None,
            source: source.into(),
        }
    }

    /// The same, with how long to wait before it is worth trying again, as far as the medium said.
    #[must_use]
    pub fn after(self, after: Option<Duration>) -> Self {
        Self { after, ..self }
    }

    /// Another process writes the same object.
    pub(crate) fn overtaken(doing: &'static str) -> Self {
        Self::new(doing, Code::Conflict, "another writer has taken it over")
    }
}

/// No descriptor is left in the system. The standard library has no kind for it.
const ENFILE: i32 = 23;
/// No descriptor is left in the process.
const EMFILE: i32 = 24;

impl Classify for StorageError {
    fn code(&self) -> Code {
        self.code
    }

    fn retry(&self) -> Retry {
        match self.code {
            Code::Unavailable | Code::DeadlineExceeded => Retry::Yes { after: self.after },
            _ => Retry::No,
        }
    }
}

impl Classify for CreateError {
    fn code(&self) -> Code {
        match self {
            Self::Exists(_) => Code::AlreadyExists,
            Self::Storage(error) => error.code(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Storage(error) => error.retry(),
            _ => Retry::No,
        }
    }
}

impl Classify for ResumeError {
    fn code(&self) -> Code {
        match self {
            Self::Busy(_) => Code::Unavailable,
            Self::Lost { .. } => Code::Internal,
            Self::Storage(error) => error.code(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Storage(error) => error.retry(),
            Self::Busy(_) => Retry::Yes { after: None },
            _ => Retry::No,
        }
    }
}

impl Classify for WriteError {
    fn code(&self) -> Code {
        match self {
            Self::Poisoned => Code::Internal,
            Self::Deleted(_) => Code::NotFound,
            Self::Offset { .. } => Code::OutOfRange,
            Self::Storage(error) => error.code(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Storage(error) => error.retry(),
            _ => Retry::No,
        }
    }
}

impl Classify for ReadError {
    fn code(&self) -> Code {
        match self {
            Self::NotFound(_) => Code::NotFound,
            Self::OutOfRange { .. } => Code::OutOfRange,
            Self::Storage(error) => error.code(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Storage(error) => error.retry(),
            _ => Retry::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_exhausted_resource() {
        const ENOSPC: i32 = 28;
        const EDQUOT: i32 = 122;
        const EIO: i32 = 5;
        for (errno, code) in [
            (ENOSPC, Code::ResourceExhausted),
            (EDQUOT, Code::ResourceExhausted),
            (EMFILE, Code::Unavailable),
            (EIO, Code::Internal),
        ] {
            let error = StorageError::io("write", io::Error::from_raw_os_error(errno));
            assert_eq!(WriteError::from(error).code(), code, "errno {errno}");
        }
    }

    #[test]
    fn the_cause_is_said_once() {
        let error = StorageError::io("sync an object", io::Error::other("it burns"));
        let error = WriteError::from(error);
        assert_eq!(
            meridian_error::chain(&error),
            "cannot sync an object: it burns"
        );
    }
}
