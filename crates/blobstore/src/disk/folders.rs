//! Folders that survive a power cut.
//!
//! Owns the rule that nothing durable is put into a folder whose own name may still be lost. Which
//! folders are known to be durable is remembered, up to a bound, so that the common case costs
//! neither a system call nor a sync.

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::layout::FOLDER_MODE;
use super::sync;

/// Folders remembered at most: about 6 MiB. When full, all are forgotten and synced once more.
const REMEMBERED: usize = 1 << 16;

/// The folders known to be durable.
#[derive(Debug, Default)]
pub(super) struct Folders {
    durable: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    /// Makes `folder` and those above it, up to `root`, which exists and is durable.
    pub(super) fn ensure(&self, root: &Path, folder: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        // Held while folders are made: that is rare, and a second thread must not use a folder
        // before the first one has made it durable.
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        for above in folder.ancestors().take_while(|above| *above != root) {
            if durable.contains(above) {
                break;
            }
            missing.push(above);
        }
        for folder in missing.into_iter().rev() {
            make(folder)?;
            if durable.len() >= REMEMBERED {
                durable.clear();
            }
            durable.insert(folder.to_owned());
        }
        Ok(())
    }
}

/// Makes one folder and its name durable. One that is there may be left from a crash before its
/// sync, so it is synced as well.
fn make(folder: &Path) -> io::Result<()> {
    let made = match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error),
    };
    let above = folder.parent().unwrap_or(folder);
    sync::sync_folder(above).inspect_err(|_| {
        // A failed sync is not repeated: the next attempt must begin with a new folder.
        if made {
            let _left_for_the_next_attempt = fs::remove_dir(folder);
        }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn all_folders_on_the_way_are_made_and_private() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::default();
        let folder = root.path().join("a/b/c");
        for _ in 0..2 {
            folders.ensure(root.path(), &folder).unwrap();
        }
        for above in folder.ancestors().take(3) {
            let mode = above.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, FOLDER_MODE, "{}", above.display());
        }
        let beside = root.path().join("a/d");
        folders.ensure(root.path(), &beside).unwrap();
        assert!(beside.is_dir());
    }
}
