//! What a region knows of something.

use bytes::Bytes;
use meridian_event::{Attributes, Leaf, RegistryId, Setting, Target};
use meridian_oci::{Digest, MediaType, Reference, RepositoryName};
use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::{DecodeError, digest, leaf, registry, required, text, version};
use pb::found::Found as Wire;
use pb::found_attributes::Target as Of;

use crate::grpc::convert::{Result, reference};
use crate::replica::{Found, FoundManifest, FoundTag};

type Wanted = (RegistryId, RepositoryName, Reference);

/// A question for a tag or a manifest.
#[must_use]
pub fn find_request(
    registry: RegistryId,
    repository: &RepositoryName,
    reference: &Reference,
) -> pb::FindRequest {
    pb::FindRequest {
        registry: Some(registry.into()),
        repository: repository.to_string(),
        reference: reference.to_string(),
    }
}

/// What is looked for.
///
/// # Errors
///
/// When a part of it is missing, or is none.
pub fn take_find_request(value: pb::FindRequest) -> Result<Wanted> {
    Ok((
        registry(value.registry, "registry")?,
        text(&value.repository, "repository")?,
        reference(&value.reference)?,
    ))
}

/// All that was found.
#[must_use]
pub fn found(found: Vec<Found>) -> Vec<pb::Found> {
    found.into_iter().map(Into::into).collect()
}

/// All that was found.
///
/// # Errors
///
/// When one item of it means nothing.
pub fn take_found(value: Vec<pb::Found>) -> Result<Vec<Found>> {
    value.into_iter().map(TryInto::try_into).collect()
}

impl From<Found> for pb::Found {
    fn from(found: Found) -> Self {
        let found = match found {
            Found::Registry { id, name } => Wire::Registry(pb::FoundRegistry {
                id: Some(id.into()),
                name: name.to_string(),
            }),
            Found::Manifest {
                registry,
                repository,
                manifest,
            } => Wire::Manifest(wire_manifest(registry, repository, manifest)),
            Found::Tag {
                registry,
                repository,
                tag,
            } => Wire::Tag(pb::FoundTag {
                registry: Some(registry.into()),
                repository: repository.into(),
                tag: tag.name.into(),
                version: Some(tag.version.into()),
                digest: tag.digest.map(Into::into),
            }),
            Found::Repository {
                registry,
                repository,
                del,
            } => Wire::Repository(pb::FoundRepository {
                registry: Some(registry.into()),
                repository: repository.into(),
                del: Some(del.into()),
            }),
            Found::Attributes {
                registry,
                repository,
                target,
                settings,
            } => Wire::Attributes(wire_attributes(registry, repository, target, settings)),
            Found::Webhook {
                registry,
                name,
                version,
                registration,
            } => Wire::Webhook(pb::FoundWebhook {
                registry: Some(registry.into()),
                name: name.into(),
                version: Some(version.into()),
                registration: registration.as_deref().map(Into::into),
            }),
        };
        Self { found: Some(found) }
    }
}

impl TryFrom<pb::Found> for Found {
    type Error = DecodeError;

    fn try_from(value: pb::Found) -> Result<Self> {
        Ok(match required(value.found, "found")? {
            Wire::Registry(it) => Self::Registry {
                id: registry(it.id, "found.id")?,
                name: text(&it.name, "found.name")?,
            },
            Wire::Manifest(it) => Self::Manifest {
                registry: registry(it.registry.clone(), "found.registry")?,
                repository: text(&it.repository, "found.repository")?,
                manifest: take_manifest(it)?,
            },
            Wire::Tag(it) => Self::Tag {
                registry: registry(it.registry.clone(), "found.registry")?,
                repository: text(&it.repository, "found.repository")?,
                tag: take_tag(it)?,
            },
            Wire::Repository(it) => Self::Repository {
                registry: registry(it.registry, "found.registry")?,
                repository: text(&it.repository, "found.repository")?,
                del: version(it.del, "found.del")?,
            },
            Wire::Attributes(it) => {
                let settings = Attributes {
                    delete: setting(it.delete_enabled)?,
                    write: setting(it.write_enabled)?,
                    read: setting(it.read_enabled)?,
                    list: setting(it.list_enabled)?,
                };
                Self::Attributes {
                    registry: registry(it.registry, "found.registry")?,
                    repository: text(&it.repository, "found.repository")?,
                    target: take_target(it.target)?,
                    settings,
                }
            }
            Wire::Webhook(it) => Self::Webhook {
                registry: registry(it.registry, "found.registry")?,
                name: text(&it.name, "found.name")?,
                version: version(it.version, "found.version")?,
                registration: match it.registration {
                    Some(it) => Some(Box::new(it.try_into()?)),
                    None => None,
                },
            },
        })
    }
}

