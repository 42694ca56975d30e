//! The data directory.
//!
//! Keeps the invariant that one process at a time serves from it, that nobody but its user can read
//! what services keep in it, and that its folders are durable before anything is kept in them.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
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
        make(&root).map_err(unusable)?;
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

    pub(crate) fn metadata(&self) -> Result<PathBuf, Exit> {
        self.folder("metadata")
    }

    pub(crate) fn blobs(&self) -> Result<PathBuf, Exit> {
        self.folder("blobs")
    }

    pub(crate) fn events(&self) -> Result<PathBuf, Exit> {
        self.folder("events")
    }

    /// Where parts of blobs lie that come from other regions; `named` may be elsewhere.
    pub(crate) fn spool(&self, named: &Path) -> Result<PathBuf, Exit> {
        self.folder(named)
    }

    /// The folder of a service, which is made if it is not there, and closed to others if it is open
    /// to them: the directory above may have been made by somebody who did not know.
    fn folder(&self, name: impl AsRef<Path>) -> Result<PathBuf, Exit> {
        let path = self.root.join(name);
        let close = || {
            make(&path)?;
            let mode = path.metadata()?.permissions().mode();
            if mode & 0o077 != 0 {
                std::fs::set_permissions(&path, Permissions::from_mode(0o700))?;
            }
            Ok(())
        };
        close().map_err(|error: io::Error| {
            let path = path.display();
            Exit::misconfigured(format!("the folder {path} cannot be used: {error}"))
        })?;
        Ok(path)
    }

    /// Where a file is; `named` may be elsewhere.
    pub(crate) fn file(&self, named: &Path) -> PathBuf {
        self.root.join(named)
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

/// Makes a folder, and those above it, which only its user can read; all of them are durable then.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder
        .parent()
        .filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make(above)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    File::open(above.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Where the management API of the process that serves from `root` listens.
pub(crate) fn admin_socket(root: &Path) -> PathBuf {
    root.join("admin.sock")
}
