//! How the disk body fails to open, and what it says about damaged files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meridian_error::{Classify, Code};

use super::config::ConfigError;
use crate::{Outage, ReadError};

/// A segment file is not what was written. The name of the file and the place are all that helps
/// then: the log refuses to guess which records it held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("segment {} is damaged at byte {position}: {what}", path.display())]
pub struct CorruptSegment {
    /// Which file.
    pub path: PathBuf,
    /// The first byte that is wrong, as far as can be told.
    pub position: u64,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration is not sound.
    #[error("the configuration of the event log is not sound")]
    Config(#[source] ConfigError),
    /// Another process, or another log in this one, has it open.
    #[error("the event log in {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// What was acknowledged cannot be read any more.
    #[error("the event log holds damaged data")]
    Corrupt(#[source] CorruptSegment),
    /// A newer Meridian wrote it.
    #[error("segment {} has format version {version}, which this version cannot read", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// The version it names.
        version: u16,
    },
    /// The file system failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// The process is stopping.
    #[error("the event log was not opened, because the process is stopping")]
    Stopping,
}

/// Why a read from segments failed.
#[derive(Debug)]
pub(super) enum ReadFault {
    /// The file is not there: retention took it in the meantime, or somebody else did.
    Gone(PathBuf),
    /// It is damaged.
    Corrupt(CorruptSegment),
    /// The file system failed.
    Io(io::Error),
}

// === impl OpenError ===

impl OpenError {
    /// Turns a failure of the file system into an error, for `map_err`.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

impl Classify for OpenError {
    fn code(&self) -> Code {
        match self {
            Self::Config(_) => Code::InvalidArgument,
            Self::InUse(_) => Code::Conflict,
            Self::Corrupt(_) => Code::Internal,
            Self::Version { .. } => Code::Unsupported,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Code::Denied,
                kind if is_full(kind) => Code::ResourceExhausted,
                _ => Code::Internal,
            },
            Self::Stopping => Code::Unavailable,
        }
    }
}

// === impl ReadFault ===

impl From<ReadFault> for ReadError {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Gone(path) => Self::Corrupt(Arc::new(CorruptSegment {
                path,
                position: 0,
                what: "the file is missing",
            })),
            ReadFault::Corrupt(corrupt) => Self::Corrupt(Arc::new(corrupt)),
            ReadFault::Io(source) => Outage::Unavailable(Arc::new(source)).into(),
        }
    }
}

/// Whether a write failed for want of space, which may come back.
pub(super) fn is_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
