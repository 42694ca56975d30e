//! A blob that another region has, while it comes.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use meridian_clients::regions::RemoteBlob;
use meridian_clients::replica::{Content, ContentKind};
use meridian_clients::{BlobRead, ByteStream, ReadBlobError, ReadError, RepositoryPath};
use meridian_clock::Region;
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{ByteRange, Digest, RepositoryName, Resolved};
use meridian_replication::{Body, Kind, Want};

use super::{Answers, unavailable};
use crate::shell::Shell;
use crate::spool::{Fate, Hitch, Slot};

/// Somebody waits for a blob. It is fetched before everything that nobody waits for.
pub(super) struct Demand {
    shell: Arc<Shell>,
    body: Body,
    pub(super) slot: Arc<Slot>,
}

/// A blob, and a region that has it.
pub(super) struct Holder {
    pub(super) region: Region,
    want: Want,
}

pub(super) async fn read(
    shell: &Arc<Shell>,
    repository: &RepositoryPath,
    digest: Digest,
    range: Option<&str>,
) -> Result<RemoteBlob, ReadBlobError> {
    let registry = shell.ports.metadata.registry(&repository.registry).await?;
    let (holders, silent) = locate(shell, registry, &repository.name, &[digest]).await;
    let holder = holders.into_iter().next().flatten();
    let holder = holder.ok_or_else(|| lack(silent, ReadError::BlobUnknown))?;
    let (region, size) = (holder.region, holder.want.size);
    let (start, end) = match ByteRange::resolve(range, size) {
        Resolved::Whole => (0, size),
        Resolved::Part {
            start,
            end_inclusive,
        } => (start, end_inclusive + 1),
        Resolved::Unsatisfiable => {
            let read = BlobRead::Unsatisfiable { size };
            return Ok(RemoteBlob { region, read });
        }
    };
    let demand = Demand::new(shell, &holder.want)?;
    demand.begun(start, region).await?;
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
    Ok(RemoteBlob { region, read })
}

/// Who has which of these blobs in a repository, the first that says so; and a region that did not
/// answer.
pub(super) async fn locate(
    shell: &Arc<Shell>,
    registry: RegistryId,
    repository: &RepositoryName,
    digests: &[Digest],
) -> (Vec<Option<Holder>>, Option<Region>) {
    let content = |digest: &Digest| Content {
        registry,
        repository: repository.clone(),
        kind: ContentKind::Blob,
        leaf: Leaf {
            digest: *digest,
            size: 0,
        },
    };
    let contents: Vec<_> = digests.iter().map(content).collect();
    let contents = &contents;
    let deadline = shell.config.call_deadline;
    let ask =
        |peer: Arc<dyn meridian_clients::peer::PeerApi>| async move { peer.holds(contents).await };
    let answers: Answers<Vec<Option<u64>>> = shell.ask_all(|_| deadline, ask).await;
    let holders = digests.iter().enumerate().map(|(at, digest)| {
        let mut having = answers.said.iter().filter_map(|(region, sizes)| {
            let size = sizes.get(at).copied().flatten()?;
            Some((*region, size))
        });
        let (region, size) = having.next()?;
        let others = having.filter(|(_, other)| *other == size);
        let want = Want {
            body: Body {
                registry,
                digest: *digest,
            },
            kind: Kind::Blob,
            size,
            repository: repository.clone(),
            holders: std::iter::once(region)
                .chain(others.map(|(region, _)| region))
                .collect(),
        };
        Some(Holder { region, want })
    });
    (holders.collect(), answers.silent.first().copied())
}

/// Why nobody is known to have it.
pub(super) fn lack(silent: Option<Region>, unknown: ReadError) -> ReadError {
    silent.map_or(unknown, unavailable)
}

// === impl Holder ===

impl Holder {
    /// Begins to wait for the blob.
    pub(super) fn demand(&self, shell: &Arc<Shell>) -> Result<Demand, ReadError> {
        Demand::new(shell, &self.want)
    }
}

// === impl Demand ===

impl Demand {
    fn new(shell: &Arc<Shell>, want: &Want) -> Result<Self, ReadError> {
        let slot = shell.spool.slot(want.body, want.size);
        let slot = slot.map_err(|error| ReadError::Unavailable {
            reason: format!("there is no room for what comes from other regions: {error}"),
        })?;
        let is_taken = shell.engine.tell(|agent, now| agent.demand(now, want, &[]));
        if !is_taken {
            return Err(ReadError::Unavailable {
                reason: "too many clients wait for what comes from other regions".to_owned(),
            });
        }
        Ok(Self {
            shell: Arc::clone(shell),
            body: want.body,
            slot,
        })
    }

    /// Waits until something is here from `start` on, but not for ever.
    async fn begun(&self, start: u64, region: Region) -> Result<(), ReadError> {
        if start >= self.slot.size() {
            return Ok(());
        }
        match self.shell.in_time(self.slot.begun(start)).await {
            Some(Ok(())) => Ok(()),
            Some(Err(Hitch::Absent(true))) => Err(ReadError::BlobUnknown),
            Some(Err(error)) => Err(ReadError::Unavailable {
                reason: error.to_string(),
            }),
            None => Err(unavailable(region)),
        }
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
        // What was asked for in vain would lie there for ever.
        let is_wanted = self.shell.engine.look(|agent, _| agent.wanted(&self.body));
        if is_wanted.is_none() {
            self.shell.spool.forget(&self.body, Fate::Stored);
        }
    }
}
