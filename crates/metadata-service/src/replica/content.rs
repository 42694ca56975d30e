//! What is here, and what is wanted.

use meridian_catalog::query::{self, Wanted};
use meridian_clients::ReadError;
use meridian_clients::replica::{Content, ContentKind, Incomplete, Presence};
use meridian_event::RegistryId;
use meridian_oci::{Digest, RegistryName};

use crate::changes::View;
use crate::group::Group;
use crate::read::failed;

type Result<T> = std::result::Result<T, ReadError>;

pub(super) async fn look(group: &Group, contents: &[Content]) -> Result<Vec<Presence>> {
    let view = group.read().await?;
    contents.iter().map(|it| presence(&view, it)).collect()
}

fn presence(view: &View, content: &Content) -> Result<Presence> {
    let (registry, digest) = (content.registry, content.leaf.digest);
    let presence = match content.kind {
        ContentKind::Manifest => {
            query::manifest_presence(view, registry, &content.repository, digest)
        }
        ContentKind::Blob => query::blob_presence(view, registry, digest),
    };
    Ok(match presence.map_err(failed)? {
        query::Presence::Here => Presence::Here,
        query::Presence::Wanted => Presence::Wanted,
        query::Presence::Absent => Presence::Absent,
    })
}

pub(super) async fn wanted(
    group: &Group,
    after: Option<(RegistryId, Digest)>,
    limit: usize,
) -> Result<Vec<Content>> {
    let view = group.read().await?;
    let wanted = query::wanted(&view, after, limit).map_err(failed)?;
    Ok(wanted.into_iter().map(content).collect())
}

fn content(wanted: Wanted) -> Content {
    match wanted {
        Wanted::Manifest(wanted) => Content {
            registry: wanted.registry,
            repository: wanted.repository,
            kind: ContentKind::Manifest,
            leaf: wanted.manifest,
        },
        Wanted::Blob(wanted) => Content {
            registry: wanted.registry,
            repository: wanted.repository,
            kind: ContentKind::Blob,
            leaf: wanted.blob,
        },
    }
}

pub(super) async fn incomplete(group: &Group) -> Result<Vec<Incomplete>> {
    let view = group.read().await?;
    let found = query::incomplete(&view).map_err(failed)?.into_iter();
    let found = found.map(|(registry, images)| Incomplete { registry, images });
    Ok(found.collect())
}

pub(super) async fn registry_name(group: &Group, id: RegistryId) -> Result<RegistryName> {
    let view = group.read().await?;
    let name = query::registry_name(&view, id).map_err(failed)?;
    name.ok_or(ReadError::RegistryUnknown)
}
