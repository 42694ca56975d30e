//! The data directory.
//!
//! Keeps the invariant that one process at a time serves from it, and that nobody but its user can
//! read it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::exit::Exit;

/// Bytes of randomness of the key that authenticates upload sessions.
const KEY_BYTES: usize = 32;

/// A data directory that this process has taken.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    _lock: File,
}

// === impl Directory ===

impl Directory {
    /// Takes the directory, and makes it if it is not there.
    pub(crate) fn claim(root: PathBuf) -> Result<Self, Exit> {
        let unusable = |error: io::Error| {
            Exit::misconfigured(format!(
                "the data directory {} cannot be used: {error}; choose another with --data-dir",
                root.display()
            ))
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&root)
            .map_err(unusable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(root.join("lock"))
            .map_err(unusable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Exit::misconfigured(format!(
                "the data directory {} is in use by another process; stop that one, or choose \
                 another directory with --data-dir",
                root.display()
            ))),
            Err(error) => Err(unusable(error.into())),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn metadata(&self) -> PathBuf {
        self.root.join("metadata")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    pub(crate) fn admin_socket(&self) -> PathBuf {
        admin_socket(&self.root)
    }

    /// The key that authenticates upload sessions: drawn at the first start and kept, so that a
    /// session outlives a restart.
    pub(crate) fn upload_key(&self) -> Result<String, Exit> {
        let path = self.root.join("upload.key");
        self.read_or_draw(&path).map_err(|error| {
            Exit::misconfigured(format!(
                "the key in {} cannot be used: {error}",
                path.display()
            ))
        })
    }

    fn read_or_draw(&self, path: &Path) -> io::Result<String> {
        let mut key = String::new();
        match File::open(path) {
            Ok(mut file) => {
                file.read_to_string(&mut key)?;
                return Ok(key);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let random: [u8; KEY_BYTES] = rand::random();
        key.extend(random.iter().map(|byte| format!("{byte:02x}")));
        // Renamed into place, so that half a key is never found.
        let draft = self.root.join("upload.key.draft");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(key.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        File::open(&self.root)?.sync_all()?;
        Ok(key)
    }
}

/// Where the management API of the process that serves from `root` listens.
pub(crate) fn admin_socket(root: &Path) -> PathBuf {
    root.join("admin.sock")
}
