//! Listing objects in the order of their keys.
//!
//! Owns the merge of the two places where objects lie. Costs a walk over the folders from `after`
//! on until the page is full; memory is that of one folder's names and the page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::layout::Layout;
use crate::{BlobKey, Listed, RegistryKey};

/// The objects after `after`, at most `limit`.
pub(super) fn list(
    layout: &Layout,
    after: Option<&BlobKey>,
    limit: usize,
) -> io::Result<Vec<Listed>> {
    let mut page = Vec::new();
    for registry in registries(layout)? {
        if after.is_some_and(|after| registry < after.registry) {
            continue;
        }
        let staged = leaves(&layout.staging_of(&registry), &registry)?;
        for shard in 0..=u8::MAX {
            if page.len() >= limit {
                return Ok(page);
            }
            let later = |key: &BlobKey| after.is_none_or(|after| key > after);
            if after.is_some_and(|a| a.registry == registry && shard < a.shard()) {
                continue;
            }
            // Finished last: it wins where both names were there for a moment.
            let staged = staged.iter().filter(|key| key.shard() == shard).cloned();
            let mut keys: BTreeMap<_, _> = staged.map(|key| (key, false)).collect();
            let finished = leaves(&layout.shard_of(&registry, shard), &registry)?;
            let finished = finished.into_iter().filter(|key| key.shard() == shard);
            keys.extend(finished.map(|key| (key, true)));
            let keys = keys.into_iter().filter(|(key, _)| later(key));
            for (key, finished) in keys {
                if page.len() >= limit {
                    break;
                }
                page.extend(look(layout, key, finished)?);
            }
        }
    }
    Ok(page)
}

/// All registries that have a folder, in order.
fn registries(layout: &Layout) -> io::Result<BTreeSet<RegistryKey>> {
    let mut found = BTreeSet::new();
    for place in [layout.staging(), layout.blobs()] {
        found.extend(names(&place)?.iter().filter_map(|name| name.parse().ok()));
    }
    Ok(found)
}

/// The keys whose last part is a name in `folder`.
fn leaves(folder: &Path, registry: &RegistryKey) -> io::Result<Vec<BlobKey>> {
    let names = names(folder)?;
    let key = |name: &String| BlobKey::from_leaf(registry.clone(), name);
    Ok(names.iter().filter_map(key).collect())
}

/// The names in a folder, of which there are none if it does not exist.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        // A name that is not text is not ours.
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

/// What the sweep wants to know of one object; nothing if it went meanwhile.
fn look(layout: &Layout, key: BlobKey, finished: bool) -> io::Result<Option<Listed>> {
    let places = [layout.staged(&key), layout.finished(&key)];
    // One that was committed meanwhile has moved from the first place to the second.
    for path in &places[usize::from(finished)..] {
        match fs::metadata(path) {
            Ok(found) => {
                let modified = found.modified()?.duration_since(UNIX_EPOCH).ok();
                let millis = modified.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
                return Ok(Some(Listed {
                    finished: *path == places[1],
                    key,
                    size: found.len(),
                    modified_millis: millis,
                }));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
