//! Whose data a directory holds.
//!
//! Keeps the invariant that a directory serves one process at a time and one cluster for ever: a
//! lock is held while it is open, and a stamp that was written first of all names node and region,
//! and, from the moment that the node belongs to one, the cluster. A node id is drawn once and never
//! reused: a wiped node comes back as another one, and one that was removed never comes back.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

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
    /// Which cluster: drawn when it was made. Absent until the node belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cluster: Option<String>,
    /// Which node of it.
    pub(crate) node: u64,
    /// In which region.
    pub(crate) region: Region,
    /// Whether the node was removed from its cluster.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) retired: bool,
}

/// A data directory that nobody else has open, and its stamp. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Claim(Arc<Claimed>);

#[derive(Debug)]
struct Claimed {
    folder: PathBuf,
    node: u64,
    region: Region,
    stamp: RwLock<Identity>,
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
    /// Its node was removed from the cluster.
    #[error("the data directory {} belongs to a member that was removed from its group; choose an empty directory, and join as a new member", .0.display())]
    Retired(PathBuf),
    /// It belongs to another cluster.
    #[error("this member belongs to the cluster {found}, not to {wanted}")]
    OtherCluster {
        /// Its cluster.
        found: String,
        /// The one that wants it.
        wanted: String,
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
                    cluster: None,
                    node: rand::random::<u64>() | 1,
                    region,
                    retired: false,
                };
                write(folder, &identity).map_err(failed)?;
                identity
            }
            Err(error) => return Err(failed(error)),
        };
        if identity.retired {
            return Err(ClaimError::Retired(folder.to_owned()));
        }
        Ok(Self(Arc::new(Claimed {
            folder: folder.to_owned(),
            node: identity.node,
            region,
            stamp: RwLock::new(identity),
            _lock: lock,
        })))
    }

    /// Which node this is.
    pub(crate) fn node(&self) -> u64 {
        self.0.node
    }

    /// In which region.
    pub(crate) fn region(&self) -> Region {
        self.0.region
    }

    /// Which cluster it belongs to, if it belongs to one yet.
    pub(crate) fn cluster(&self) -> Option<String> {
        self.stamp().cluster
    }

    /// Whether it was removed.
    pub(crate) fn is_retired(&self) -> bool {
        self.stamp().retired
    }

    /// Makes it belong to a cluster, for good: the stamp is on disk when this returns.
    pub(crate) fn adopt(&self, cluster: &str) -> Result<(), ClaimError> {
        self.change(|stamp| match &stamp.cluster {
            Some(found) if found == cluster => Ok(()),
            Some(found) => Err(ClaimError::OtherCluster {
                found: found.clone(),
                wanted: cluster.to_owned(),
            }),
            None => {
                stamp.cluster = Some(cluster.to_owned());
                Ok(())
            }
        })
    }

    /// Has it take part no more.
    pub(crate) fn retire(&self) -> Result<(), ClaimError> {
        self.change(|stamp| {
            stamp.retired = true;
            Ok(())
        })
    }

    fn stamp(&self) -> Identity {
        let stamp = self.0.stamp.read().unwrap_or_else(PoisonError::into_inner);
        stamp.clone()
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Identity) -> Result<(), ClaimError>,
    ) -> Result<(), ClaimError> {
        let mut stamp = self.0.stamp.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = stamp.clone();
        change(&mut changed)?;
        if changed != *stamp {
            write(&self.0.folder, &changed).map_err(|source| ClaimError::Io {
                folder: self.0.folder.clone(),
                source,
            })?;
            *stamp = changed;
        }
        Ok(())
    }
}

/// Draws the id of a new cluster.
pub(crate) fn draw_cluster() -> String {
    format!("{:032x}", rand::random::<u128>())
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
        let first = Claim::new(folder.path(), region("eu")).unwrap().node();
        let second = Claim::new(folder.path(), region("eu")).unwrap().node();
        assert_eq!(first, second);
    }

    #[test]
    fn a_node_belongs_to_one_cluster_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let claim = Claim::new(folder.path(), region("eu")).unwrap();
        assert_eq!(claim.cluster(), None);
        claim.adopt("one").unwrap();
        claim.adopt("one").unwrap();
        let other = claim.adopt("two");
        assert!(matches!(other, Err(ClaimError::OtherCluster { .. })));
        drop(claim);
        let claim = Claim::new(folder.path(), region("eu")).unwrap();
        assert_eq!(claim.cluster().as_deref(), Some("one"));
    }

    #[test]
    fn a_node_that_was_removed_never_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let claim = Claim::new(folder.path(), region("eu")).unwrap();
        claim.retire().unwrap();
        assert!(claim.is_retired());
        drop(claim);
        let again = Claim::new(folder.path(), region("eu"));
        assert!(matches!(again, Err(ClaimError::Retired(_))));
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
