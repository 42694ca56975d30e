//! Blobs, as pulls, pushes and garbage collection see them.

use std::ops::{Bound, ControlFlow};

use meridian_event::RegistryId;
use meridian_oci::{Digest, RepositoryName};

use super::Result;
use crate::access::{exists, read, suffixes};
use crate::hold;
use crate::key;
use crate::row::{Blob, Link, System};
use crate::{BlobPlace, CatalogError, Encoding, ObjectKey, Read};

/// A blob that is present in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobView {
    /// Its length in bytes.
    pub size: u64,
    /// How its stored bytes relate to it.
    pub encoding: Encoding,
    /// Where its bytes are.
    pub place: BlobPlace,
    /// Whether a push that relies on it must touch it first: no manifest needs it, and it is
    /// condemned or less than half of its lease is left.
    pub wants_touch: bool,
    /// Whether it may be pulled, by the attributes of the repository.
    pub is_readable: bool,
}

/// A blob whose turn in garbage collection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueView {
    /// Its registry.
    pub registry: RegistryId,
    /// Which.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it is condemned.
    pub condemned: bool,
    /// Whether a manifest or a lease still holds it, so that its turn will be put off.
    pub held: bool,
}

/// A blob that is present in a repository. `now` is the wall clock in milliseconds.
pub fn blob<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    now: u64,
) -> Result<Option<BlobView>, S> {
    let link_key = key::links(registry, repository).digest(digest);
    let Some(link) = read::<Link, S>(store, &link_key)? else {
        return Ok(None);
    };
    let blob = read::<Blob, S>(store, &key::blob(registry, digest))?;
    let blob = blob.ok_or(CatalogError::Damaged("blob"))?;
    let system = read::<System, S>(store, key::SYSTEM)?;
    let system = system.ok_or(CatalogError::Damaged("system"))?;
    let left = link.lease.saturating_sub(now);
    let mut wants_touch = blob.condemned.is_some() || left < system.settings.lease_millis / 2;
    if wants_touch {
        let holders = key::holders(registry, repository).digest(digest);
        wants_touch = suffixes(store, &holders, &[], 1)?.is_empty();
    }
    Ok(Some(BlobView {
        size: blob.size,
        encoding: blob.encoding,
        place: blob.place,
        wants_touch,
        is_readable: hold::cell(store, registry, repository)?.in_force().read,
    }))
}

/// Blobs whose turn has come by `now`, in milliseconds, oldest first.
pub fn due<S: Read>(store: &S, now: u64, limit: usize) -> Result<Vec<DueView>, S> {
    let mut keys = Vec::new();
    let end = key::due_after(now);
    let range = (Bound::Included(key::DUE), Bound::Excluded(&*end));
    store
        .scan(range, &mut |key, _| {
            if keys.len() == limit {
                return ControlFlow::Break(());
            }
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })
        .map_err(CatalogError::Store)?;
    let views = keys.iter().map(|key| due_view(store, key, now));
    views.collect()
}

fn due_view<S: Read>(store: &S, key: &[u8], now: u64) -> Result<DueView, S> {
    let damaged = || CatalogError::Damaged("turn of garbage collection");
    let (_, rest) = key::take_u64(&key[key::DUE.len()..]).ok_or_else(damaged)?;
    let (registry, rest) = key::take_registry(rest).ok_or_else(damaged)?;
    let (digest, _) = key::take_digest(rest).ok_or_else(damaged)?;
    let blob = read::<Blob, S>(store, &key::blob(registry, digest))?.ok_or_else(damaged)?;
    let system = read::<System, S>(store, key::SYSTEM)?.ok_or_else(damaged)?;
    let held = hold::hold(store, &system.settings, registry, digest, &blob)?.keeps(now);
    Ok(DueView {
        registry,
        digest,
        size: blob.size,
        condemned: blob.condemned.is_some(),
        held,
    })
}

/// Objects to delete physically, in the order of their generations.
pub fn doomed<S: Read>(store: &S, limit: usize) -> Result<Vec<(RegistryId, ObjectKey)>, S> {
    let damaged = || CatalogError::Damaged("doomed object");
    let mut found = Vec::new();
    for suffix in suffixes(store, key::DOOMED, &[], limit)? {
        let (epoch, rest) = key::take_u64(&suffix).ok_or_else(damaged)?;
        let (generation, _) = key::take_u64(rest).ok_or_else(damaged)?;
        let owner = read::<RegistryId, S>(store, &key::doomed(epoch, generation))?;
        found.push((owner.ok_or_else(damaged)?, ObjectKey { epoch, generation }));
    }
    Ok(found)
}

/// Whether a blob record names an object, or it is doomed and so in good hands.
pub fn is_known<S: Read>(store: &S, object: ObjectKey) -> Result<bool, S> {
    let ObjectKey { epoch, generation } = object;
    Ok(exists(store, &key::object(epoch, generation))?
        || exists(store, &key::doomed(epoch, generation))?)
}
