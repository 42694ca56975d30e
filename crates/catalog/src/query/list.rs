//! Lists, a page at a time, each one range of keys.

use std::ops::{Bound, ControlFlow};

use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, RepositoryName, Tag as TagName};

use super::Result;
use super::manifest::is_current;
use super::repository::{allowed, holds_any};
use crate::access::{read, suffixes};
use crate::hold;
use crate::key::{self, end_of};
use crate::row::{Referrer, Repository, RepositoryCell, Row, Tag};
use crate::{CatalogError, Read};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The items, in byte order.
    pub items: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

/// The visible tags of a repository, but for those that are not to be in lists.
pub fn tags<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    after: Option<&TagName>,
    limit: usize,
) -> Result<Listed<TagName>, S> {
    let row = read::<Repository, S>(store, &key::repository(registry, repository))?;
    let cell = hold::cell(store, registry, repository)?;
    let cover = cell.cover();
    let sweeping = cover.is_some() || row.is_some_and(|row| row.sweeps > 0);
    let prefix = key::tags(registry, repository);
    let after = after.map(TagName::as_str);
    page(store, &prefix, after, limit, |name, value| {
        let name = parse::<TagName, S>(name, "visible tag")?;
        let tag = Tag::decode::<S::Error>(value)?;
        if !is_current(store, registry, repository, &name, &tag, cover)? {
            return Ok(None);
        }
        if sweeping {
            // A deleted manifest's tags are not all hidden yet, so each one is looked at.
            let manifest = hold::manifest(store, registry, repository, tag.digest, cover)?;
            if !manifest.is_some_and(|manifest| manifest.shows(tag.version)) {
                return Ok(None);
            }
        }
        let target = Target::Tag(name);
        let is_listed = allowed(store, registry, repository, &cell, &target)?.list;
        match target {
            Target::Tag(name) if is_listed => Ok(Some(name)),
            _ => Ok(None),
        }
    })
}

/// The repositories of a registry that hold a manifest which is exposed, but for those that are not to be in
/// lists.
pub fn repositories<S: Read>(
    store: &S,
    registry: RegistryId,
    after: Option<&RepositoryName>,
    limit: usize,
) -> Result<Listed<RepositoryName>, S> {
    let prefix = key::repositories(registry);
    let after = after.map(RepositoryName::as_str);
    page(store, &prefix, after, limit, |name, value| {
        let row = Repository::decode::<S::Error>(value)?;
        if row.manifests == 0 {
            return Ok(None);
        }
        let name = parse::<RepositoryName, S>(name, "repository")?;
        let cell = hold::cell(store, registry, &name)?;
        let is_listed = cell.in_force().list && holds_any(store, registry, &name, &cell)?;
        Ok(is_listed.then_some(name))
    })
}

/// The referrers of a manifest, and their digests; `wanted` sees the digest, the artifact type and the
/// length of a descriptor and says whether it belongs to the list, and whether the list goes on. What
/// nothing needs any more is not in the list, though it is not taken out of it yet.
pub fn referrers<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    subject: Digest,
    after: Option<Digest>,
    mut wanted: impl FnMut(Digest, Option<&str>, usize) -> ControlFlow<(), bool>,
) -> Result<Listed<(Digest, String)>, S> {
    let prefix = key::referrers(registry, repository).digest(subject);
    let mut begin = prefix.clone();
    if let Some(after) = after {
        begin = begin.digest(after);
    }
    let end = end_of(&prefix);
    let mut listed = Listed {
        items: Vec::new(),
        more: false,
    };
    let mut damage = None;
    let cell = hold::cell(store, registry, repository)?;
    let unneeded = key::unneeded(registry, repository);
    let has_unneeded = cell.cover().is_some() || !suffixes(store, &unneeded, &[], 1)?.is_empty();
    let range = (Bound::Excluded(&*begin), Bound::Excluded(end.as_slice()));
    let visit = &mut |key: &[u8], value: &[u8]| {
        let digest = key::take_digest(&key[prefix.len()..]);
        let row = Referrer::decode::<S::Error>(value);
        let (Some((digest, _)), Ok(row)) = (digest, row) else {
            damage = Some(CatalogError::Damaged("referrer"));
            return ControlFlow::Break(());
        };
        if has_unneeded {
            match is_present(store, registry, repository, digest, &cell) {
                Ok(true) => {}
                Ok(false) => return ControlFlow::Continue(()),
                Err(error) => {
                    damage = Some(error);
                    return ControlFlow::Break(());
                }
            }
        }
        let target = Target::Manifest(digest);
        match allowed(store, registry, repository, &cell, &target) {
            Ok(may) if may.list => {}
            Ok(_) => return ControlFlow::Continue(()),
            Err(error) => {
                damage = Some(error);
                return ControlFlow::Break(());
            }
        }
        match wanted(digest, row.artifact_type.as_deref(), row.descriptor.len()) {
            ControlFlow::Continue(true) => listed.items.push((digest, row.descriptor)),
            ControlFlow::Continue(false) => {}
            ControlFlow::Break(()) => {
                listed.more = true;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    };
    store.scan(range, visit).map_err(CatalogError::Store)?;
    damage.map_or(Ok(listed), Err)
}

/// Whether a manifest that is exposed is present still.
fn is_present<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    cell: &RepositoryCell,
) -> Result<bool, S> {
    let cover = cell.cover();
    let row = hold::manifest(store, registry, repository, digest, cover)?;
    let row = row.ok_or(CatalogError::Damaged("referrer"))?;
    hold::is_present(store, registry, repository, digest, &row, cover)
}

fn page<S: Read, T>(
    store: &S,
    prefix: &[u8],
    after: Option<&str>,
    limit: usize,
    mut item: impl FnMut(&[u8], &[u8]) -> Result<Option<T>, S>,
) -> Result<Listed<T>, S> {
    let begin = [prefix, after.unwrap_or("").as_bytes()].concat();
    let end = end_of(prefix);
    let mut listed = Listed {
        items: Vec::new(),
        more: false,
    };
    let mut failed = None;
    let range = (
        Bound::Excluded(begin.as_slice()),
        Bound::Excluded(end.as_slice()),
    );
    let visit = &mut |key: &[u8], value: &[u8]| match item(&key[prefix.len()..], value) {
        Ok(None) => ControlFlow::Continue(()),
        Ok(Some(_)) if listed.items.len() == limit => {
            listed.more = true;
            ControlFlow::Break(())
        }
        Ok(Some(item)) => {
            listed.items.push(item);
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    };
    store.scan(range, visit).map_err(CatalogError::Store)?;
    failed.map_or(Ok(listed), Err)
}

fn parse<T: std::str::FromStr, S: Read>(name: &[u8], what: &'static str) -> Result<T, S> {
    key::parse(name).ok_or(CatalogError::Damaged(what))
}
