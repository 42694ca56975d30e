//! A copy of what is the same in all regions, for one that joins.
//!
//! Where it ends, events go on: whoever reads it has noted the cursors and the ends of the streams
//! before, in the same state or an older one. What a newer state has besides comes as events once more,
//! and changes nothing. Bytes are not part of it; the joining region wants them when it has merged the
//! cells.

use meridian_event::webhook::WebhookName;
use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, RegistryName, RepositoryName, Tag as TagName};

use super::Result;
use super::replication::manifest_cell;
use super::repository::rights;
use crate::access::{exists, read, suffixes};
use crate::hold;
use crate::key;
use crate::row::{Claim, Rights, TagCell, WebhookCell};
use crate::{CatalogError, Found, FoundTag, Read};

/// Every registry of which is known with what name it was created.
pub fn copied_registries<S: Read>(store: &S) -> Result<Vec<Found>, S> {
    let damaged = || CatalogError::Damaged("name of a registry");
    let mut found = Vec::new();
    for suffix in suffixes(store, key::REGISTRY_NAMES, &[], usize::MAX)? {
        let name: RegistryName = key::parse(&suffix).ok_or_else(damaged)?;
        let id = read::<RegistryId, S>(store, &key::registry_name(name.as_str()))?;
        let id = id.ok_or_else(damaged)?;
        // Who bears a name that it was not created with is among the claims.
        if !exists(store, &key::claim(id))? {
            found.push(Found::Registry { id, name });
        }
    }
    for suffix in suffixes(store, key::CLAIMS, &[], usize::MAX)? {
        let (id, _) = key::take_registry(&suffix).ok_or_else(damaged)?;
        let Claim { name } = read(store, &key::claim(id))?.ok_or_else(damaged)?;
        found.push(Found::Registry { id, name });
    }
    Ok(found)
}

/// Cells of manifests, tombstones too: at most `limit`, from after one of them on.
pub fn copied_manifests<S: Read>(
    store: &S,
    after: Option<(RegistryId, &RepositoryName, Digest)>,
    limit: usize,
) -> Result<Vec<Found>, S> {
    let damaged = || CatalogError::Damaged("manifest");
    let begin = after.map_or_else(Vec::new, |(registry, repository, digest)| {
        suffix_of(&key::manifests(registry, repository).digest(digest))
    });
    let mut found = Vec::new();
    for suffix in suffixes(store, key::MANIFESTS, &begin, limit)? {
        let (registry, repository, rest) = place(&suffix).ok_or_else(damaged)?;
        let (digest, _) = key::take_digest(rest).ok_or_else(damaged)?;
        let cell = manifest_cell(store, registry, &repository, digest)?;
        found.push(Found::Manifest {
            registry,
            repository,
            cell: Box::new(cell.ok_or_else(damaged)?),
        });
    }
    Ok(found)
}

/// Winners of tags, tombstones too: at most `limit`, from after one of them on.
pub fn copied_tags<S: Read>(
    store: &S,
    after: Option<(RegistryId, &RepositoryName, &TagName)>,
    limit: usize,
) -> Result<Vec<Found>, S> {
    let damaged = || CatalogError::Damaged("tag cell");
    let begin = after.map_or_else(Vec::new, |(registry, repository, name)| {
        suffix_of(&key::tag_cell(registry, repository, name))
    });
    let mut found = Vec::new();
    for suffix in suffixes(store, key::TAG_CELLS, &begin, limit)? {
        let (registry, repository, rest) = place(&suffix).ok_or_else(damaged)?;
        let name = key::parse(rest).ok_or_else(damaged)?;
        let cell = read(store, &key::tag_cell(registry, &repository, &name))?;
        let TagCell { version, digest } = cell.ok_or_else(damaged)?;
        let tag = FoundTag {
            name,
            version,
            digest,
        };
        found.push(Found::Tag {
            registry,
            repository,
            tag,
        });
    }
    Ok(found)
}

/// Deletions and attributes of repositories: at most `limit` repositories, from after one of them on. Each ends
/// with its attributes, though it have none, so that the next page knows where to begin.
pub fn copied_repositories<S: Read>(
    store: &S,
    after: Option<(RegistryId, &RepositoryName)>,
    limit: usize,
) -> Result<Vec<Found>, S> {
    let damaged = || CatalogError::Damaged("repository cell");
    let begin = after.map_or_else(Vec::new, |(registry, repository)| {
        suffix_of(&key::repository_cell(registry, repository))
    });
    let mut found = Vec::new();
    for suffix in suffixes(store, key::REPOSITORY_CELLS, &begin, limit)? {
        let (registry, rest) = key::take_registry(&suffix).ok_or_else(damaged)?;
        let repository: RepositoryName = key::parse(rest).ok_or_else(damaged)?;
        found.extend(repository_found(store, registry, &repository)?);
    }
    Ok(found)
}

