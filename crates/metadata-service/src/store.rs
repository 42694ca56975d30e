//! The file in which the state lies.
//!
//! Owns one redb file at a time: the ordered map of the catalog, and beside it, in the same
//! transactions, how far the log is applied. Every transaction is durable, and waits while the disk
//! is full (`patient` says why). Leaves to `state` what is written when.

mod patient;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::changes::{Changes, Rows};
use crate::patience::Patience;
use crate::raft::{LogId, Membership, codec};
use crate::recovery::tell_repair;
use patient::PatientFile;

pub(crate) const STATE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");
const RAFT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("raft");
const APPLIED: &str = "applied";

/// Which state file is in force. Its name is replaced atomically when a snapshot is installed.
const CURRENT: &str = "current";

/// How far the log is applied, and who the members are by then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(crate) last: Option<LogId>,
    pub(crate) membership: Membership,
}

/// Puts a row, given as key and value.
pub(crate) type PutRow<'a> = dyn FnMut(&[u8], &[u8]) -> io::Result<()> + 'a;

/// A state file.
#[derive(Clone)]
pub(crate) struct Store {
    db: Arc<Database>,
    name: Arc<str>,
}

// === impl Store ===

impl Store {
    /// Opens the state file in force, or begins one.
    pub(crate) fn open(folder: &Path, cache_bytes: usize, patience: &Patience) -> io::Result<Self> {
        let current = folder.join(CURRENT);
        let name = match std::fs::read_to_string(&current) {
            Ok(name) => name.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = "state-0.redb".to_owned();
                Self::begin(folder, &name, cache_bytes, patience)?;
                point(folder, &name)?;
                name
            }
            Err(error) => return Err(error),
        };
        let store = Self::begin(folder, &name, cache_bytes, patience)?;
        remove_others(folder, &name)?;
        Ok(store)
    }

    /// Opens a state file of that name, or begins it.
    pub(crate) fn begin(
        folder: &Path,
        name: &str,
        cache_bytes: usize,
        patience: &Patience,
    ) -> io::Result<Self> {
        let path = folder.join(name);
        let file = PatientFile::open(&path, patience.clone()).map_err(io::Error::other)?;
        let db = Database::builder()
            .set_cache_size(cache_bytes)
            .set_repair_callback(tell_repair(&path))
            .create_with_backend(file)
            .map_err(io::Error::other)?;
        let store = Self {
            db: Arc::new(db),
            name: name.into(),
        };
        // The tables exist from here on, so that nobody has to ask.
        if store.rows().is_err() {
            store.write(&Applied::default(), |_| Ok(()))?;
        }
        Ok(store)
    }

    /// The name of a file to put in this one's place.
    pub(crate) fn successor(&self) -> String {
        let number = self.name.trim_start_matches("state-");
        let number = number.trim_end_matches(".redb").parse::<u64>();
        format!("state-{}.redb", number.unwrap_or(0) + 1)
    }

    /// Puts this file, as it was last written, in force for good.
    pub(crate) fn enforce(&self, folder: &Path) -> io::Result<()> {
        point(folder, &self.name)
    }

    /// The rows now.
    pub(crate) fn rows(&self) -> io::Result<Arc<Rows>> {
        let transaction = self.db.begin_read().map_err(io::Error::other)?;
        rows_of(&transaction).map(Arc::new)
    }

    /// The state now, and how far the log is applied in it.
    pub(crate) fn pin(&self) -> io::Result<(ReadTransaction, Applied)> {
        let transaction = self.db.begin_read().map_err(io::Error::other)?;
        let raft = transaction.open_table(RAFT).map_err(io::Error::other)?;
        let applied = applied(&raft)?;
        Ok((transaction, applied))
    }

    /// How far the log is applied.
    pub(crate) fn applied(&self) -> io::Result<Applied> {
        self.pin().map(|(_, applied)| applied)
    }

    /// Puts changes into the file, and how far the log is applied with them.
    pub(crate) fn flush(&self, changes: &Changes, applied: &Applied) -> io::Result<()> {
        self.write(applied, |state| {
            for (key, value) in changes.iter() {
                let changed = match value {
                    Some(value) => state.insert(key, value),
                    None => state.remove(key),
                };
                changed.map_err(io::Error::other)?;
            }
            Ok(())
        })
    }

    /// Puts rows into an empty file, all that `rows` gives.
    pub(crate) fn fill_with(
        &self,
        applied: &Applied,
        rows: impl FnOnce(&mut PutRow<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.write(applied, |state| {
            rows(&mut |key, value| {
                let inserted = state.insert(key, value);
                inserted.map(drop).map_err(io::Error::other)
            })
        })
    }

    /// The same file under another name.
    pub(crate) fn renamed(self, folder: &Path, name: String) -> io::Result<Self> {
        std::fs::rename(folder.join(&*self.name), folder.join(&name))?;
        Ok(Self {
            name: name.into(),
            ..self
        })
    }

    /// Lets go of the file's name: it is gone when the last of its readers is.
    pub(crate) fn remove(&self, folder: &Path) -> io::Result<()> {
        std::fs::remove_file(folder.join(&*self.name))
    }

    /// Changes the file in one durable transaction.
    fn write(
        &self,
        applied: &Applied,
        change: impl FnOnce(&mut Table<'_, &'static [u8], &'static [u8]>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut transaction = self.db.begin_write().map_err(io::Error::other)?;
        // Saves the allocator's state, so that opening after a crash does not walk the file.
        transaction.set_quick_repair(true);
        {
            let mut state = transaction.open_table(STATE).map_err(io::Error::other)?;
            change(&mut state)?;
            let mut raft = transaction.open_table(RAFT).map_err(io::Error::other)?;
            let bytes = codec::encode(applied)?;
            raft.insert(APPLIED, bytes.as_slice())
                .map_err(io::Error::other)?;
        }
        fail::fail_point!("meta.flush.before_commit");
        transaction.commit().map_err(io::Error::other)
    }
}

/// The rows as of a transaction.
pub(crate) fn rows_of(transaction: &ReadTransaction) -> io::Result<Rows> {
    transaction.open_table(STATE).map_err(io::Error::other)
}

fn applied(raft: &impl ReadableTable<&'static str, &'static [u8]>) -> io::Result<Applied> {
    let row = raft.get(APPLIED).map_err(io::Error::other)?;
    row.map_or_else(|| Ok(Applied::default()), |row| codec::decode(row.value()))
}

fn point(folder: &Path, name: &str) -> io::Result<()> {
    let draft = folder.join("current.draft");
    let mut file = std::fs::File::create(&draft)?;
    io::Write::write_all(&mut file, name.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, folder.join(CURRENT))?;
    std::fs::File::open(folder)?.sync_all()
}

/// Removes state files that are not in force: half of an install, or what one replaced.
fn remove_others(folder: &Path, name: &str) -> io::Result<()> {
    for file in std::fs::read_dir(folder)? {
        let path: PathBuf = file?.path();
        let is_other = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|file| {
                file.starts_with("state-") && file.ends_with(".redb") && file != name
            });
        if is_other {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
