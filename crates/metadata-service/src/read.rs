//! Reads: the barrier, then a query.

use bytes::Bytes;
use meridian_catalog::{self as catalog, CatalogError, query};
use meridian_clients::{
    BlobLocation, BlobRecord, Doomed, Drained, Due, Encoding, ManifestStat, Page, PageRequest,
    ReadError, Referrers, RepositoryPath, Stale, StorageKey, StoredManifest, Usage,
};
use meridian_event::RegistryId;
use meridian_oci::{Digest, Reference, RegistryName, RepositoryName, Tag};
use std::ops::ControlFlow;

use crate::changes::View;
use crate::group::Group;

/// So many bytes of descriptors are looked through for one page of referrers.
const SCAN_BYTES: usize = 8 << 20;

type Result<T> = std::result::Result<T, ReadError>;

pub(crate) fn failed<E: std::error::Error + 'static>(error: CatalogError<E>) -> ReadError {
    ReadError::Internal {
        reason: meridian_error::chain(&error),
    }
}

pub(crate) fn registry_in(view: &View, name: &RegistryName) -> Result<RegistryId> {
    let registry = query::registry(view, name).map_err(failed)?;
    registry.ok_or(ReadError::RegistryUnknown)
}

/// What to say when something is not in a repository: perhaps there is no such repository.
pub(crate) fn absent(
    view: &View,
    registry: RegistryId,
    repository: &RepositoryPath,
    unknown: ReadError,
) -> ReadError {
    match query::is_repository(view, registry, &repository.name) {
        Ok(true) => unknown,
        Ok(false) => ReadError::RepositoryUnknown,
        Err(error) => failed(error),
    }
}

/// Looks for what is named by its content. Without a quorum it is answered from a state that may be
/// old; what that state does not have may be there all the same, and is waited for.
async fn find_content<T>(
    group: &Group,
    find: impl Fn(&View) -> Result<T>,
) -> Result<(T, Option<Stale>)> {
    let (view, stale) = group.read_content().await?;
    match find(&view) {
        Err(_) if stale.is_some() => Ok((find(&group.read().await?)?, None)),
        found => Ok((found?, stale)),
    }
}

/// Looks for what a reference names.
async fn find_named<T>(
    group: &Group,
    reference: &Reference,
    find: impl Fn(&View) -> Result<T>,
) -> Result<(T, Option<Stale>)> {
    match reference {
        Reference::Digest(_) => find_content(group, find).await,
        Reference::Tag(_) => Ok((find(&group.read().await?)?, None)),
    }
}

fn stat(view: query::ManifestView, stale: Option<Stale>) -> ManifestStat {
    ManifestStat {
        stale,
        digest: view.digest,
        media_type: view.media_type,
        size: view.size,
        version: view.version,
        is_overtaken: view.is_overtaken,
    }
}

/// What must not be pulled is not: neither its bytes nor what they are.
const fn readable(view: &query::ManifestView) -> Result<()> {
    match view.is_readable {
        true => Ok(()),
        false => Err(ReadError::Locked),
    }
}

pub(crate) async fn manifest(
    group: &Group,
    repository: &RepositoryPath,
    reference: &Reference,
) -> Result<StoredManifest> {
    let name = &repository.name;
    let found = find_named(group, reference, |view| {
        let registry = registry_in(view, &repository.registry)?;
        let found = query::manifest(view, registry, name, reference, Bytes::copy_from_slice);
        let unknown = || absent(view, registry, repository, ReadError::ManifestUnknown);
        let found = found.map_err(failed)?.ok_or_else(unknown)?;
        readable(&found.0)?;
        Ok(found)
    });
    let ((found, bytes), stale) = found.await?;
    Ok(StoredManifest {
        stat: stat(found, stale),
        bytes,
    })
}

pub(crate) async fn manifest_stat(
    group: &Group,
    repository: &RepositoryPath,
    reference: &Reference,
) -> Result<ManifestStat> {
    let found = find_named(group, reference, |view| {
        let registry = registry_in(view, &repository.registry)?;
        let found = query::manifest_stat(view, registry, &repository.name, reference);
        let unknown = || absent(view, registry, repository, ReadError::ManifestUnknown);
        let found = found.map_err(failed)?.ok_or_else(unknown)?;
        readable(&found)?;
        Ok(found)
    });
    let (found, stale) = found.await?;
    Ok(stat(found, stale))
}

pub(crate) async fn tags(
    group: &Group,
    repository: &RepositoryPath,
    page: PageRequest<Tag>,
) -> Result<Page<Tag>> {
    let view = group.read().await?;
    let registry = registry_in(&view, &repository.registry)?;
    if !query::is_repository(&view, registry, &repository.name).map_err(failed)? {
        return Err(ReadError::RepositoryUnknown);
    }
    let PageRequest { after, limit } = page;
    let listed = query::tags(&view, registry, &repository.name, after.as_ref(), limit);
    let listed = listed.map_err(failed)?;
    Ok(Page {
        items: listed.items,
        more: listed.more,
    })
}

