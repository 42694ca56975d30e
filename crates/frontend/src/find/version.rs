//! Versions that a client waits for.
//!
//! A version is compared with what is visible, and changes nothing: whoever names one of the far future waits in
//! vain. One that was made by a write to something else is visible once all is here that any region had done before
//! the question.

use std::time::Duration;

use meridian_clients::ReadError;
use meridian_clock::{Clock, SystemClock, Version};
use meridian_oci::Reference;
use tokio::time::{Instant, sleep};

use super::{Sighted, Sought, here, is_away, is_unknown, resolve, tag};
use crate::error::Failure;
use crate::extract::ExtractError;
use crate::regions::{Ask, Elsewhere, Judgement};
use crate::state::State;

/// How far ahead of a clock a version may be, in milliseconds.
const AHEAD: u64 = 60_000;
/// How long to wait before a version is looked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks again and again for a version, here and at the region that stamped it.
pub(super) async fn reach(
    state: &State,
    sought: Sought<'_>,
    version: Version,
) -> Result<Sighted, Failure> {
    let begun = Instant::now();
    loop {
        let found = match state.regions.as_deref() {
            Some(elsewhere) => look(state, elsewhere, sought, version).await?,
            None => settled(here(state, sought).await, version)?,
        };
        if let Some(found) = found {
            return Ok(found);
        }
        // What a region did that was taken away may be visible; nobody is left who could bring more of it.
        let elsewhere = state.regions.as_deref();
        if elsewhere.is_some_and(|it| !it.knows(version.region)) {
            return Err(ExtractError::Stranger.into());
        }
        if elsewhere.is_some_and(|it| it.has_all_since(begun))
            && is_past(version)
            && let Some(found) = of_another(here(state, sought).await)?
        {
            return Ok(found);
        }
        sleep(PAUSE).await;
    }
}

/// Whether some region may have stamped it by now. None is further ahead of its clock (design §6.5).
fn is_past(version: Version) -> bool {
    version.millis <= SystemClock.now_millis().saturating_add(AHEAD)
}

/// What is known here of something to which the write with the version was not: all that was done before is
/// merged here. What is not complete has to be waited for all the same.
fn of_another(local: Result<Sighted, ReadError>) -> Result<Option<Sighted>, Failure> {
    match local {
        Ok(found) => Ok(Some(found).filter(|found| !found.stat.is_overtaken)),
        Err(error) if is_away(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Looks once. Nothing is found while a region that may have the version is not reached.
async fn look(
    state: &State,
    elsewhere: &Elsewhere,
    sought: Sought<'_>,
    version: Version,
) -> Result<Option<Sighted>, Failure> {
    let insists = insists(elsewhere, sought.reference);
    match here(state, sought).await {
        Ok(found) if found.stat.version >= version && !insists => return Ok(Some(found)),
        // Others may know that it was unlocked.
        Err(ReadError::Locked) if insists => {}
        Err(error) if !is_unknown(&error) && !is_away(&error) => return Err(error.into()),
        _ => {}
    }
    match resolve(state, elsewhere, sought, Ask::Since(version)).await {
        Ok(found) => {
            let stat = &found.manifest.stat;
            let serves = stat.version >= version && !(insists && stat.stale.is_some());
            Ok(serves.then(|| found.into()))
        }
        // The region that stamped it has nothing any more. What it deleted is known to be deleted now.
        Err(error) if is_unknown(&error) => settled(here(state, sought).await, version),
        Err(error) if is_away(&error) => Ok(None),
        Err(ReadError::Locked) if insists => {
            let found = tag::locked(state, elsewhere, sought).await?;
            Ok(Some(found).filter(|found| found.stat.version >= version))
        }
        Err(error) => Err(error.into()),
    }
}

/// What is known here, where nobody else knows better.
fn settled(
    local: Result<Sighted, ReadError>,
    version: Version,
) -> Result<Option<Sighted>, Failure> {
    match local {
        Ok(found) => Ok(Some(found).filter(|found| found.stat.version >= version)),
        Err(error) if is_away(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether other regions have to be asked, whatever is known here.
fn insists(elsewhere: &Elsewhere, reference: &Reference) -> bool {
    let is_tag = matches!(reference, Reference::Tag(_));
    is_tag && elsewhere.judge_tag() == Judgement::Insist
}
