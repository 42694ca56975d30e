//! Where content is looked for, and which version of a manifest will do.
//!
//! Owns the order of the questions: here first; in other regions what is unknown here, and tags that may
//! be older here than they may be. Keeps the invariants that a name is said to be unknown only when every
//! region that can be asked says so; that a digest which something here needs is never said to be unknown while
//! a region cannot be asked that may have it; and that with a version named, nothing older is answered
//! (design §6.8, §6.12).

pub(crate) mod blob;
mod tag;
mod version;

use bytes::Bytes;
use meridian_clients::regions::Resolved;
use meridian_clients::{ManifestStat, ReadError, RepositoryPath, Stale, StoredManifest};
use meridian_clock::{Region, Version};
use meridian_oci::Reference;
use tokio::time::timeout;

use crate::error::Failure;
use crate::regions::{Ask, Elsewhere};
use crate::state::State;

pub(crate) use tag::level;

/// A manifest that is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) repository: &'a RepositoryPath,
    pub(crate) reference: &'a Reference,
    /// The version that it must have at least.
    pub(crate) at_least: Option<Version>,
    /// Whether its bytes are needed.
    pub(crate) whole: bool,
}

/// A manifest that was found.
#[derive(Debug)]
pub(crate) struct Sighted {
    pub(crate) stat: ManifestStat,
    /// There if they were needed, or came along.
    pub(crate) bytes: Option<Bytes>,
    /// The region that answered, if it is not this one.
    pub(crate) region: Option<Region>,
    /// The regions that may know better.
    pub(crate) behind: Vec<Stale>,
}

/// Looks for a manifest.
pub(crate) async fn manifest(state: &State, sought: Sought<'_>) -> Result<Sighted, Failure> {
    if let Some(version) = sought.at_least {
        let reached = timeout(state.version_wait, version::reach(state, sought, version)).await;
        return reached.unwrap_or(Err(Failure::NotYet));
    }
    match (state.regions.as_deref(), sought.reference) {
        (None, _) => Ok(here(state, sought).await?),
        (Some(elsewhere), Reference::Digest(_)) => by_digest(state, elsewhere, sought).await,
        (Some(elsewhere), Reference::Tag(_)) => tag::find(state, elsewhere, sought).await,
    }
}

async fn here(state: &State, sought: Sought<'_>) -> Result<Sighted, ReadError> {
    let (repository, reference) = (sought.repository, sought.reference);
    if sought.whole {
        let manifest = state.metadata.manifest(repository, reference);
        return state.read(manifest).await.map(Sighted::from);
    }
    let stat = state.metadata.manifest_stat(repository, reference);
    state.read(stat).await.map(Sighted::from)
}

/// A digest names the same everywhere, so whoever has it will do.
async fn by_digest(
    state: &State,
    elsewhere: &Elsewhere,
    sought: Sought<'_>,
) -> Result<Sighted, Failure> {
    let missing = match here(state, sought).await {
        Err(error) if is_unknown(&error) => error,
        known => return Ok(known?),
    };
    match resolve(state, elsewhere, sought, Ask::Missing).await {
        Err(error) if is_unknown(&error) => Err(missing.into()),
        found => Ok(found?.into()),
    }
}

async fn resolve(
    state: &State,
    elsewhere: &Elsewhere,
    sought: Sought<'_>,
    ask: Ask,
) -> Result<Resolved, ReadError> {
    let (repository, reference) = (sought.repository, sought.reference);
    let resolved = elsewhere.resolve(repository, reference, ask);
    state.read(resolved).await
}

/// Whether it is said not to be here.
pub(crate) const fn is_unknown(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::RepositoryUnknown | ReadError::ManifestUnknown | ReadError::BlobUnknown
    )
}

/// Whether something was not found, and not because nobody could say. What must not be pulled was found.
pub(crate) const fn is_nowhere(error: &ReadError) -> bool {
    !is_away(error) && !matches!(error, ReadError::Locked)
}

/// Whether nobody could say.
pub(crate) const fn is_away(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::Unavailable { .. } | ReadError::DeadlineExceeded
    )
}

// === impl Sighted ===

impl Sighted {
    fn confessing(self, behind: Vec<Stale>) -> Self {
        Self { behind, ..self }
    }
}

impl From<ManifestStat> for Sighted {
    fn from(stat: ManifestStat) -> Self {
        Self {
            stat,
            bytes: None,
            region: None,
            behind: Vec::new(),
        }
    }
}

impl From<StoredManifest> for Sighted {
    fn from(StoredManifest { stat, bytes }: StoredManifest) -> Self {
        Self {
            bytes: Some(bytes),
            ..Self::from(stat)
        }
    }
}

impl From<Resolved> for Sighted {
    fn from(Resolved { manifest, region }: Resolved) -> Self {
        Self {
            region: Some(region),
            ..Self::from(manifest)
        }
    }
}
