//! Repositories: whether they hold anything, what, and what may be done with what is in them.

use std::ops::{Bound, ControlFlow};

use meridian_clock::Version;
use meridian_event::{Attributes, RegistryId, Target};
use meridian_oci::{Digest, RepositoryName, Tag as TagName};

use super::Result;
use super::manifest::manifest_stat;
use super::replication::tag_winner;
use crate::access::{read, suffixes};
use crate::hold;
use crate::key::{self, end_of};
use crate::row::{Link, Manifest, Repository, RepositoryCell, Rights, Row};
use crate::{CatalogError, Read};

/// At how many manifests a view of a repository looks for the oldest and the newest.
const LOOKS: usize = 1000;

/// How many manifests that went it passes over for each that it shows at most.
const TOMBSTONES: usize = 10;

/// A repository, a tag or a manifest, beside what it points at or says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Whether this region may answer it. What is gone, and has attributes still, is described as well.
    pub is_there: bool,
    /// What is in force for it, by its own attributes.
    pub attributes: Attributes<bool>,
    /// Of a repository, the oldest of its manifests that was looked at; of anything else, its last put.
    pub created: Option<Version>,
    /// Of a repository, the newest of them; of anything else, its last put.
    pub updated: Option<Version>,
    /// Of a repository, how many manifests it holds.
    pub manifests: u64,
    /// Of a repository, how many tags it holds.
    pub tags: u64,
    /// Of a manifest, the tags that show it, as far as they are in lists.
    pub names: Vec<TagName>,
}

/// Whether a repository holds, or held until a moment ago, anything that this region may answer.
pub fn is_repository<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
) -> Result<bool, S> {
    let row = read::<Repository, S>(store, &key::repository(registry, repository))?;
    if !row.as_ref().is_some_and(Repository::is_exposed) {
        return Ok(false);
    }
    let cell = hold::cell(store, registry, repository)?;
    let Some(del) = cell.del else {
        return Ok(true);
    };
    let row = row.unwrap_or_default();
    if cell.is_swept {
        // Blobs of what was deleted have their grace, and make no repository.
        return Ok(row.manifests > 0 || row.tags > 0 || row.links > cell.ended);
    }
    if cell.has_newer || holds_any(store, registry, repository, &cell)? {
        return Ok(true);
    }
    let (mut is_any, mut left) = (false, LOOKS);
    let links = key::links(registry, repository);
    each::<Link, S>(store, &links, |_, link| {
        is_any = link.add > del;
        left -= 1;
        Ok(!is_any && left > 0)
    })?;
    Ok(is_any)
}

/// Whether a repository whose counters say that it holds manifests does: what was deleted with it and is
/// not swept is counted still. It looks at so many; until it is swept that far, what comes behind those is
/// known by what is noted of newer puts.
pub(super) fn holds_any<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    cell: &RepositoryCell,
) -> Result<bool, S> {
    if cell.cover().is_none() {
        return Ok(true);
    }
    let mut is_any = false;
    each_manifest(store, registry, repository, cell, LOOKS, |_, _| {
        is_any = true;
        false
    })?;
    Ok(is_any)
}

/// What is in force for something, by its own attributes.
pub fn attributes<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    target: &Target,
) -> Result<Attributes<bool>, S> {
    let cell = hold::cell(store, registry, repository)?;
    Ok(rights(store, registry, repository, &cell, target)?.in_force(cell.del))
}

/// What is in force for something by its own attributes and those of its repository.
pub(super) fn allowed<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    cell: &RepositoryCell,
    target: &Target,
) -> Result<Attributes<bool>, S> {
    let rights = rights(store, registry, repository, cell, target)?;
    Ok(cell.in_force().and(rights.in_force(cell.del)))
}

/// What was set of something; what is older than the deletion of the repository is void.
pub(super) fn rights<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    cell: &RepositoryCell,
    target: &Target,
) -> Result<Rights, S> {
    let key = match target {
        Target::Repository => return Ok(cell.rights),
        _ if cell.own == 0 => return Ok(Rights::default()),
        Target::Tag(tag) => key::tag_attributes(registry, repository).text(tag.as_str()),
        Target::Manifest(digest) => key::manifest_attributes(registry, repository).digest(*digest),
    };
    Ok(read(store, &key)?.unwrap_or_default())
}

/// Describes a repository, a tag or a manifest, if it is there or has attributes.
pub fn describe<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    target: &Target,
) -> Result<Option<Described>, S> {
    let cell = hold::cell(store, registry, repository)?;
    let rights = rights(store, registry, repository, &cell, target)?.since(cell.del);
    let mut described = Described {
        is_there: false,
        attributes: rights.in_force(None),
        created: None,
        updated: None,
        manifests: 0,
        tags: 0,
        names: Vec::new(),
    };
    match target {
        Target::Repository => look_at(store, registry, repository, &cell, &mut described)?,
        Target::Tag(_) => {}
        Target::Manifest(digest) => {
            described.names = names(store, registry, repository, &cell, *digest)?;
        }
    }
    if let Some(reference) = target.reference() {
        let stat = manifest_stat(store, registry, repository, &reference)?;
        described.is_there = stat.is_some();
        described.updated = stat.map(|stat| stat.version);
        described.created = described.updated;
    }
    Ok((described.is_there || !rights.is_empty()).then_some(described))
}