/// What attributes are of.
pub(super) fn take_target(value: Option<Of>) -> Result<Target> {
    Ok(match value {
        None => Target::Repository,
        Some(Of::Tag(tag)) => Target::Tag(text(&tag, "found.tag")?),
        Some(Of::Manifest(it)) => Target::Manifest(digest(Some(it), "found.manifest")?),
    })
}

fn setting(value: Option<pb::Setting>) -> Result<Option<Setting>> {
    let setting = |it: pb::Setting| {
        Ok(Setting {
            version: version(it.version, "found.setting")?,
            is_enabled: it.enabled,
        })
    };
    value.map(setting).transpose()
}

/// Attributes of something.
pub(super) fn wire_attributes(
    registry: RegistryId,
    repository: RepositoryName,
    target: Target,
    settings: Attributes<Option<Setting>>,
) -> pb::FoundAttributes {
    let set = settings.map(|setting| {
        setting.map(|it| pb::Setting {
            version: Some(it.version.into()),
            enabled: it.is_enabled,
        })
    });
    pb::FoundAttributes {
        registry: Some(registry.into()),
        repository: repository.into(),
        target: match target {
            Target::Repository => None,
            Target::Tag(tag) => Some(Of::Tag(tag.into())),
            Target::Manifest(digest) => Some(Of::Manifest(digest.into())),
        },
        delete_enabled: set.delete,
        write_enabled: set.write,
        read_enabled: set.read,
        list_enabled: set.list,
    }
}

fn wire_manifest(
    registry: RegistryId,
    repository: RepositoryName,
    manifest: FoundManifest,
) -> pb::FoundManifest {
    let (put, media_type) = manifest.put.unzip();
    pb::FoundManifest {
        registry: Some(registry.into()),
        repository: repository.into(),
        leaf: Some(manifest.leaf.into()),
        add: manifest.add.map(Into::into),
        del: manifest.del.map(Into::into),
        put: put.map(Into::into),
        media_type: media_type
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        content: manifest.bytes,
    }
}

fn take_manifest(value: pb::FoundManifest) -> Result<FoundManifest> {
    let stamp = |value: Option<_>, field| value.map(|it| version(Some(it), field)).transpose();
    let leaf = leaf(value.leaf, "found.leaf")?;
    Ok(FoundManifest {
        leaf,
        add: stamp(value.add, "found.add")?,
        del: stamp(value.del, "found.del")?,
        put: match stamp(value.put, "found.put")? {
            Some(put) => Some((
                put,
                text::<MediaType>(&value.media_type, "found.media_type")?,
            )),
            None => None,
        },
        bytes: value
            .content
            .map(|bytes| content(leaf, bytes))
            .transpose()?,
    })
}

/// Bytes that are hashed again, because another region sent them.
fn content(leaf: Leaf, bytes: Bytes) -> Result<Bytes> {
    let is_it = bytes.len() as u64 == leaf.size
        && Digest::of(leaf.digest.algorithm(), &bytes) == leaf.digest;
    is_it
        .then_some(bytes)
        .ok_or(DecodeError::Invalid("found.content"))
}

fn take_tag(value: pb::FoundTag) -> Result<FoundTag> {
    let target = value.digest.map(|it| digest(Some(it), "found.digest"));
    Ok(FoundTag {
        name: text(&value.tag, "found.tag")?,
        version: version(value.version, "found.version")?,
        digest: target.transpose()?,
    })
}