/// What names stand for among webhooks: at most `limit`, from after one of them on.
pub fn copied_webhooks<S: Read>(
    store: &S,
    after: Option<(RegistryId, &WebhookName)>,
    limit: usize,
) -> Result<Vec<Found>, S> {
    let damaged = || CatalogError::Damaged("webhook cell");
    let begin = after.map_or_else(Vec::new, |(registry, name)| {
        suffix_of(&key::webhook(registry, name))
    });
    let mut found = Vec::new();
    for suffix in suffixes(store, key::WEBHOOKS, &begin, limit)? {
        let (registry, rest) = key::take_registry(&suffix).ok_or_else(damaged)?;
        let name: WebhookName = key::parse(rest).ok_or_else(damaged)?;
        let cell = read::<WebhookCell, S>(store, &key::webhook(registry, &name))?;
        let cell = cell.ok_or_else(damaged)?;
        found.push(Found::Webhook {
            registry,
            name,
            version: cell.version,
            registration: cell.registration.map(Box::new),
        });
    }
    Ok(found)
}

/// When a repository was last deleted, if it was, and its attributes.
pub fn repository_found<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
) -> Result<Vec<Found>, S> {
    let cell = hold::cell(store, registry, repository)?;
    let deletion = cell.del.map(|del| Found::Repository {
        registry,
        repository: repository.clone(),
        del,
    });
    let attributes = Found::Attributes {
        registry,
        repository: repository.clone(),
        target: Target::Repository,
        settings: cell.rights.settings,
    };
    Ok(deletion.into_iter().chain([attributes]).collect())
}

/// The attributes of something that are in force, if any was set.
pub fn attributes_found<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    target: &Target,
) -> Result<Option<Found>, S> {
    let cell = hold::cell(store, registry, repository)?;
    let rights = rights(store, registry, repository, &cell, target)?.since(cell.del);
    Ok((!rights.is_empty()).then(|| Found::Attributes {
        registry,
        repository: repository.clone(),
        target: target.clone(),
        settings: rights.settings,
    }))
}

/// Attributes of tags: at most `limit`, from after one of them on.
pub fn copied_tag_attributes<S: Read>(
    store: &S,
    after: Option<(RegistryId, &RepositoryName, &TagName)>,
    limit: usize,
) -> Result<Vec<Found>, S> {
    let begin = after.map_or_else(Vec::new, |(registry, repository, name)| {
        suffix_of(&key::tag_attributes(registry, repository).text(name.as_str()))
    });
    copied_attributes(store, key::TAG_ATTRIBUTES, &begin, limit, |rest| {
        key::parse(rest).map(Target::Tag)
    })
}

/// Attributes of manifests: at most `limit`, from after one of them on.
pub fn copied_manifest_attributes<S: Read>(
    store: &S,
    after: Option<(RegistryId, &RepositoryName, Digest)>,
    limit: usize,
) -> Result<Vec<Found>, S> {
    let begin = after.map_or_else(Vec::new, |(registry, repository, digest)| {
        suffix_of(&key::manifest_attributes(registry, repository).digest(digest))
    });
    copied_attributes(store, key::MANIFEST_ATTRIBUTES, &begin, limit, |rest| {
        key::take_digest(rest).map(|(digest, _)| Target::Manifest(digest))
    })
}

fn copied_attributes<S: Read>(
    store: &S,
    prefix: &[u8],
    begin: &[u8],
    limit: usize,
    target: impl Fn(&[u8]) -> Option<Target>,
) -> Result<Vec<Found>, S> {
    let damaged = || CatalogError::Damaged("attributes");
    let mut found = Vec::new();
    for suffix in suffixes(store, prefix, begin, limit)? {
        let (registry, repository, rest) = place(&suffix).ok_or_else(damaged)?;
        let target = target(rest).ok_or_else(damaged)?;
        let rights = read::<Rights, S>(store, &[prefix, &suffix].concat())?;
        found.push(Found::Attributes {
            registry,
            repository,
            target,
            settings: rights.ok_or_else(damaged)?.settings,
        });
    }
    Ok(found)
}

/// What stands behind the byte for the kind of a row.
fn suffix_of(key: &[u8]) -> Vec<u8> {
    key[1..].to_vec()
}

fn place(suffix: &[u8]) -> Option<(RegistryId, RepositoryName, &[u8])> {
    let (registry, rest) = key::take_registry(suffix)?;
    let (repository, rest) = key::take_repository(rest)?;
    Some((registry, repository, rest))
}
