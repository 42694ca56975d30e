//! Whose data a directory holds.
//!
//! Keeps the invariant that a directory serves one process at a time and one cluster for ever: a
//! lock is held while it is open, and a stamp that was written first of all names cluster, node
//! and region. A node id is drawn once and never reused: a wiped node comes back as another one.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use meridian_clock::Region;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

const STAMP: &str = "identity.toml";
const LOCK: &str = "lock";

/// The stamp of a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// The version of the directory's layout.
    pub(crate) format: u32,
    /// Which cluster: drawn when it was made.
    pub(crate) cluster: String,
    /// Which node of it.
    pub(crate) node: u64,
    /// In which region.
    pub(crate) region: Region,
}

/// A data directory that nobody else has open.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Its stamp.
    pub(crate) identity: Identity,
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another process has it open.
    #[error("the data directory {} is in use by another process; stop it, or choose another directory", .0.display())]
    InUse(PathBuf),
    /// It belongs to another region.
    #[error("the data directory {} belongs to region `{found}`, not to `{wanted}`; choose another directory, or set the region back", .folder.display())]
    OtherRegion {
        /// The directory.
        folder: PathBuf,
        /// Its region.
        found: Region,
        /// The configured one.
        wanted: Region,
    },
    /// Its stamp cannot be read.
    #[error("the stamp {} is damaged: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is of a later version.
    #[error("the data directory {} was written by a later version (format {format}); use that version", .folder.display())]
    Later {
        /// The directory.
        folder: PathBuf,
        /// Its format.
        format: u32,
    },
    /// It cannot be read or written.
    #[error("the data directory {} cannot be used", .folder.display())]
    Io {
        /// The directory.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

const FORMAT: u32 = 1;

// === impl Claim ===

impl Claim {
    /// Takes a directory for this process, and stamps it if it is new.
    pub(crate) fn new(folder: &Path, region: Region) -> Result<Self, ClaimError> {
        let failed = |source| ClaimError::Io {
            folder: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join(LOCK)).map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => ClaimError::InUse(folder.to_owned()),
            error => failed(error.into()),
        })?;
        let identity = match std::fs::read_to_string(folder.join(STAMP)) {
            Ok(text) => read(folder, &text, region)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let identity = Identity {
                    format: FORMAT,
                    cluster: format!("{:032x}", rand::random::<u128>()),
                    node: rand::random::<u64>() | 1,
                    region,
                };
                write(folder, &identity).map_err(failed)?;
                identity
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            identity,
            _lock: lock,
        })
    }
}

fn read(folder: &Path, text: &str, wanted: Region) -> Result<Identity, ClaimError> {
    let identity = toml::from_str::<Identity>(text).map_err(|error| ClaimError::Damaged {
        path: folder.join(STAMP),
        why: error.message().to_owned(),
    })?;
    if identity.format > FORMAT {
        return Err(ClaimError::Later {
            folder: folder.to_owned(),
            format: identity.format,
        });
    }
    if identity.region != wanted {
        return Err(ClaimError::OtherRegion {
            folder: folder.to_owned(),
            found: identity.region,
            wanted,
        });
    }
    Ok(identity)
}

fn write(folder: &Path, identity: &Identity) -> io::Result<()> {
    let text = toml::to_string(identity).map_err(io::Error::other)?;
    let draft = folder.join("identity.draft");
    let mut file = File::create(&draft)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, folder.join(STAMP))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        name.parse().unwrap()
    }

    #[test]
    fn a_stamp_outlives_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let first = Claim::new(folder.path(), region("eu")).unwrap().identity;
        let second = Claim::new(folder.path(), region("eu")).unwrap().identity;
        assert_eq!(first, second);
    }

    #[test]
    fn a_directory_serves_one_claim_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Claim::new(folder.path(), region("eu")).unwrap();
        let second = Claim::new(folder.path(), region("eu"));
        assert!(matches!(second, Err(ClaimError::InUse(_))));
    }

    #[test]
    fn another_region_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Claim::new(folder.path(), region("eu")).unwrap());
        let other = Claim::new(folder.path(), region("us"));
        assert!(matches!(other, Err(ClaimError::OtherRegion { .. })));
    }

    #[test]
    fn a_damaged_stamp_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(STAMP), "format = ").unwrap();
        let damaged = Claim::new(folder.path(), region("eu"));
        assert!(matches!(damaged, Err(ClaimError::Damaged { .. })));
    }
}
