//! Repositories, tags and manifests with their attributes; and repositories that are deleted.

use bytes::Bytes;
use meridian_catalog::{Command, query};
use meridian_clients::{
    DeleteRepository, Described, ReadError, RepositoryDeleted, RepositoryPath, WriteError,
};
use meridian_event::{RegistryId, Target};
use meridian_oci::RepositoryName;

use crate::changes::View;
use crate::group::Group;
use crate::read::{absent, failed, registry_in};
use crate::write;

pub(crate) async fn describe(
    group: &Group,
    repository: &RepositoryPath,
    target: &Target,
) -> Result<Described, ReadError> {
    let view = group.read().await?;
    let registry = registry_in(&view, &repository.registry)?;
    let unknown = || absent(&view, registry, repository, ReadError::unknown(target));
    look_at(&view, registry, &repository.name, target)?.ok_or_else(unknown)
}

/// Describes something as it stands in a view, if it is there or has attributes.
pub(crate) fn look_at(
    view: &View,
    registry: RegistryId,
    name: &RepositoryName,
    target: &Target,
) -> Result<Option<Described>, ReadError> {
    let found = query::describe(view, registry, name, target).map_err(failed)?;
    let Some(found) = found else {
        return Ok(None);
    };
    let mut described = Described {
        is_there: found.is_there,
        attributes: found.attributes,
        created: found.created,
        updated: found.updated,
        manifests: found.manifests,
        tags: found.tags,
        digest: None,
        names: found.names,
        media_type: None,
        bytes: Bytes::new(),
    };
    let Some(reference) = target.reference() else {
        return Ok(Some(described));
    };
    let manifest = query::manifest(view, registry, name, &reference, Bytes::copy_from_slice);
    if let Some((stat, bytes)) = manifest.map_err(failed)? {
        described.digest = Some(stat.digest);
        if let Target::Manifest(_) = target {
            described.media_type = Some(stat.media_type);
            described.bytes = bytes;
        }
    }
    Ok(Some(described))
}

/// Deletes a repository. What it held is read before, so that the entry need not carry it: what comes
/// in between is deleted as well, and not named.
pub(crate) async fn delete(
    group: &Group,
    request: DeleteRepository,
) -> Result<RepositoryDeleted, WriteError> {
    let RepositoryPath { registry, name } = request.repository;
    let (manifests, tags) = {
        let view = group.read().await?;
        let id = registry_in(&view, &registry)?;
        query::contents(&view, id, &name, RepositoryDeleted::NAMED).map_err(failed)?
    };
    let command = Command::DeleteRepository {
        registry,
        repository: name,
    };
    let id = write::request(request.request);
    let version = write::done(group.propose(Some(id), command).await?)?;
    Ok(RepositoryDeleted {
        version,
        manifests,
        tags,
    })
}
