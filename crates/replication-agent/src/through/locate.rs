//! Which regions have what.
//!
//! Owns the judgement of silence: when no region has something and one does not answer, it is missing
//! for now if something here needs it, because then some region had it; otherwise nobody has heard
//! of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use meridian_clients::ReadError;
use meridian_clients::peer::PeerApi;
use meridian_clients::replica::{Content, ContentKind, Presence};
use meridian_clock::Region;
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Digest, RepositoryName};
use meridian_replication::{Body, Kind, Want};

use super::answers::{Answers, Said};
use super::unavailable;
use crate::shell::Shell;

/// Content, and who has it.
pub(super) struct Located {
    contents: Vec<Content>,
    answers: Answers<Vec<Option<u64>>>,
}

/// A blob, and a region that has it.
pub(super) struct Holder {
    pub(super) region: Region,
    pub(super) want: Want,
}

/// Something that is looked for in a repository.
pub(super) fn content(
    registry: RegistryId,
    repository: &RepositoryName,
    kind: ContentKind,
    digest: Digest,
) -> Content {
    Content {
        registry,
        repository: repository.clone(),
        kind,
        leaf: Leaf { digest, size: 0 },
    }
}

/// Why nobody is known to have something: what is needed here is missing for now.
pub(super) async fn lack(
    shell: &Shell,
    content: &Content,
    silent: Option<Region>,
    unknown: ReadError,
) -> Result<ReadError, ReadError> {
    if !is_wanted(shell, content).await? {
        return Ok(unknown);
    }
    Ok(silent.map_or_else(
        || ReadError::Unavailable {
            reason: format!("no region has {} now", content.leaf.digest),
        },
        unavailable,
    ))
}

async fn is_wanted(shell: &Shell, content: &Content) -> Result<bool, ReadError> {
    let looked = shell.ports.replica.look(std::slice::from_ref(content));
    Ok(looked.await?.first() == Some(&Presence::Wanted))
}

// === impl Located ===

impl Located {
    /// Asks all regions, until somebody has each digest, as whatever: whoever has it will do.
    pub(super) async fn of(shell: &Arc<Shell>, contents: Vec<Content>) -> Self {
        let (asked, deadline) = (&contents, shell.config.call_deadline);
        let ask = |peer: Arc<dyn PeerApi>| async move { peer.holds(asked).await };
        let are_held = |said: &Said<Vec<Option<u64>>>| {
            let sizes = said.iter().flat_map(|(_, sizes)| sizes.iter().zip(asked));
            let held = sizes.filter(|(size, _)| size.is_some());
            let held: BTreeSet<_> = held.map(|(_, content)| content.leaf.digest).collect();
            let mut asked = asked.iter();
            asked.all(|content| held.contains(&content.leaf.digest))
        };
        let answers = shell
            .ask_all(deadline, |_| Duration::ZERO, are_held, ask)
            .await;
        Self { contents, answers }
    }

    /// Who has the blob with this number. The first that says so, and then others.
    pub(super) fn holder(&self, at: usize) -> Option<Holder> {
        let content = self.contents.get(at)?;
        let (region, size) = self.having(at).next()?;
        let holders = self.having(at).filter(|(_, other)| *other == size);
        let want = Want {
            body: Body {
                registry: content.registry,
                digest: content.leaf.digest,
            },
            kind: Kind::Blob,
            size,
            repository: content.repository.clone(),
            holders: holders.map(|(region, _)| region).collect(),
        };
        Some(Holder { region, want })
    }

    /// Whether anybody has the content with this number.
    pub(super) fn is_held(&self, at: usize) -> bool {
        self.having(at).next().is_some()
    }

    /// Whether something that is merged here needs the content with this number.
    pub(super) async fn is_wanted(&self, shell: &Shell, at: usize) -> Result<bool, ReadError> {
        match self.contents.get(at) {
            Some(content) => is_wanted(shell, content).await,
            None => Ok(false),
        }
    }

    /// A region that did not answer.
    pub(super) fn silent(&self) -> Option<Region> {
        self.answers.silent.first().copied()
    }

    /// Why nobody is known to have the content with this number.
    pub(super) async fn lack(&self, shell: &Shell, at: usize) -> Result<ReadError, ReadError> {
        match self.contents.get(at) {
            Some(content) => lack(shell, content, self.silent(), ReadError::BlobUnknown).await,
            None => Ok(ReadError::BlobUnknown),
        }
    }

    fn having(&self, at: usize) -> impl Iterator<Item = (Region, u64)> {
        let sizes = self.answers.said.iter();
        sizes.filter_map(move |(region, sizes)| Some((*region, sizes.get(at).copied().flatten()?)))
    }
}
