//! What a push relies on, and other regions have.
//!
//! Keeps that nothing is promised to a push before it is here, durable, and leased to the repository;
//! and that only what another region has in the same repository is brought: what a client cannot see
//! there, it cannot have here.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use meridian_clients::{ReadError, RepositoryPath};
use meridian_event::RegistryId;
use meridian_oci::{Digest, Manifest, Reference};

use super::blob::{Holder, lack, locate};
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
        let (holders, silent) = locate(shell, registry, &repository.name, &digests).await;
        let (mut blobs, mut others) = (Vec::new(), Vec::new());
        for (digest, holder) in digests.into_iter().zip(holders) {
            match holder {
                Some(holder) => blobs.push((digest, holder)),
                None => others.push(digest),
            }
        }
        let brought = futures::stream::iter(blobs)
            .map(|(digest, holder)| bring_blob(shell, registry, repository, digest, holder))
            .buffer_unordered(AT_ONCE);
        let brought: Vec<Result<(), ReadError>> = brought.collect().await;
        brought.into_iter().collect::<Result<(), _>>()?;
        let mut absent = Vec::new();
        for digest in others {
            match bring_manifest(shell, registry, repository, digest, depth).await {
                Ok(()) => {}
                Err(ReadError::ManifestUnknown) => {
                    let unknown = lack(silent, ReadError::ManifestUnknown);
                    match unknown {
                        ReadError::ManifestUnknown => absent.push(digest),
                        error => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(absent)
    })
}

async fn bring_blob(
    shell: &Arc<Shell>,
    registry: RegistryId,
    repository: &RepositoryPath,
    digest: Digest,
    holder: Holder,
) -> Result<(), ReadError> {
    let replica = &shell.ports.replica;
    let lease = || async {
        let leased = replica.lease_blob(registry, &repository.name, digest);
        leased.await.map_err(refused)
    };
    // It may be here, and present in other repositories only.
    if lease().await? {
        return Ok(());
    }
    let demand = holder.demand(shell)?;
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
