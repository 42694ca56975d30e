//! What keeps a blob, and what keeps a manifest.
//!
//! Owns the judgements on which collection and presence rest. Commands act on them and queries tell
//! them beforehand, so that a dry run and the run that follows agree.

use std::collections::BTreeSet;

use meridian_clock::Version;
use meridian_event::RegistryId;
use meridian_oci::{Digest, RepositoryName};

use crate::access::{read, suffixes};
use crate::apply::guard::{self, Guard};
use crate::row::{Blob, Link, Manifest, Needs, RepositoryCell};
use crate::{CatalogError, Read, Settings, key};

type Result<T, S> = std::result::Result<T, CatalogError<<S as Read>::Error>>;

/// How many rows are looked at in one go. A layer may be in a great many repositories.
const PAGE: usize = 256;

/// What keeps a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// A present manifest needs it.
    Manifest,
    /// A lease, or its grace, until then.
    Until(u64),
}

impl Hold {
    /// Whether it keeps the blob at `now`.
    pub(crate) const fn keeps(self, now: u64) -> bool {
        match self {
            Self::Manifest => true,
            Self::Until(end) => end > now,
        }
    }
}

/// Judges a blob.
pub(crate) fn hold<S: Read>(
    store: &S,
    settings: &Settings,
    registry: RegistryId,
    digest: Digest,
    blob: &Blob,
) -> Result<Hold, S> {
    let mut end = blob.touched.millis.saturating_add(settings.grace_millis);
    let mut after = String::new();
    loop {
        let page = repositories(store, registry, digest, &after, PAGE)?;
        for repository in &page {
            let holders = key::holders(registry, repository).digest(digest);
            if !suffixes(store, &holders, &[], 1)?.is_empty() {
                return Ok(Hold::Manifest);
            }
            let link = read::<Link, S>(store, &key::links(registry, repository).digest(digest))?;
            let link = link.ok_or(CatalogError::Damaged("link"))?;
            end = end.max(link.lease);
        }
        match page.last() {
            Some(last) if page.len() == PAGE => last.as_str().clone_into(&mut after),
            _ => return Ok(Hold::Until(end)),
        }
    }
}

/// Repositories in which a blob is linked, at most `limit` of them, from after `after` on.
pub(crate) fn repositories<S: Read>(
    store: &S,
    registry: RegistryId,
    digest: Digest,
    after: &str,
    limit: usize,
) -> Result<Vec<RepositoryName>, S> {
    let prefix = key::repositories_of(registry, digest);
    let names = suffixes(store, &prefix, after.as_bytes(), limit)?;
    let names = names.iter().map(|name| key::parse(name));
    names
        .collect::<Option<_>>()
        .ok_or(CatalogError::Damaged("repository of a blob"))
}

/// A repository's cell, or one that says nothing.
pub(crate) fn cell<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
) -> Result<RepositoryCell, S> {
    let cell = read(store, &key::repository_cell(registry, repository))?;
    Ok(cell.unwrap_or_default())
}

/// A manifest's cell, as the deletion of its repository leaves it.
pub(crate) fn manifest<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    cover: Option<Version>,
) -> Result<Option<Manifest>, S> {
    let row = read::<Manifest, S>(store, &key::manifests(registry, repository).digest(digest))?;
    Ok(row.map(|row| covered(row, cover)))
}

/// A manifest's row, as the deletion of its repository leaves it.
pub(crate) fn covered(mut row: Manifest, cover: Option<Version>) -> Manifest {
    if guard::stands(Guard::CoveredIsHidden) {
        row.cover(cover);
    }
    row
}

/// Whether a manifest, whose cell knows of the deletion of its repository, is present: put since it was
/// last deleted, or needed by one that is. Who needs it may have gone with the repository, and not be
/// swept yet; so this asks on, up to one that was put.
pub(crate) fn is_present<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    row: &Manifest,
    cover: Option<Version>,
) -> Result<bool, S> {
    if row.is_absent() {
        return Ok(false);
    }
    if row.is_added() {
        return Ok(true);
    }
    let (mut seen, mut found) = (BTreeSet::new(), vec![digest]);
    while let Some(child) = found.pop() {
        let mut parents = Vec::new();
        let visit = &mut |parent| {
            parents.push(parent);
            true
        };
        each_parent(store, registry, repository, child, visit)?;
        for parent in parents {
            if !seen.insert(parent) {
                continue;
            }
            let row = manifest(store, registry, repository, parent, cover)?;
            if row.is_some_and(|row| row.is_added()) {
                return Ok(true);
            }
            found.push(parent);
        }
    }
    Ok(false)
}

/// Whether a manifest whose bytes are here names this one as a child. Whoever needs a blob of the
/// same digest needs no manifest. Each of those that is looked at counts towards `looks`.
pub(crate) fn is_child<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    looks: &mut usize,
) -> Result<bool, S> {
    let mut is_any = false;
    let visit = &mut |_| {
        is_any = true;
        false
    };
    *looks += each_parent(store, registry, repository, digest, visit)?;
    Ok(is_any)
}

/// Shows those that name a manifest as a child, until `visit` has seen enough. Returns at how many it
/// looked.
fn each_parent<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    visit: &mut dyn FnMut(Digest) -> bool,
) -> Result<usize, S> {
    let holders = key::holders(registry, repository).digest(digest);
    let (mut after, mut looks) = (Vec::new(), 0);
    loop {
        let page = suffixes(store, &holders, &after, PAGE)?;
        for suffix in &page {
            looks += 1;
            let holder = key::take_digest(suffix);
            let (holder, _) = holder.ok_or(CatalogError::Damaged("holder"))?;
            let needs_key = key::needs(registry, repository).digest(holder);
            let needs = read::<Needs, S>(store, &needs_key)?;
            let needs = needs.ok_or(CatalogError::Damaged("needs of a manifest"))?;
            let is_child = needs.children.iter().any(|child| child.digest == digest);
            if is_child && !visit(holder) {
                return Ok(looks);
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after.clone_from(last),
            _ => return Ok(looks),
        }
    }
}
