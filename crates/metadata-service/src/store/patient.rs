//! The file below the database, which waits while the disk is full.
//!
//! redb takes the first failed write for the end: from then on every call that meets the file is
//! refused, reads among them, until the database is opened again, and an opening writes. So it would
//! take pulls away just when nothing but pulls is left. Therefore a write that finds no space never
//! gets that far: here it waits until it fits. A flush that waits holds up no reader, and the
//! entries that are applied meanwhile stay in memory, of which `state_machine` bounds how much.
//! Syncs and all other failures are passed on as they are, and are final.

use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};
use rustix::fs::{Advice, fadvise};

use crate::patience::Patience;

const WHAT: &str = "the state of the metadata";

/// A database's file.
#[derive(Debug)]
pub(super) struct PatientFile<F = FileBackend> {
    file: F,
    patience: Patience,
}

type Locked<T> = Result<T, BackendError>;

// === impl PatientFile ===

impl PatientFile {
    /// Opens a file, or makes an empty one. What the kernel believes to be in it is read from the
    /// disk again: after a sync that failed in an earlier life of the process it takes pages that it
    /// could not write for written, and a state that is built on those would be lost with the power.
    pub(super) fn open(path: &Path, patience: Patience) -> Result<Self, DatabaseError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.sync_all()?;
        let _advice = fadvise(&file, 0, None, Advice::DontNeed);
        Ok(Self {
            file: FileBackend::new(file)?,
            patience,
        })
    }
}

impl<F: StorageBackend> StorageBackend for PatientFile<F> {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.patience.insist(WHAT, || self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.patience.insist(WHAT, || self.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase, TableDefinition};

    use super::*;

    const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

    /// A disk that is full when a test says so.
    #[derive(Debug)]
    struct Scarce {
        disk: InMemoryBackend,
        full: Arc<AtomicBool>,
    }

    impl Scarce {
        fn room(&self) -> io::Result<()> {
            if self.full.load(Ordering::SeqCst) {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(())
            }
        }
    }

    impl StorageBackend for Scarce {
        fn len(&self) -> io::Result<u64> {
            self.disk.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.disk.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.room()?;
            self.disk.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.disk.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.room()?;
            self.disk.write(offset, data)
        }
    }

    /// A database without a cache, with some rows, on a disk with room.
    fn open(patience: Patience) -> (Database, Arc<AtomicBool>) {
        let full = Arc::new(AtomicBool::new(false));
        let disk = Scarce {
            disk: InMemoryBackend::new(),
            full: Arc::clone(&full),
        };
        let file = PatientFile {
            file: disk,
            patience,
        };
        let mut builder = Database::builder();
        let db = builder.set_cache_size(0).create_with_backend(file).unwrap();
        (0..4).for_each(|row| put(&db, row).unwrap());
        (db, full)
    }

    fn put(db: &Database, row: u64) -> Result<(), redb::Error> {
        let transaction = db.begin_write()?;
        let bytes = vec![7; 1 << 20];
        transaction.open_table(ROWS)?.insert(row, &bytes[..])?;
        Ok(transaction.commit()?)
    }

    #[test]
    fn a_commit_waits_for_room_and_readers_do_not_wait_for_it() {
        let patience = Patience::default();
        patience.begin();
        let (db, full) = open(patience.clone());
        let rows = db.begin_read().unwrap().open_table(ROWS).unwrap();
        full.store(true, Ordering::SeqCst);
        std::thread::scope(|threads| {
            let commit = threads.spawn(|| put(&db, 4));
            while !patience.is_tried() {
                std::thread::yield_now();
            }
            assert_eq!(rows.get(0).unwrap().unwrap().value().len(), 1 << 20);
            assert!(!commit.is_finished());
            full.store(false, Ordering::SeqCst);
            commit.join().unwrap().unwrap();
        });
        let rows = db.begin_read().unwrap().open_table(ROWS).unwrap();
        assert!(rows.get(4).unwrap().is_some());
    }

    #[test]
    fn without_patience_the_database_can_be_used_no_more_not_even_read() {
        let (db, full) = open(Patience::default());
        let rows = db.begin_read().unwrap().open_table(ROWS).unwrap();
        full.store(true, Ordering::SeqCst);
        assert!(put(&db, 4).is_err());
        full.store(false, Ordering::SeqCst);
        assert!(put(&db, 4).is_err());
        assert!((0..4).any(|row| rows.get(row).is_err()));
    }
}
