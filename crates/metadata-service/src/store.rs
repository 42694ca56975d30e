//! The state of the catalog on disk.
//!
//! Owns one redb file at a time: the ordered map of the catalog, and beside it, in the same
//! transactions, how far the log is applied. A transaction without a sync makes its changes
//! visible at once; a sync now and then makes everything up to it durable, and after a crash the
//! state is that of some earlier sync, from which the log is applied again.

use std::io;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meridian_catalog::{Read, Write};
use redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table,
    TableDefinition,
};
use serde::{Deserialize, Serialize};

use crate::raft::{LogId, Membership, codec};

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

/// A state file.
#[derive(Clone)]
pub(crate) struct Store {
    db: Arc<Database>,
    name: Arc<str>,
}

/// The state as of one moment.
pub(crate) struct View {
    state: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

/// The state while a batch of entries is applied to it.
pub(crate) struct Draft<'t> {
    state: Table<'t, &'static [u8], &'static [u8]>,
}

// === impl Store ===

impl Store {
    /// Opens the state file in force, or begins one.
    pub(crate) fn open(folder: &Path, cache_bytes: usize) -> io::Result<Self> {
        let current = folder.join(CURRENT);
        let name = match std::fs::read_to_string(&current) {
            Ok(name) => name.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = "state-0.redb".to_owned();
                Self::begin(folder, &name, cache_bytes)?;
                point(folder, &name)?;
                name
            }
            Err(error) => return Err(error),
        };
        let store = Self::begin(folder, &name, cache_bytes)?;
        remove_others(folder, &name)?;
        Ok(store)
    }

    /// Opens a state file of that name, or begins it.
    pub(crate) fn begin(folder: &Path, name: &str, cache_bytes: usize) -> io::Result<Self> {
        let db = Database::builder()
            .set_cache_size(cache_bytes)
            .create(folder.join(name))
            .map_err(io::Error::other)?;
        let store = Self {
            db: Arc::new(db),
            name: name.into(),
        };
        // The tables exist from here on, so that a view never has to ask.
        store.write(true, |_| Ok(None))?;
        Ok(store)
    }

    /// The name of a file to put in this one's place.
    pub(crate) fn successor(&self) -> String {
        let number = self.name.trim_start_matches("state-");
        let number = number.trim_end_matches(".redb").parse::<u64>();
        format!("state-{}.redb", number.unwrap_or(0) + 1)
    }

    /// Puts this file in force, for good.
    pub(crate) fn enforce(&self, folder: &Path) -> io::Result<()> {
        self.sync()?;
        point(folder, &self.name)
    }

    /// The state now.
    pub(crate) fn view(&self) -> io::Result<View> {
        let transaction = self.db.begin_read().map_err(io::Error::other)?;
        View::of(&transaction)
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

    /// Changes the state in one transaction; with `durable`, it and all before it survive a crash.
    pub(crate) fn write(
        &self,
        durable: bool,
        change: impl FnOnce(&mut Draft<'_>) -> io::Result<Option<Applied>>,
    ) -> io::Result<()> {
        let mut transaction = self.db.begin_write().map_err(io::Error::other)?;
        if durable {
            // Saves the allocator's state, so that opening after a crash does not walk the file.
            transaction.set_quick_repair(true);
        } else {
            transaction
                .set_durability(Durability::None)
                .map_err(io::Error::other)?;
        }
        {
            let mut draft = Draft {
                state: transaction.open_table(STATE).map_err(io::Error::other)?,
            };
            let applied = change(&mut draft)?;
            drop(draft);
            let mut raft = transaction.open_table(RAFT).map_err(io::Error::other)?;
            if let Some(applied) = applied {
                let bytes = codec::encode(&applied)?;
                raft.insert(APPLIED, bytes.as_slice())
                    .map_err(io::Error::other)?;
            }
        }
        fail::fail_point!("meta.apply.after_batch_before_applied_index");
        transaction.commit().map_err(io::Error::other)
    }

    /// Makes everything that was written durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.write(true, |_| Ok(None))
    }
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
        let is_other = path.file_name().and_then(|name| name.to_str()).is_some_and(
            |file| file.starts_with("state-") && file.ends_with(".redb") && file != name,
        );
        if is_other {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

// === impl View ===

impl View {
    /// The state as of a transaction.
    pub(crate) fn of(transaction: &ReadTransaction) -> io::Result<Self> {
        let state = transaction.open_table(STATE).map_err(io::Error::other)?;
        Ok(Self { state })
    }
}

impl Read for View {
    type Error = redb::StorageError;

    fn get<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Self::Error> {
        Ok(self.state.get(key)?.map(|row| look(row.value())))
    }

    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), Self::Error> {
        scan(&self.state, range, visit)
    }
}

// === impl Draft ===

impl Read for Draft<'_> {
    type Error = redb::StorageError;

    fn get<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Self::Error> {
        Ok(self.state.get(key)?.map(|row| look(row.value())))
    }

    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), Self::Error> {
        scan(&self.state, range, visit)
    }
}

impl Write for Draft<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Self::Error> {
        self.state.insert(key, value).map(drop)
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), Self::Error> {
        self.state.remove(key).map(drop)
    }
}

fn scan(
    state: &impl ReadableTable<&'static [u8], &'static [u8]>,
    range: (Bound<&[u8]>, Bound<&[u8]>),
    visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
) -> Result<(), redb::StorageError> {
    for row in state.range::<&[u8]>(range)? {
        let (key, value) = row?;
        if visit(key.value(), value.value()).is_break() {
            break;
        }
    }
    Ok(())
}
