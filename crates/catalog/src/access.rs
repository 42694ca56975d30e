//! Typed access to the map, for commands and queries alike.

use std::ops::{Bound, ControlFlow};

use crate::key::end_of;
use crate::row::Row;
use crate::{CatalogError, Read};

type Result<T, S> = std::result::Result<T, CatalogError<<S as Read>::Error>>;

/// Reads a row.
pub(crate) fn read<T: Row, S: Read>(store: &S, key: &[u8]) -> Result<Option<T>, S> {
    let row = store.get(key, T::decode::<S::Error>);
    row.map_err(CatalogError::Store)?.transpose()
}

/// Whether there is a row.
pub(crate) fn exists<S: Read>(store: &S, key: &[u8]) -> Result<bool, S> {
    let found = store.get(key, |_| ()).map_err(CatalogError::Store)?;
    Ok(found.is_some())
}

/// The ends of at most `limit` keys that begin with `prefix` and go on after `after`, in order.
pub(crate) fn suffixes<S: Read>(
    store: &S,
    prefix: &[u8],
    after: &[u8],
    limit: usize,
) -> Result<Vec<Vec<u8>>, S> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    let begin = [prefix, after].concat();
    let end = end_of(prefix);
    let range = (
        Bound::Excluded(begin.as_slice()),
        Bound::Excluded(end.as_slice()),
    );
    store
        .scan(range, &mut |key, _| {
            found.push(key[prefix.len()..].to_vec());
            if found.len() < limit {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
        .map_err(CatalogError::Store)?;
    Ok(found)
}
