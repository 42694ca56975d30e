//! All that is known here, a part at a time, for a region that joins.
//!
//! ```text
//! registries ── manifests, in the order of their keys ── tags, in theirs
//!     ── repositories' deletions and attributes ── attributes of tags ── attributes of manifests ── webhooks
//! ```

use meridian_catalog::{CatalogError, query};
use meridian_clients::ReadError;
use meridian_clients::replica::{CopyMark, CopyPage, Found};
use meridian_event::webhook::WebhookName;
use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, RepositoryName, Tag};

use super::found::tell;
use crate::changes::View;
use crate::group::Group;
use crate::read::failed;

/// Webhooks of a part: they may be larger than anything else that is copied.
const WEBHOOKS: usize = 200;

type Result<T> = std::result::Result<T, ReadError>;

/// A part of the copy. The registries come all at once: they are few.
pub(super) async fn copy(group: &Group, after: Option<CopyMark>, limit: usize) -> Result<CopyPage> {
    let view = group.read().await?;
    let limit = limit.max(1);
    match after {
        None => Ok(CopyPage {
            found: told(query::copied_registries(&view))?,
            next: Some(CopyMark::Registries),
        }),
        Some(mark @ (CopyMark::Registries | CopyMark::Manifest(..))) => {
            manifests(&view, &mark, limit)
        }
        Some(mark @ (CopyMark::Manifests | CopyMark::Tag(..))) => tags(&view, &mark, limit),
        Some(CopyMark::Tags) => repositories(&view, None, limit),
        Some(CopyMark::Repositories) => of_tags(&view, None, limit),
        Some(CopyMark::TagAttributes) => of_manifests(&view, None, limit),
        Some(CopyMark::ManifestAttributes) => webhooks(&view, None, limit),
        Some(CopyMark::Webhook(registry, name)) => webhooks(&view, Some((registry, &name)), limit),
        Some(CopyMark::Attributes(registry, repository, target)) => match target {
            Target::Repository => repositories(&view, Some((registry, &repository)), limit),
            Target::Tag(name) => of_tags(&view, Some((registry, &repository, &name)), limit),
            Target::Manifest(digest) => {
                of_manifests(&view, Some((registry, &repository, digest)), limit)
            }
        },
    }
}

fn manifests(view: &View, after: &CopyMark, limit: usize) -> Result<CopyPage> {
    let after = match after {
        CopyMark::Manifest(registry, repository, digest) => Some((*registry, repository, *digest)),
        _ => None,
    };
    let found = told(query::copied_manifests(view, after, limit))?;
    let next = mark(&found, limit).or(Some(CopyMark::Manifests));
    Ok(CopyPage { found, next })
}

fn tags(view: &View, after: &CopyMark, limit: usize) -> Result<CopyPage> {
    let after = match after {
        CopyMark::Tag(registry, repository, name) => Some((*registry, repository, name)),
        _ => None,
    };
    let found = told(query::copied_tags(view, after, limit))?;
    let next = mark(&found, limit).or(Some(CopyMark::Tags));
    Ok(CopyPage { found, next })
}

fn repositories(
    view: &View,
    after: Option<(RegistryId, &RepositoryName)>,
    limit: usize,
) -> Result<CopyPage> {
    let found = told(query::copied_repositories(view, after, limit))?;
    let next = mark(&found, limit).or(Some(CopyMark::Repositories));
    Ok(CopyPage { found, next })
}

fn of_tags(
    view: &View,
    after: Option<(RegistryId, &RepositoryName, &Tag)>,
    limit: usize,
) -> Result<CopyPage> {
    let found = told(query::copied_tag_attributes(view, after, limit))?;
    let next = mark(&found, limit).or(Some(CopyMark::TagAttributes));
    Ok(CopyPage { found, next })
}

fn of_manifests(
    view: &View,
    after: Option<(RegistryId, &RepositoryName, Digest)>,
    limit: usize,
) -> Result<CopyPage> {
    let found = told(query::copied_manifest_attributes(view, after, limit))?;
    let next = mark(&found, limit).or(Some(CopyMark::ManifestAttributes));
    Ok(CopyPage { found, next })
}

fn webhooks(
    view: &View,
    after: Option<(RegistryId, &WebhookName)>,
    limit: usize,
) -> Result<CopyPage> {
    let limit = limit.min(WEBHOOKS);
    let found = told(query::copied_webhooks(view, after, limit))?;
    let next = mark(&found, limit);
    Ok(CopyPage { found, next })
}

/// Where to go on behind a part, if that is as long as it may be.
fn mark(found: &[Found], limit: usize) -> Option<CopyMark> {
    let last = found.last().filter(|_| found.len() >= limit)?;
    match last {
        // A repository's deletion comes before its attributes.
        Found::Registry { .. } | Found::Repository { .. } => None,
        Found::Webhook { registry, name, .. } => Some(CopyMark::Webhook(*registry, name.clone())),
        Found::Attributes {
            registry,
            repository,
            target,
            ..
        } => Some(CopyMark::Attributes(
            *registry,
            repository.clone(),
            target.clone(),
        )),
        Found::Manifest {
            registry,
            repository,
            manifest,
        } => Some(CopyMark::Manifest(
            *registry,
            repository.clone(),
            manifest.leaf.digest,
        )),
        Found::Tag {
            registry,
            repository,
            tag,
        } => Some(CopyMark::Tag(
            *registry,
            repository.clone(),
            tag.name.clone(),
        )),
    }
}

fn told<E: std::error::Error + 'static>(
    found: std::result::Result<Vec<meridian_catalog::Found>, CatalogError<E>>,
) -> Result<Vec<Found>> {
    let found = found.map_err(failed)?;
    Ok(found.into_iter().map(tell).collect())
}
