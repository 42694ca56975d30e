//! What the state machine needs of its storage: an ordered map of bytes.
//!
//! Owns the traits and the body that forgets. Leaves durability, transactions and snapshots to
//! whoever holds the map: one entry's changes are to become visible together.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use meridian_error::{Classify, Code};

/// Sees a pair and says whether to go on.
pub type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// An ordered map of bytes, for reading.
pub trait Read {
    /// Why the map could not be read or written.
    type Error;

    /// Shows the value at `key` to `look`, if there is one.
    fn get<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Self::Error>;

    /// Shows pairs in the order of their keys, from `range.0` to `range.1`, until `visit` breaks.
    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: Visit<'_>,
    ) -> Result<(), Self::Error>;
}

/// An ordered map of bytes, for writing.
pub trait Write: Read {
    /// Sets the value at `key`.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Self::Error>;

    /// Removes what is at `key`, if anything is.
    fn remove(&mut self, key: &[u8]) -> Result<(), Self::Error>;
}

/// Why a state could not be read or advanced. Either is fatal for the replica: it must stop and
/// be repaired from its peers, because going on would let it differ from them.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError<E> {
    /// The storage failed.
    #[error("the state's storage failed")]
    Store(#[source] E),
    /// A row is not what its key says.
    #[error("a row of the state is damaged: {0}")]
    Damaged(&'static str),
}

impl<E: std::error::Error + 'static> Classify for CatalogError<E> {
    fn code(&self) -> Code {
        Code::Internal
    }
}

/// A map that forgets on drop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStore {
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
}

// === impl MemoryStore ===

impl MemoryStore {
    /// Every pair, in order.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.pairs
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

impl Read for MemoryStore {
    type Error = std::convert::Infallible;

    fn get<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Self::Error> {
        Ok(self.pairs.get(key).map(|value| look(value)))
    }

    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: Visit<'_>,
    ) -> Result<(), Self::Error> {
        for (key, value) in self.pairs.range::<[u8], _>(range) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Write for MemoryStore {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Self::Error> {
        self.pairs.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), Self::Error> {
        self.pairs.remove(key);
        Ok(())
    }
}