fn look_at<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    cell: &RepositoryCell,
    described: &mut Described,
) -> Result<(), S> {
    if !is_repository(store, registry, repository)? {
        return Ok(());
    }
    described.is_there = true;
    let mut seen = 0;
    let (mut oldest, mut newest) = (None, None);
    each_manifest(store, registry, repository, cell, LOOKS, |_, row| {
        oldest = row.add.min(oldest.or(row.add));
        newest = row.add.max(newest);
        seen += 1;
        true
    })?;
    (described.created, described.updated) = (oldest, newest);
    let row = read::<Repository, S>(store, &key::repository(registry, repository))?;
    let row = row.unwrap_or_default();
    // Its counters count what is not swept, too.
    let is_counted = cell.cover().is_none();
    described.manifests = if is_counted { row.manifests } else { seen };
    described.tags = match is_counted {
        true => row.tags,
        false => super::tags(store, registry, repository, None, LOOKS)?
            .items
            .len() as u64,
    };
    Ok(())
}

/// The tags that show a manifest, as far as they are in lists.
fn names<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    cell: &RepositoryCell,
    digest: Digest,
) -> Result<Vec<TagName>, S> {
    let mut names = Vec::new();
    let of = key::tags_of(registry, repository).digest(digest);
    for suffix in suffixes(store, &of, &[], LOOKS)? {
        let name: TagName = key::parse(&suffix).ok_or(CatalogError::Damaged("tag"))?;
        let stat = manifest_stat(store, registry, repository, &name.clone().into())?;
        let tag = Target::Tag(name.clone());
        let is_listed = allowed(store, registry, repository, cell, &tag)?.list;
        if is_listed && stat.is_some_and(|stat| stat.digest == digest) {
            names.push(name);
        }
    }
    Ok(names)
}

/// What a repository holds: at most `limit` of its manifests, and of its tags.
pub fn contents<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    limit: usize,
) -> Result<(Vec<Digest>, Vec<TagName>), S> {
    let cell = hold::cell(store, registry, repository)?;
    let mut manifests = Vec::new();
    let looks = limit.saturating_mul(TOMBSTONES);
    each_manifest(store, registry, repository, &cell, looks, |digest, _| {
        manifests.push(digest);
        manifests.len() < limit
    })?;
    let mut tags = Vec::new();
    for suffix in suffixes(store, &key::tags(registry, repository), &[], limit)? {
        let name: TagName = key::parse(&suffix).ok_or(CatalogError::Damaged("tag"))?;
        let winner = tag_winner(store, registry, repository, &name)?;
        if winner.is_some_and(|winner| winner.fate == super::Fate::Shown) {
            tags.push(name);
        }
    }
    Ok((manifests, tags))
}

pub(super) fn is_visible<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    row: &Manifest,
    cell: &RepositoryCell,
) -> Result<bool, S> {
    let cover = cell.cover();
    Ok(row.is_exposed() && hold::is_present(store, registry, repository, digest, row, cover)?)
}

/// Shows the manifests that this region may answer, until `look` has seen enough, or `looks` were looked at,
/// tombstones too.
fn each_manifest<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    cell: &RepositoryCell,
    looks: usize,
    mut look: impl FnMut(Digest, &Manifest) -> bool,
) -> Result<(), S> {
    let prefix = key::manifests(registry, repository);
    let mut left = looks;
    each::<Manifest, S>(store, &prefix, |suffix, row| {
        let digest = key::take_digest(suffix);
        let (digest, _) = digest.ok_or(CatalogError::Damaged("manifest"))?;
        let row = hold::covered(row, cell.cover());
        left = left.saturating_sub(1);
        let goes_on = match is_visible(store, registry, repository, digest, &row, cell)? {
            true => look(digest, &row),
            false => true,
        };
        Ok(goes_on && left > 0)
    })
}

/// Shows rows, until `look` has seen enough.
fn each<T: Row, S: Read>(
    store: &S,
    prefix: &[u8],
    mut look: impl FnMut(&[u8], T) -> Result<bool, S>,
) -> Result<(), S> {
    let end = end_of(prefix);
    let mut failed = None;
    let range = (Bound::Included(prefix), Bound::Excluded(end.as_slice()));
    let visit = &mut |key: &[u8], value: &[u8]| {
        let row = T::decode::<S::Error>(value);
        match row.and_then(|row| look(&key[prefix.len()..], row)) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    store.scan(range, visit).map_err(CatalogError::Store)?;
    failed.map_or(Ok(()), Err)
}
