//! The syncs on which durability rests, in one place.
//!
//! The switch `eventlog.skip_sync` makes them lie, so that a power-cut test can prove that it would
//! notice. An error of a sync is never answered by a second one: the kernel reports it once and then
//! forgets the pages (reliability §0, fact 2).

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the content of a file durable.
pub(super) fn sync_file(file: &File) -> io::Result<()> {
    fail::fail_point!("eventlog.skip_sync", |_| Ok(()));
    file.sync_data()
}

/// Makes the entries of a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    fail::fail_point!("eventlog.skip_sync", |_| Ok(()));
    File::open(folder)?.sync_all()
}
