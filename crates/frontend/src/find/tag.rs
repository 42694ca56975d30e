//! Tags, which any region may move.
//!
//! A tag is judged before it is read here, so that what was judged to be young enough is not younger than
//! what is answered. One that has a newer value, of which something is not here, is looked for elsewhere
//! however young this region is; if nobody answers, its last complete value is (design §6.1).

use meridian_clients::regions::Resolved;
use meridian_clients::{ReadError, RepositoryPath};
use meridian_oci::{Reference, Tag};

use super::{Sighted, Sought, here, is_away, is_unknown, resolve};
use crate::error::Failure;
use crate::regions::{Answered, Ask, Elsewhere, Judgement};
use crate::state::State;

/// Looks for what a tag points at.
pub(super) async fn find(
    state: &State,
    elsewhere: &Elsewhere,
    sought: Sought<'_>,
) -> Result<Sighted, Failure> {
    let judged = elsewhere.judge_tag();
    let local = match (here(state, sought).await, &judged) {
        (Ok(found), Judgement::Answer(behind)) if !found.stat.is_overtaken => {
            elsewhere.answered_tag(Answered::from(behind));
            return Ok(found.confessing(behind.clone()));
        }
        // Others may know that it was unlocked.
        (Err(ReadError::Locked), Judgement::Ask(_) | Judgement::Insist) => Err(ReadError::Locked),
        (Err(ReadError::Locked), Judgement::Answer(behind)) => {
            return Err(Failure::unsure(ReadError::Locked, behind));
        }
        (Err(error), _) if !is_unknown(&error) => return Err(error.into()),
        (local, _) => local,
    };
    let ask = match (&judged, &local) {
        (Judgement::Answer(_) | Judgement::Ask(_), Err(missing)) if is_unknown(missing) => {
            Ask::Missing
        }
        _ => Ask::Newer,
    };
    let answer = match resolve(state, elsewhere, sought, ask).await {
        Ok(resolved) => newest(local.ok(), resolved, &judged),
        // What is known here alone still is; what was deleted elsewhere is known to be now.
        Err(error) if is_unknown(&error) => match local {
            Err(missing) if is_unknown(&missing) => Err(missing.into()),
            _ => here(state, sought).await.map_err(Failure::from),
        },
        Err(ReadError::Locked) => match judged {
            Judgement::Insist => locked(state, elsewhere, sought).await,
            // Who was silent, nobody says.
            Judgement::Answer(behind) | Judgement::Ask(behind) => {
                Err(Failure::unsure(ReadError::Locked, &behind))
            }
        },
        Err(error) if is_away(&error) => without(elsewhere, local, judged),
        Err(error) => Err(error.into()),
    };
    elsewhere.answered_tag(answered(&answer));
    answer
}

/// What is answered about a tag that must not be pulled, as far as those regions know that answered, where all
/// have to: it is not said before what the others did is here as well.
pub(super) async fn locked(
    state: &State,
    elsewhere: &Elsewhere,
    sought: Sought<'_>,
) -> Result<Sighted, Failure> {
    elsewhere.level().await?;
    match here(state, sought).await {
        // Its content is not here, but its attributes are.
        Err(error) if is_unknown(&error) => Err(ReadError::Locked.into()),
        found => Ok(found?),
    }
}

/// Has what other regions wrote to tags merged here before a write to them, which then is stamped above
/// it and compared with it, where a write has to know (design §6.8).
///
/// # Errors
///
/// When a region cannot say.
pub(crate) async fn level(
    state: &State,
    repository: &RepositoryPath,
    tags: impl Iterator<Item = &Tag>,
) -> Result<(), Failure> {
    let Some(elsewhere) = state.regions.as_deref().filter(|it| it.insists()) else {
        return Ok(());
    };
    let level = async |tag: &Tag| {
        let reference = Reference::Tag(tag.clone());
        let sought = Sought {
            repository,
            reference: &reference,
            at_least: None,
            whole: false,
        };
        match resolve(state, elsewhere, sought, Ask::Newer).await {
            Ok(found) if found.manifest.stat.stale.is_some() => Err(Failure::Behind),
            Err(error) if is_away(&error) => Err(Failure::Behind),
            // What must not be pulled is merged all the same; but nobody says who was silent.
            Err(ReadError::Locked) => elsewhere.level().await,
            Err(error) if !is_unknown(&error) => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    };
    let levels = futures::future::join_all(tags.map(level)).await;
    levels.into_iter().collect()
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
        (Ok(found), Judgement::Answer(behind)) if found.stat.is_overtaken && behind.is_empty() => {
            Ok(found.confessing(elsewhere.ages()))
        }
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
