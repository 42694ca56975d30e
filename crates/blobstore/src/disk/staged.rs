//! The file of an unfinished object, on a blocking thread.
//!
//! Owns how bytes reach the disk. Whole aligned pieces bypass the page cache (direct I/O): that
//! costs least per byte, and nothing is left to write when the object is committed, however large
//! it is. All else, and everything on file systems without direct I/O, goes through the page cache;
//! there, what a large object leaves behind is written early. Leaves order and buffering to the
//! writer, which has one call on its way at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{Advice, OFlags, fadvise, fcntl_setfl};
use rustix::io::Errno;

use super::buffer::ALIGNMENT;
use super::layout::FILE_MODE;
use super::sync::{self, crash_point};
use crate::claim::Claim;

/// How much of a large object may lie unwritten in the page cache, in bytes.
const WRITE_BEHIND: u64 = 32 << 20;

/// An open unfinished file and the claim to it.
pub(super) struct StagedFile {
    file: File,
    path: PathBuf,
    claim: Claim,
    /// Whether the descriptor is in direct mode now.
    direct: AtomicBool,
    /// Whether this file system takes direct writes; found out by trying, once for the store.
    direct_works: Arc<AtomicBool>,
    /// Bytes of whole pieces written through the page cache since they were last made to leave it.
    behind: AtomicU64,
    /// Syncs of whole file systems that had failed when the file was opened.
    failed_before: u64,
}

impl StagedFile {
    /// A new, empty file. Fails if there is one.
    pub(super) fn create(path: PathBuf, claim: Claim, direct: Arc<AtomicBool>) -> io::Result<Self> {
        Self::open_with(OpenOptions::new().create_new(true), path, claim, direct)
    }

    /// The file that an earlier writer left.
    pub(super) fn open(path: PathBuf, claim: Claim, direct: Arc<AtomicBool>) -> io::Result<Self> {
        Self::open_with(&mut OpenOptions::new(), path, claim, direct)
    }

    fn open_with(
        options: &mut OpenOptions,
        path: PathBuf,
        claim: Claim,
        direct_works: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let failed_before = sync::failed();
        let file = options.write(true).mode(FILE_MODE).open(&path)?;
        Ok(Self {
            file,
            path,
            claim,
            direct: AtomicBool::new(false),
            direct_works,
            behind: AtomicU64::new(0),
            failed_before,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn claim(&self) -> &Claim {
        &self.claim
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Writes a piece of a large object: past the page cache if it is aligned and the file system
    /// can.
    pub(super) fn write_piece(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let aligned = |n: u64| n.is_multiple_of(ALIGNMENT as u64);
        let mut done = 0;
        if aligned(at) && aligned(bytes.len() as u64) && self.set_direct(true) {
            done = self.write_direct(bytes, at)?;
        }
        if done < bytes.len() {
            self.write(&bytes[done..], at + done as u64)?;
            self.write_behind((bytes.len() - done) as u64)?;
        }
        Ok(())
    }

    /// Writes through the page cache.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.set_direct(false);
        fail::fail_point!("blob.write", |_| Err(io::Error::from(Errno::NOSPC)));
        self.file.write_all_at(bytes, at)
    }

    /// Returns how much was written before the file system wanted no more of it this way.
    fn write_direct(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        fail::fail_point!("blob.write", |_| Err(io::Error::from(Errno::NOSPC)));
        let mut done = 0;
        while done < bytes.len() && done.is_multiple_of(ALIGNMENT) {
            match self.file.write_at(&bytes[done..], at + done as u64) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
                    self.direct_works.store(false, Ordering::Relaxed);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Switches the descriptor's mode; says whether it is direct afterwards.
    fn set_direct(&self, wanted: bool) -> bool {
        let wanted = wanted && self.direct_works.load(Ordering::Relaxed);
        if self.direct.load(Ordering::Relaxed) == wanted {
            return wanted;
        }
        let flags = if wanted {
            OFlags::DIRECT
        } else {
            OFlags::empty()
        };
        match fcntl_setfl(&self.file, flags) {
            Ok(()) => self.direct.store(wanted, Ordering::Relaxed),
            Err(_) => self.direct_works.store(false, Ordering::Relaxed),
        }
        self.direct.load(Ordering::Relaxed)
    }

    /// Without direct I/O, writes out what would otherwise wait for the commit of a large object.
    fn write_behind(&self, written: u64) -> io::Result<()> {
        let behind = self.behind.fetch_add(written, Ordering::Relaxed) + written;
        if behind < WRITE_BEHIND {
            return Ok(());
        }
        self.behind.store(0, Ordering::Relaxed);
        self.sync()?;
        // Advice: large objects should not push everything else out of the cache.
        let _advice = fadvise(&self.file, 0, None::<NonZeroU64>, Advice::DontNeed);
        Ok(())
    }

    /// Makes what was written durable. Not to be called again after it failed.
    pub(super) fn sync(&self) -> io::Result<()> {
        Self::before_sync()?;
        sync::sync_file(&self.file)
    }

    /// Whether a sync of other files, or of names, on the same file system is to be believed.
    pub(super) fn confirm(&self) -> io::Result<()> {
        sync::confirm(&self.file)
    }

    /// Whether a sync of the whole file system that succeeded has made this file durable. If another
    /// one failed since the file was opened, that may have tried this file's bytes and lost them;
    /// only the file's own descriptor knows.
    pub(super) fn vouch(&self) -> io::Result<()> {
        if sync::failed() == self.failed_before {
            return Ok(());
        }
        sync::sync_file(&self.file)
    }

    /// The crash points between the last write and the sync, whichever kind of sync follows.
    pub(super) fn before_sync() -> io::Result<()> {
        crash_point!("blob.tmp.after_write_before_fsync");
        fail::fail_point!("blob.sync", |_| Err(io::Error::from(Errno::IO)));
        Ok(())
    }

    /// Cuts the file off, or does nothing if it is not longer.
    pub(super) fn truncate(&self, len: u64) -> io::Result<()> {
        if self.len()? > len {
            self.file.set_len(len)?;
        }
        Ok(())
    }

    /// Removes the file. What cannot be removed is logged and left to the sweep.
    pub(super) fn remove(&self) {
        remove(&self.path);
    }
}

/// Removes a file of a failed or aborted object, whether it is there or not.
pub(super) fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "an unfinished object stays behind");
        }
        _ => {}
    }
}