pub(crate) async fn repositories(
    group: &Group,
    registry: &RegistryName,
    page: PageRequest<RepositoryName>,
) -> Result<Page<RepositoryName>> {
    let view = group.read().await?;
    let registry = registry_in(&view, registry)?;
    let PageRequest { after, limit } = page;
    let listed = query::repositories(&view, registry, after.as_ref(), limit).map_err(failed)?;
    Ok(Page {
        items: listed.items,
        more: listed.more,
    })
}

pub(crate) async fn referrers(
    group: &Group,
    repository: &RepositoryPath,
    subject: Digest,
    artifact_types: &[String],
    after: Option<Digest>,
    max_bytes: usize,
) -> Result<Referrers> {
    let view = group.read().await?;
    let registry = registry_in(&view, &repository.registry)?;
    let (mut bytes, mut count) = (0, 0);
    let (mut scanned, mut last) = (0, None);
    let wanted = |digest: Digest, artifact_type: Option<&str>, length: usize| {
        // What is not wanted costs as well: a page may be short, or empty, and the next one goes on.
        if scanned >= SCAN_BYTES {
            return ControlFlow::Break(());
        }
        scanned += length;
        let is_wanted = artifact_types.is_empty()
            || artifact_type.is_some_and(|is| artifact_types.iter().any(|want| want == is));
        if !is_wanted {
            last = Some(digest);
            return ControlFlow::Continue(false);
        }
        if count > 0 && bytes + length > max_bytes {
            return ControlFlow::Break(());
        }
        count += 1;
        bytes += length;
        last = Some(digest);
        ControlFlow::Continue(true)
    };
    let listed = query::referrers(&view, registry, &repository.name, subject, after, wanted);
    let listed = listed.map_err(failed)?;
    Ok(Referrers {
        next: last.filter(|_| listed.more),
        descriptors: listed.items.into_iter().map(|item| item.1).collect(),
    })
}

pub(crate) async fn blob(
    group: &Group,
    repository: &RepositoryPath,
    digest: Digest,
) -> Result<BlobRecord> {
    let found = find_content(group, |view| {
        let registry = registry_in(view, &repository.registry)?;
        let found = query::blob(view, registry, &repository.name, digest, group.now());
        let unknown = || absent(view, registry, repository, ReadError::BlobUnknown);
        let found = found.map_err(failed)?.ok_or_else(unknown)?;
        Ok((registry, found))
    });
    let ((registry, found), stale) = found.await?;
    Ok(BlobRecord {
        size: found.size,
        encoding: match found.encoding {
            catalog::Encoding::Plain => Encoding::Plain,
        },
        location: match found.place {
            catalog::BlobPlace::Inline(bytes) => BlobLocation::Inline(bytes.into()),
            catalog::BlobPlace::Stored(object) => BlobLocation::Stored(StorageKey {
                registry,
                epoch: object.epoch,
                generation: object.generation,
            }),
        },
        wants_touch: found.wants_touch,
        is_readable: found.is_readable,
        stale,
    })
}

pub(crate) async fn registry(group: &Group, name: &RegistryName) -> Result<RegistryId> {
    let view = group.read().await?;
    registry_in(&view, name)
}

pub(crate) async fn due(group: &Group, limit: usize) -> Result<Vec<Due>> {
    let view = group.read().await?;
    let due = query::due(&view, group.now(), limit).map_err(failed)?;
    let due = due.into_iter().map(|due| Due {
        registry: due.registry,
        digest: due.digest,
        size: due.size,
        condemned: due.condemned,
        held: due.held,
    });
    Ok(due.collect())
}

pub(crate) async fn doomed(group: &Group, limit: usize) -> Result<Vec<Doomed>> {
    let view = group.read().await?;
    let doomed = query::doomed(&view, limit).map_err(failed)?;
    let doomed = doomed.into_iter().map(|(registry, object)| Doomed {
        key: StorageKey {
            registry,
            epoch: object.epoch,
            generation: object.generation,
        },
    });
    Ok(doomed.collect())
}

pub(crate) async fn known(group: &Group, keys: &[StorageKey]) -> Result<Vec<bool>> {
    let view = group.read().await?;
    let known = keys.iter().map(|key| {
        let object = catalog::ObjectKey {
            epoch: key.epoch,
            generation: key.generation,
        };
        query::is_known(&view, object).map_err(failed)
    });
    known.collect()
}

pub(crate) async fn drained(group: &Group) -> Result<Option<Drained>> {
    let view = group.read().await?;
    let drained = query::drained(&view).map_err(failed)?;
    Ok(drained.map(|drained| Drained {
        millis: drained.millis,
        reason: drained.reason,
    }))
}

pub(crate) async fn usage(group: &Group, name: &RegistryName) -> Result<Usage> {
    let view = group.read().await?;
    let registry = registry_in(&view, name)?;
    let usage = query::usage(&view, registry).map_err(failed)?;
    Ok(Usage {
        repositories: usage.repositories,
        manifests: usage.manifests,
        tags: usage.tags,
        blobs: usage.blobs,
        blob_bytes: usage.blob_bytes,
        manifest_bytes: usage.manifest_bytes,
    })
}
