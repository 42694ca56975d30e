//! The three kinds of sync, the switches that a test can turn them off with, and crash points.
//!
//! Owns every `fsync` of this crate. A test that cuts the power must fail when one kind is skipped:
//! otherwise it proves nothing. `blob.skip_file_sync` and `blob.skip_dir_sync` with the action
//! `return` skip it; without the feature `failpoints` they do not exist.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::system::uname;

/// A point at which a test may end the process, or fail the step that returns here. Nothing without
/// the feature `failpoints`.
macro_rules! crash_point {
    ($name:literal) => {
        fail::fail_point!($name, |_| Err(std::io::Error::other(concat!(
            "fail point ",
            $name,
            " returned"
        ))))
    };
}

pub(super) use crash_point;

/// Makes the bytes of `file`, and its length, durable.
pub(super) fn sync_file(file: &File) -> io::Result<()> {
    if skips_files() {
        return Ok(());
    }
    file.sync_data()?;
    confirm(file)
}

/// Whether what was synced, on the file system of `file`, is durable indeed. Every sync must be
/// followed by it before anybody is told.
///
/// A sync that is under way when its file system is shut down may be answered with success although
/// nothing reached the disk: ext4 does so, about once in ten shutdowns. A write of nothing finds out,
/// at the price of a system call: it is refused from then on. (A file system that answers a write of
/// nothing without looking, as XFS does, is not known to say so wrongly.)
pub(super) fn confirm(file: &File) -> io::Result<()> {
    file.write_at(&[], 0).map(drop)
}

/// Makes the names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if skips_folders() {
        return Ok(());
    }
    File::open(folder)?.sync_all()
}

/// Counts syncs of whole file systems that failed, in this process.
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Makes everything on the file system of `root` durable: bytes and names of all files at once.
///
/// An error may be that of any file, so it is an error of all that waited for this. It may be that
/// of a file besides which waits for none yet: this sync wrote its bytes as well, and the next one
/// finds nothing to write, and succeeds. Such a file sees that [`failed`] has changed since it was
/// opened, and has to ask for itself.
pub(super) fn sync_all(root: &File) -> io::Result<()> {
    let outcome = rustix::fs::syncfs(root);
    if outcome.is_err() {
        FAILED.fetch_add(1, Ordering::SeqCst);
    }
    Ok(outcome?)
}

/// How many syncs of whole file systems have failed.
pub(super) fn failed() -> u64 {
    FAILED.load(Ordering::SeqCst)
}

/// Whether [`sync_all`] may stand for the other two: the kernel must report failed writes there,
/// which it does from 5.8 on.
pub(super) fn sync_all_tells_errors() -> bool {
    let system = uname();
    let release = system.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (5, 8),
        _ => false,
    }
}

/// Whether a test skips a kind of sync. It then expects the other kind alone, not [`sync_all`].
pub(super) fn skips_any() -> bool {
    skips_files() || skips_folders()
}

fn skips_files() -> bool {
    fail::fail_point!("blob.skip_file_sync", |_| true);
    false
}

fn skips_folders() -> bool {
    fail::fail_point!("blob.skip_dir_sync", |_| true);
    false
}
