//! What tells one version of some files from the next, also where a renewal swaps a symbolic link
//! as Kubernetes does. To be taken before the files are read, so that a change in between is seen
//! the next time.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A version of some files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<Option<FileStamp>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

// === impl Stamp ===

impl Stamp {
    pub(crate) fn of<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        let stamp = |path: &Path| std::fs::metadata(path).ok().map(FileStamp::from);
        Self(files.into_iter().map(stamp).collect())
    }
}

impl From<Metadata> for FileStamp {
    fn from(metadata: Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}
