//! What a push relies on, and other regions have.
//!
//! Keeps that nothing is promised to a push before it is here, durable, and leased to the repository;
//! and that only what another region has in the same repository is brought: what a client cannot see
//! there, it cannot have here.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use meridian_clients::replica::ContentKind;
use meridian_clients::{ReadError, RepositoryPath};
use meridian_event::RegistryId;
use meridian_oci::{Digest, Manifest, Reference};

use super::blob::Demand;
use super::locate::{Holder, Located, content};
use super::resolve::{self, refused};
use super::unavailable;
use crate::shell::Shell;

/// How many blobs are brought at once for a push.
const AT_ONCE: usize = 8;
/// How deep indexes may lie in indexes.
const DEPTH: usize = 4;
/// How often it is looked whether a manifest is complete.
const LOOK: std::time::Duration = std::time::Duration::from_millis(50);

/// Brings what it can; returns what is nowhere.
pub(super) async fn bring(
    shell: &Arc<Shell>,
    repository: &RepositoryPath,
    digests: &[Digest],
) -> Result<Vec<Digest>, ReadError> {
    let registry = shell.ports.metadata.registry(&repository.registry).await?;
    bring_in(shell, registry, repository, digests.to_vec(), DEPTH).await
}

fn bring_in<'a>(
    shell: &'a Arc<Shell>,
    registry: RegistryId,
    repository: &'a RepositoryPath,
    digests: Vec<Digest>,
    depth: usize,
) -> BoxFuture<'a, Result<Vec<Digest>, ReadError>> {
    Box::pin(async move {
        let located = locate(shell, registry, repository, &digests).await;
        let (mut blobs, mut manifests, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for (at, digest) in digests.into_iter().enumerate() {
            match located.holder(2 * at) {
                Some(holder) => blobs.push(holder),
                None if located.is_held(2 * at + 1) => manifests.push(digest),
                None => absent.push(digest),
            }
        }
        if let (Some(region), false) = (located.silent(), absent.is_empty()) {
            return Err(unavailable(region));
        }
        let brought = futures::stream::iter(blobs)
            .map(|holder| bring_blob(shell, registry, repository, holder))
            .buffer_unordered(AT_ONCE);
        let brought: Vec<Result<(), ReadError>> = brought.collect().await;
        brought.into_iter().collect::<Result<(), _>>()?;
        for digest in manifests {
            bring_manifest(shell, registry, repository, digest, depth).await?;
        }
        Ok(absent)
    })
}

/// Looks for each as a blob and as a manifest, one after the other.
async fn locate(
    shell: &Arc<Shell>,
    registry: RegistryId,
    repository: &RepositoryPath,
    digests: &[Digest],
) -> Located {
    let kinds = [ContentKind::Blob, ContentKind::Manifest];
    let of = |digest: &Digest| {
        let (name, digest) = (&repository.name, *digest);
        kinds.map(|kind| content(registry, name, kind, digest))
    };
    Located::of(shell, digests.iter().flat_map(of).collect()).await
}

async fn bring_blob(
    shell: &Arc<Shell>,
    registry: RegistryId,
    repository: &RepositoryPath,
    holder: Holder,
) -> Result<(), ReadError> {
    let (replica, digest) = (&shell.ports.replica, holder.want.body.digest);
    let lease = || async {
        let leased = replica.lease_blob(registry, &repository.name, digest);
        leased.await.map_err(refused)
    };
    // It may be here, and present in other repositories only.
    if lease().await? {
        return Ok(());
    }
    let demand = Demand::new(shell, &holder.want).await?;
    let stored = demand.slot.stored().await;
    stored.map_err(|error| ReadError::Unavailable {
        reason: format!("blob {digest} of region {}: {error}", holder.region),
    })?;
    match lease().await? {
        true => Ok(()),
        false => Err(unavailable(holder.region)),
    }
}

/// Brings a manifest that an index names, and all that it needs.
async fn bring_manifest(
    shell: &Arc<Shell>,
    registry: RegistryId,
    repository: &RepositoryPath,
    digest: Digest,
    depth: usize,
) -> Result<(), ReadError> {
    let reference = Reference::Digest(digest);
    let resolved = resolve::resolve(shell, repository, &reference, None).await?;
    let stored = resolved.manifest;
    let media_type = stored.stat.media_type.as_str();
    let Ok(manifest) = Manifest::parse(Some(media_type), stored.bytes) else {
        return Err(ReadError::ManifestUnknown);
    };
    let leaves = manifest.blobs().chain(manifest.children());
    let leaves: Vec<_> = leaves.map(|leaf| leaf.digest).collect();
    if depth > 0 {
        bring_in(shell, registry, repository, leaves, depth - 1).await?;
    }
    let complete = async {
        while shell
            .ports
            .metadata
            .manifest_stat(repository, &reference)
            .await
            .is_err()
        {
            tokio::time::sleep(LOOK).await;
        }
    };
    let complete = shell.in_time(complete).await;
    complete.ok_or_else(|| unavailable(resolved.region))
}
