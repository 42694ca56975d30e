//! What is known of a tag or a manifest, told to other regions and merged from them.

use bytes::Bytes;
use meridian_catalog::{self as catalog, Command, ManifestBody, query};
use meridian_clients::replica::{Found, FoundManifest, FoundTag};
use meridian_clients::{ReadError, WriteError};
use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, Reference, RepositoryName};

use super::keep::{self, Arrivals};
use super::{PART_BYTES, body};
use crate::changes::View;
use crate::group::Group;
use crate::read::failed;
use crate::write;

type Result<T> = std::result::Result<T, ReadError>;

pub(super) async fn find(
    group: &Group,
    registry: RegistryId,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Vec<Found>> {
    let view = group.read().await?;
    let name = match reference {
        Reference::Digest(digest) => {
            let manifest = manifest(&view, registry, repository, *digest)?;
            let targets = [Target::Repository, Target::Manifest(*digest)];
            let attributes = attributes(&view, registry, repository, &targets)?;
            return Ok(manifest.into_iter().chain(attributes).collect());
        }
        Reference::Tag(name) => name,
    };
    let winner = query::tag_winner(&view, registry, repository, name).map_err(failed)?;
    let digest = winner.as_ref().and_then(|winner| winner.digest);
    let manifest = match digest {
        Some(digest) => manifest(&view, registry, repository, digest)?,
        None => None,
    };
    let tag = winner.map(|winner| Found::Tag {
        registry,
        repository: repository.clone(),
        tag: FoundTag {
            name: name.clone(),
            version: winner.version,
            digest: winner.digest,
        },
    });
    // What is not there may be locked all the same.
    let mut targets = vec![Target::Repository, Target::Tag(name.clone())];
    targets.extend(digest.map(Target::Manifest));
    let attributes = attributes(&view, registry, repository, &targets)?;
    let found = manifest.into_iter().chain(tag).chain(attributes);
    Ok(found.collect())
}

/// The attributes that are in force, where any was set.
fn attributes(
    view: &View,
    registry: RegistryId,
    repository: &RepositoryName,
    targets: &[Target],
) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for target in targets {
        let set = query::attributes_found(view, registry, repository, target).map_err(failed)?;
        found.extend(set.map(tell));
    }
    Ok(found)
}

/// What is known of a manifest, and its bytes if they are here.
fn manifest(
    view: &View,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<Option<Found>> {
    let cell = query::manifest_cell(view, registry, repository, digest).map_err(failed)?;
    let Some(cell) = cell else {
        return Ok(None);
    };
    let bytes = query::body(view, registry, repository, digest, Bytes::copy_from_slice);
    let manifest = FoundManifest {
        bytes: bytes.map_err(failed)?,
        ..told(cell)
    };
    Ok(Some(Found::Manifest {
        registry,
        repository: repository.clone(),
        manifest,
    }))
}

/// A manifest's cell, as it is told; without its bytes.
fn told(cell: catalog::FoundManifest) -> FoundManifest {
    FoundManifest {
        leaf: cell.manifest,
        add: cell.add,
        del: cell.del,
        put: cell.put.map(|put| (put.version, put.media_type)),
        bytes: None,
    }
}

/// Something that the catalog knows, as it is told.
pub(super) fn tell(found: catalog::Found) -> Found {
    match found {
        catalog::Found::Registry { id, name } => Found::Registry { id, name },
        catalog::Found::Manifest {
            registry,
            repository,
            cell,
        } => Found::Manifest {
            registry,
            repository,
            manifest: told(*cell),
        },
        catalog::Found::Tag {
            registry,
            repository,
            tag,
        } => Found::Tag {
            registry,
            repository,
            tag: FoundTag {
                name: tag.name,
                version: tag.version,
                digest: tag.digest,
            },
        },
        catalog::Found::Repository {
            registry,
            repository,
            del,
        } => Found::Repository {
            registry,
            repository,
            del,
        },
        catalog::Found::Attributes {
            registry,
            repository,
            target,
            settings,
        } => Found::Attributes {
            registry,
            repository,
            target,
            settings,
        },
        catalog::Found::Webhook {
            registry,
            name,
            version,
            registration,
        } => Found::Webhook {
            registry,
            name,
            version,
            registration,
        },
    }
}

/// Merges what another region found.
pub(super) async fn merge(group: &Group, all: Vec<Found>) -> std::result::Result<(), WriteError> {
    let mut arrivals = Arrivals::new();
    let mut all = all.into_iter().peekable();
    while all.peek().is_some() {
        let (mut part, mut bytes) = (Vec::new(), 0);
        while bytes < PART_BYTES
            && let Some(found) = all.next()
        {
            let (found, weight) = heard(found, &mut arrivals);
            part.push(found);
            bytes += weight;
        }
        write::done_or_nothing(group.propose(None, Command::MergeFound(part)).await?)?;
    }
    keep::store_all(group, &arrivals).await
}

/// Something that was told, as the catalog merges it, and about how many bytes it takes in the log.
fn heard(found: Found, arrivals: &mut Arrivals) -> (catalog::Found, usize) {
    let mut weight = 512;
    let found = match found {
        Found::Registry { id, name } => catalog::Found::Registry { id, name },
        Found::Tag {
            registry,
            repository,
            tag,
        } => catalog::Found::Tag {
            registry,
            repository,
            tag: catalog::FoundTag {
                name: tag.name,
                version: tag.version,
                digest: tag.digest,
            },
        },
        Found::Repository {
            registry,
            repository,
            del,
        } => catalog::Found::Repository {
            registry,
            repository,
            del,
        },
        Found::Webhook {
            registry,
            name,
            version,
            registration,
        } => {
            weight += registration.as_ref().map_or(0, |it| it.sealed.0.len());
            catalog::Found::Webhook {
                registry,
                name,
                version,
                registration,
            }
        }
        Found::Attributes {
            registry,
            repository,
            target,
            settings,
        } => catalog::Found::Attributes {
            registry,
            repository,
            target,
            settings,
        },
        Found::Manifest {
            registry,
            repository,
            manifest,
        } => {
            let name = (registry, manifest.leaf.digest);
            let body = read(name, &manifest, arrivals);
            weight += body.as_ref().map_or(0, body::weight);
            catalog::Found::Manifest {
                registry,
                repository,
                cell: Box::new(cell(manifest, body)),
            }
        }
    };
    (found, weight)
}

/// The bytes of a manifest that was found, if they are at hand and can be read.
fn read(
    name: (RegistryId, Digest),
    manifest: &FoundManifest,
    arrivals: &mut Arrivals,
) -> Option<ManifestBody> {
    let bytes = manifest.bytes.as_ref()?;
    let media_type = manifest.put.as_ref().map(|(_, media_type)| media_type);
    match body::read(name.1, media_type, bytes) {
        Ok(body) => {
            arrivals.insert(name, Some(bytes.clone()));
            Some(body)
        }
        Err(reason) => {
            keep::leave_out(name, &reason);
            None
        }
    }
}

fn cell(manifest: FoundManifest, body: Option<ManifestBody>) -> catalog::FoundManifest {
    let put = manifest.put.map(|(version, media_type)| catalog::FoundPut {
        version,
        media_type,
    });
    catalog::FoundManifest {
        manifest: manifest.leaf,
        add: manifest.add,
        del: manifest.del,
        put,
        body,
    }
}
