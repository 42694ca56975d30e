//! Changes of the state that are applied and not yet in its file.
//!
//! Owns layers of rows in memory, and the one view over them and the file below. A layer is a
//! persistent map: a view takes a copy of it at no cost, and never sees what is applied later. What a
//! batch of entries changes gathers in a map of its own and enters the layer at its end: a node of the
//! layer that a view shares is copied before it is changed, with all that it holds.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use meridian_catalog::{Read, Visit, Write};
use redb::ReadOnlyTable;

/// The rows of the file, as of one moment.
pub(crate) type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// What an entry costs beyond its bytes, about.
const ROW_BYTES: usize = 100;

/// Rows that were set, or removed: then there is no value.
#[derive(Clone, Default)]
pub(crate) struct Changes {
    rows: OrdMap<Arc<[u8]>, Option<Arc<[u8]>>>,
    bytes: usize,
}

/// The state as of one moment.
pub(crate) struct View {
    newest: Changes,
    older: Changes,
    file: Arc<Rows>,
}

/// The state while a batch of entries is applied to it.
pub(crate) struct Draft {
    view: View,
    batch: Batch,
}

/// What a batch of entries changes.
#[derive(Default)]
pub(crate) struct Batch(BTreeMap<Arc<[u8]>, Option<Arc<[u8]>>>);

// === impl Changes ===

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// About how much memory they take.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Every change, in the order of keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.rows
            .iter()
            .map(|(key, value)| (&**key, value.as_deref()))
    }

    fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.rows.get(key).map(Option::as_deref)
    }

    /// Takes in what a batch has changed.
    pub(crate) fn absorb(&mut self, batch: Batch) {
        let size = |value: &Option<Arc<[u8]>>| value.as_ref().map_or(0, |value| value.len());
        for (key, value) in batch.0 {
            let key_size = key.len();
            self.bytes += size(&value);
            match self.rows.insert(key, value) {
                Some(replaced) => self.bytes -= size(&replaced),
                None => self.bytes += key_size + ROW_BYTES,
            }
        }
    }

    fn range<'a>(
        &'a self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let rows = self.rows.range::<_, [u8]>(range);
        rows.map(|(key, value)| (&**key, value.as_deref()))
    }
}

/// Two layers in the order of keys, the newer before the older.
struct Merged<N: Iterator, O: Iterator> {
    newer: Peekable<N>,
    older: Peekable<O>,
}

impl<'a, N, O> Iterator for Merged<N, O>
where
    N: Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    O: Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
{
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.newer.peek(), self.older.peek()) {
            (Some((newer, _)), Some((older, _))) => newer.cmp(older),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => self.newer.next(),
            Ordering::Equal => {
                self.older.next();
                self.newer.next()
            }
            Ordering::Greater => self.older.next(),
        }
    }
}

// === impl View ===

impl View {
    pub(crate) const fn new(newest: Changes, older: Changes, file: Arc<Rows>) -> Self {
        Self {
            newest,
            older,
            file,
        }
    }

    /// Scans with changes above all layers, in the order of keys and of that range.
    fn scan_below<'a>(
        &'a self,
        above: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: Visit<'_>,
    ) -> Result<(), redb::StorageError> {
        let layers = Merged {
            newer: self.newest.range(range).peekable(),
            older: self.older.range(range).peekable(),
        };
        let mut changes = Merged {
            newer: above.peekable(),
            older: layers.peekable(),
        }
        .peekable();
        let mut rows = self.file.range::<&[u8]>(range)?;
        let mut row = rows.next().transpose()?;
        loop {
            let order = match (changes.peek(), &row) {
                (Some((changed, _)), Some((key, _))) => (*changed).cmp(key.value()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return Ok(()),
            };
            let flow = if order == Ordering::Greater {
                let shown = row.as_ref();
                let flow = shown.map(|(key, value)| visit(key.value(), value.value()));
                row = rows.next().transpose()?;
                flow
            } else {
                if order == Ordering::Equal {
                    row = rows.next().transpose()?;
                }
                let changed = changes.next();
                changed.and_then(|(key, value)| value.map(|value| visit(key, value)))
            };
            if flow.is_some_and(|flow| flow.is_break()) {
                return Ok(());
            }
        }
    }
}

impl Read for View {
    type Error = redb::StorageError;

    fn get<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Self::Error> {
        let changed = self.newest.get(key).or_else(|| self.older.get(key));
        match changed {
            Some(value) => Ok(value.map(look)),
            None => Ok(self.file.get(key)?.map(|row| look(row.value()))),
        }
    }

    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: Visit<'_>,
    ) -> Result<(), Self::Error> {
        self.scan_below(std::iter::empty(), range, visit)
    }
}

// === impl Draft ===

impl Draft {
    pub(crate) fn of(view: View) -> Self {
        Self {
            view,
            batch: Batch::default(),
        }
    }

    /// What was changed. The view that it was changed in is let go.
    pub(crate) fn into_batch(self) -> Batch {
        self.batch
    }
}

impl Read for Draft {
    type Error = redb::StorageError;

    fn get<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Self::Error> {
        match self.batch.0.get(key) {
            Some(value) => Ok(value.as_deref().map(look)),
            None => self.view.get(key, look),
        }
    }

    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: Visit<'_>,
    ) -> Result<(), Self::Error> {
        self.view.scan_below(self.batch.range(range), range, visit)
    }
}

impl Write for Draft {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Self::Error> {
        self.batch.set(key, Some(value));
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), Self::Error> {
        self.batch.set(key, None);
        Ok(())
    }
}

// === impl Batch ===

impl Batch {
    fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        let value = value.map(Arc::from);
        // Rows that every entry changes are many, and have their key already.
        match self.0.get_mut(key) {
            Some(row) => *row = value,
            None => drop(self.0.insert(key.into(), value)),
        }
    }

    fn range<'a>(
        &'a self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let rows = self.0.range::<[u8], _>(range);
        rows.map(|(key, value)| (&**key, value.as_deref()))
    }
}
