//! The syncs on which durability rests, in one place.
//!
//! The switch `eventlog.skip_sync` makes them lie, so that a power-cut test can prove that it would
//! notice. An error of a sync is never answered by a second one: the kernel reports it once and then
//! forgets the pages (reliability §0, fact 2).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Makes the content of a file, open for writing, durable.
///
/// A sync that is under way when its file system is shut down may be answered with success although
/// nothing reached the disk: ext4 does so, about once in ten shutdowns. A write of nothing finds out,
/// at the price of a system call: it is refused from then on. (A file system that answers a write of
/// nothing without looking, as XFS does, is not known to say so wrongly.)
pub(super) fn sync_file(file: &File) -> io::Result<()> {
    fail::fail_point!("eventlog.skip_sync", |_| Ok(()));
    file.sync_data()?;
    file.write_at(&[], 0).map(drop)
}

/// Makes the entries of a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    fail::fail_point!("eventlog.skip_sync", |_| Ok(()));
    File::open(folder)?.sync_all()
}
