//! Where a manifest is looked for, and which of its versions will do.
//!
//! Owns the order of the questions: here first; in other regions what is unknown here, and tags that may
//! be older here than they may be. Keeps the invariants that a name is said to be unknown only when every
//! region that can be asked says so; that a digest is never said to be unknown while a region cannot be
//! asked that may have it, because something that was answered before may need it; and that with a
//! version named, nothing older is answered (design §6.8, §6.12).

use std::time::Duration;

use bytes::Bytes;
use meridian_clients::regions::Resolved;
use meridian_clients::{ManifestStat, ReadError, RepositoryPath, Stale, StoredManifest};
use meridian_clock::{Region, Version};
use meridian_oci::Reference;
use tokio::time::{sleep, timeout};

use crate::error::Failure;
use crate::regions::{Answered, Ask, Elsewhere, Judgement};
use crate::state::State;

/// How long to wait before a version is looked for again.
const PAUSE: Duration = Duration::from_millis(100);

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
        let reached = timeout(state.version_wait, reach(state, sought, version)).await;
        return reached.unwrap_or(Err(Failure::NotYet));
    }
    match (state.regions.as_deref(), sought.reference) {
        (None, _) => Ok(here(state, sought).await?),
        (Some(elsewhere), Reference::Digest(_)) => by_digest(state, elsewhere, sought).await,
        (Some(elsewhere), Reference::Tag(_)) => by_tag(state, elsewhere, sought).await,
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

async fn by_tag(
    state: &State,
    elsewhere: &Elsewhere,
    sought: Sought<'_>,
) -> Result<Sighted, Failure> {
    let judged = elsewhere.judge_tag();
    let local = match (here(state, sought).await, &judged) {
        (Ok(found), Judgement::Answer(behind)) => {
            elsewhere.answered_tag(Answered::from(behind));
            return Ok(found.confessing(behind.clone()));
        }
        (Err(error), _) if !is_unknown(&error) => return Err(error.into()),
        (local, _) => local,
    };
    let ask = match (&judged, &local) {
        (Judgement::Insist, _) | (_, Ok(_)) => Ask::Newer,
        (_, Err(_)) => Ask::Missing,
    };
    let answer = match resolve(state, elsewhere, sought, ask).await {
        Ok(resolved) => newest(local.ok(), resolved, &judged),
        Err(error) if is_unknown(&error) => Err(local.err().unwrap_or(error).into()),
        Err(error) if is_away(&error) => without(elsewhere, local, judged),
        Err(error) => Err(error.into()),
    };
    elsewhere.answered_tag(answered(&answer));
    answer
}

/// What was resolved, unless it was moved here meanwhile.
fn newest(
    local: Option<Sighted>,
    resolved: Resolved,
    judged: &Judgement,
) -> Result<Sighted, Failure> {
    let stat = &resolved.manifest.stat;
    if *judged == Judgement::Insist && stat.stale.is_some() {
        return Err(Failure::Behind);
    }
    let is_newer = |found: &Sighted| found.stat.version > stat.version;
    Ok(local.filter(is_newer).unwrap_or_else(|| resolved.into()))
}

/// What is known here, if it is good enough while other regions cannot be asked.
fn without(
    elsewhere: &Elsewhere,
    local: Result<Sighted, ReadError>,
    judged: Judgement,
) -> Result<Sighted, Failure> {
    match (local, judged) {
        (_, Judgement::Insist) => Err(Failure::Behind),
        (Ok(found), Judgement::Answer(behind) | Judgement::Ask(behind)) => {
            Ok(found.confessing(behind))
        }
        (Err(error), _) => {
            let behind = elsewhere.ages();
            Err(Failure::Unsure { error, behind })
        }
    }
}

const fn answered(answer: &Result<Sighted, Failure>) -> Answered {
    match answer {
        Ok(found) if found.behind.is_empty() && found.stat.stale.is_none() => Answered::Asked,
        Ok(_) | Err(Failure::Unsure { .. }) => Answered::Confessed,
        Err(Failure::Behind) => Answered::Refused,
        Err(_) => Answered::Asked,
    }
}

/// Looks again and again for a version, here and at the region that stamped it.
async fn reach(state: &State, sought: Sought<'_>, version: Version) -> Result<Sighted, Failure> {
    let insists = insists(state, sought.reference);
    loop {
        let local = here(state, sought).await;
        let missing = match local {
            Ok(found) if found.stat.version >= version && !insists => return Ok(found),
            Err(error) if is_unknown(&error) => Some(error),
            Err(error) if !is_away(&error) => return Err(error.into()),
            _ => None,
        };
        match (state.regions.as_deref(), missing) {
            (Some(elsewhere), missing) => {
                let since = Ask::Since(version);
                match resolve(state, elsewhere, sought, since).await {
                    Ok(found) if serves(&found.manifest.stat, version, insists) => {
                        return Ok(found.into());
                    }
                    // It was deleted by then, or since.
                    Err(error) if is_unknown(&error) => {
                        return Err(missing.unwrap_or(error).into());
                    }
                    Err(error) if !is_away(&error) => return Err(error.into()),
                    _ => {}
                }
            }
            (None, Some(missing)) => return Err(missing.into()),
            (None, None) => {}
        }
        sleep(PAUSE).await;
    }
}

fn serves(stat: &ManifestStat, version: Version, insists: bool) -> bool {
    stat.version >= version && !(insists && stat.stale.is_some())
}

/// Whether other regions have to be asked, whatever is known here.
fn insists(state: &State, reference: &Reference) -> bool {
    let is_tag = matches!(reference, Reference::Tag(_));
    let regions = state.regions.as_deref().filter(|_| is_tag);
    regions.is_some_and(|elsewhere| elsewhere.judge_tag() == Judgement::Insist)
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
