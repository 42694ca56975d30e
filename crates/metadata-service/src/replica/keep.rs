//! Manifests that are wanted, kept.
//!
//! A manifest is kept in each repository that wants it, under the media type of its put there. Where
//! its bytes are here and only how it shows itself to its subject is wanted, they are read anew.

use std::collections::BTreeMap;

use bytes::Bytes;
use meridian_catalog::query::{self, WantedManifest};
use meridian_catalog::{ArrivedManifest, Command};
use meridian_clients::WriteError;
use meridian_clients::replica::{ManifestBytes, Stored};
use meridian_event::RegistryId;
use meridian_oci::{Digest, RepositoryName};

use super::body;
use crate::changes::View;
use crate::group::Group;
use crate::read::failed;
use crate::write;

/// How many repositories are looked at in one go.
const PAGE: usize = 64;

/// Manifests of registries, and the bytes of those that are at hand.
pub(super) type Arrivals = BTreeMap<(RegistryId, Digest), Option<Bytes>>;

/// Keeps a manifest wherever it is wanted.
pub(super) async fn store(group: &Group, manifest: &ManifestBytes) -> Result<Stored, WriteError> {
    let view = group.read().await?;
    let name = (manifest.registry, manifest.digest);
    let kept = keep(group, &view, name, Some(&manifest.bytes)).await?;
    Ok(match kept {
        Ok(()) => Stored::Kept,
        Err(reason) => Stored::Unreadable { reason },
    })
}

/// Leases a blob to a repository, if it is recorded.
pub(super) async fn lease(
    group: &Group,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<bool, WriteError> {
    let command = Command::LeaseBlob {
        registry,
        repository: repository.clone(),
        digest,
    };
    let leased = write::done_or_nothing(group.propose(None, command).await?)?;
    Ok(leased.is_some())
}

/// Keeps manifests wherever they are wanted by now. One that cannot be read is left out.
pub(super) async fn store_all(group: &Group, arrivals: &Arrivals) -> Result<(), WriteError> {
    if arrivals.is_empty() {
        return Ok(());
    }
    let view = group.read().await?;
    for (name, bytes) in arrivals {
        if let Err(reason) = keep(group, &view, *name, bytes.as_ref()).await? {
            leave_out(*name, &reason);
        }
    }
    Ok(())
}

/// Says that a manifest cannot be kept.
pub(super) fn leave_out((registry, digest): (RegistryId, Digest), reason: &str) {
    tracing::warn!(
        registry.id = %registry,
        manifest.digest = %digest,
        reason,
        "a manifest of another region cannot be kept"
    );
}

/// Keeps a manifest wherever `view` wants it. If there is a place where it cannot be, the answer says
/// why.
async fn keep(
    group: &Group,
    view: &View,
    (registry, digest): (RegistryId, Digest),
    bytes: Option<&Bytes>,
) -> Result<Result<(), String>, WriteError> {
    let mut outcome = Ok(());
    let mut after = None;
    loop {
        let page = query::wanted_in(view, registry, digest, after.as_ref(), PAGE);
        let page = page.map_err(failed)?;
        for wanted in &page {
            match arrived(view, wanted, bytes)? {
                Some(Ok(arrived)) => {
                    let command = Command::StoreManifest(Box::new(arrived));
                    write::done_or_nothing(group.propose(None, command).await?)?;
                }
                Some(Err(reason)) => outcome = Err(reason),
                None => {}
            }
        }
        match page.into_iter().nth(PAGE - 1) {
            Some(last) => after = Some(last.repository),
            None => return Ok(outcome),
        }
    }
}

/// What a repository wants of a manifest, if the bytes are anywhere.
fn arrived(
    view: &View,
    wanted: &WantedManifest,
    bytes: Option<&Bytes>,
) -> Result<Option<Result<ArrivedManifest, String>>, WriteError> {
    let (registry, digest) = (wanted.registry, wanted.manifest.digest);
    let repository = &wanted.repository;
    let bytes = match bytes {
        Some(bytes) => Some(bytes.clone()),
        None => query::body(view, registry, repository, digest, Bytes::copy_from_slice)
            .map_err(failed)?,
    };
    Ok(bytes.map(|bytes| {
        let body = body::read(digest, wanted.media_type.as_ref(), &bytes)?;
        Ok(ArrivedManifest {
            registry,
            repository: repository.clone(),
            digest,
            body,
        })
    }))
}
