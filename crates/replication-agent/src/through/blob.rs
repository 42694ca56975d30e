//! A blob that another region has, while it comes.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use meridian_clients::regions::RemoteBlob;
use meridian_clients::replica::{ContentKind, Found};
use meridian_clients::{BlobRead, ByteStream, ReadBlobError, ReadError, RepositoryPath};
use meridian_clock::Region;
use meridian_event::{RegistryId, Target};
use meridian_oci::{ByteRange, Digest, Reference, Resolved};
use meridian_replication::{Body, Want};

use super::locate::{Located, content};
use super::resolve::refused;
use super::unavailable;
use crate::shell::Shell;
use crate::spool::{Haste, Hitch, Slot};

/// For so many times as long as for an answer a blob is waited for that stands behind others.
const TURNS: usize = 5;

/// Somebody waits for a blob. It is fetched before everything that nobody waits for.
pub(super) struct Demand {
    shell: Arc<Shell>,
    body: Body,
    pub(super) slot: Arc<Slot>,
}

pub(super) async fn read(
    shell: &Arc<Shell>,
    repository: &RepositoryPath,
    digest: Digest,
    range: Option<&str>,
) -> Result<RemoteBlob, ReadBlobError> {
    let registry = shell.ports.metadata.registry(&repository.registry).await?;
    let blob = content(registry, &repository.name, ContentKind::Blob, digest);
    let located = Located::of(shell, vec![blob]).await;
    let Some(holder) = located.holder(0) else {
        return Err(missing(shell, registry, repository, digest, &located)
            .await?
            .into());
    };
    if !is_readable(shell, registry, repository, digest).await? {
        return Err(ReadError::Locked.into());
    }
    let is_needed = located.is_wanted(shell, 0).await?;
    let (region, size) = (holder.region, holder.want.size);
    let (start, end) = match ByteRange::resolve(range, size) {
        Resolved::Whole => (0, size),
        Resolved::Part {
            start,
            end_inclusive,
        } => (start, end_inclusive + 1),
        Resolved::Unsatisfiable => {
            let read = BlobRead::Unsatisfiable { size };
            return Ok(RemoteBlob {
                region,
                is_needed,
                read,
            });
        }
    };
    let demand = Demand::new(shell, &holder.want).await?;
    if !demand.begun(start, region).await? {
        return Err(missing(shell, registry, repository, digest, &located)
            .await?
            .into());
    }
    let body = demand.read(start..end);
    let read = match (start, end) {
        (0, end) if end == size => BlobRead::Whole { size, body },
        _ => BlobRead::Part {
            size,
            start,
            end_inclusive: end - 1,
            body,
        },
    };
    Ok(RemoteBlob {
        region,
        is_needed,
        read,
    })
}

/// Whether blobs of a repository may be pulled, as far as is known here: what is brought for a push may not be
/// given to whoever pulls.
async fn is_readable(
    shell: &Shell,
    registry: RegistryId,
    repository: &RepositoryPath,
    digest: Digest,
) -> Result<bool, ReadError> {
    let reference = Reference::Digest(digest);
    let replica = &shell.ports.replica;
    let found = replica.find(registry, &repository.name, &reference).await?;
    let mut settings = found.iter().filter_map(|found| match found {
        Found::Attributes {
            target: Target::Repository,
            settings,
            ..
        } => settings.read,
        _ => None,
    });
    Ok(settings.all(|read| read.is_enabled))
}

/// Why a blob is not had. It may have come here since it was missed, or be here for another repository only:
/// then whoever asked is to look here again.
async fn missing(
    shell: &Shell,
    registry: RegistryId,
    repository: &RepositoryPath,
    digest: Digest,
    located: &Located,
) -> Result<ReadError, ReadError> {
    let replica = &shell.ports.replica;
    let lease = replica.lease_blob(registry, &repository.name, digest);
    let is_here = shell.ports.metadata.blob(repository, digest).await.is_ok()
        || (located.is_held(0) && lease.await.map_err(refused)?);
    if is_here {
        return Ok(ReadError::Unavailable {
            reason: "it has come to this region since it was looked for".to_owned(),
        });
    }
    located.lack(shell, 0).await
}

// === impl Demand ===

impl Demand {
    /// Begins to wait.
    pub(super) async fn new(shell: &Arc<Shell>, want: &Want) -> Result<Self, ReadError> {
        let unavailable = |reason: &str| ReadError::Unavailable {
            reason: format!("what is in another region cannot be brought: {reason}"),
        };
        let parts = shell.spool.left(&want.body, want.size).await;
        // In one go: what nobody waits for any more is forgotten in between otherwise.
        let slot = shell.engine.tell(|agent, now| {
            let known = agent.wanted(&want.body).map(|known| known.size);
            if known.is_some_and(|known| known != want.size) {
                return Err(unavailable("regions differ in how long it is"));
            }
            if !agent.demand(now, want, &parts) {
                return Err(unavailable("too many clients wait"));
            }
            let by = agent.want_of(&want.body).expect("it is demanded");
            let slot = shell
                .spool
                .slot(want.body, by, want.kind, want.size, Haste::Demand);
            slot.map_err(|error| {
                agent.release(want.body);
                unavailable(&error.to_string())
            })
        })?;
        Ok(Self {
            shell: Arc::clone(shell),
            body: want.body,
            slot,
        })
    }

    /// Waits until something is here from `start` on, but not for ever. Says no if nobody has it after
    /// all, or if it came here by another way.
    async fn begun(&self, start: u64, region: Region) -> Result<bool, ReadError> {
        if start >= self.slot.size() {
            return Ok(true);
        }
        // While the region sends others something, this one's turn comes.
        for _ in 0..TURNS {
            match self.shell.in_time(self.slot.begun(start)).await {
                Some(Ok(())) => return Ok(true),
                Some(Err(Hitch::Absent(true) | Hitch::Here)) => return Ok(false),
                Some(Err(error)) => {
                    return Err(ReadError::Unavailable {
                        reason: error.to_string(),
                    });
                }
                None => {}
            }
            let patience = self.shell.config.call_deadline;
            let engine = &self.shell.engine;
            if engine.look(|agent, now| agent.is_silent(now, region, patience)) {
                break;
            }
        }
        Err(unavailable(region))
    }

    /// The bytes, as they come. It is waited for until the reader is done, or goes away.
    fn read(self, range: std::ops::Range<u64>) -> ByteStream {
        let pieces = Arc::clone(&self.slot).read(range);
        Box::pin(held(pieces, self))
    }
}

/// A stream that keeps something until it is dropped.
fn held<T: Send>(
    items: impl Stream<Item = T> + Send,
    kept: impl Send,
) -> impl Stream<Item = T> + Send {
    items.map(move |item| {
        let _ = &kept;
        item
    })
}

impl Drop for Demand {
    fn drop(&mut self) {
        self.shell.engine.tell(|agent, _| agent.release(self.body));
    }
}
