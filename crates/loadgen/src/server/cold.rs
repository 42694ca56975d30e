//! Data that have to be read from disk.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Advice, fadvise, syncfs};

/// Has nothing of the files below `folder` stay in the page cache. Nobody has them open.
pub(super) fn evict(folder: &Path) -> io::Result<()> {
    // What is dirty would stay.
    syncfs(File::open(folder)?)?;
    forget(folder)
}

fn forget(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            forget(&entry.path())?;
        } else if kind.is_file() {
            fadvise(File::open(entry.path())?, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_evicted_is_still_there() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("c"), "d").unwrap();
        evict(folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(inner.join("c")).unwrap(), "d");
    }
}
