//! Telling other regions how far this one is, and who they are.
//!
//! Owns when that is done: as long as this member leads, a while after there was something new to say, and
//! now and then everything, in case that something was lost. Keeps the invariant that regions are added as
//! soon as the settings of a leader name them, and go only when an operator says so: a member whose settings
//! lag behind would have pushes told of that a region does not have.

use std::time::{Duration, Instant};

use meridian_catalog::{Command, query};
use meridian_clients::{ReadError, WriteError};
use meridian_clock::Region;
use tokio_util::sync::CancellationToken;

use crate::changes::View;
use crate::group::Group;

/// Once in so many intervals, everything is said.
const FULL: u32 = 60;

/// Why a region is not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// This process has it among its settings.
    #[error(
        "the settings of this process name region {0}; take [regions.{0}] out of the settings of every process first"
    )]
    Named(Region),
    /// It is no other region, as far as is known.
    #[error("there is no other region {0}")]
    Unknown(Region),
    /// It could not be decided.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Beats until it is stopped.
pub(crate) async fn run(
    group: &Group,
    peers: &[Region],
    interval: Duration,
    stop: CancellationToken,
) {
    let (mut full, mut strangers) = (None, Vec::new());
    loop {
        let waited = stop.run_until_cancelled(tokio::time::sleep(interval));
        if waited.await.is_none() {
            return;
        }
        if !group.is_leader() {
            full = None;
            continue;
        }
        tell_strangers(group, peers, &mut strangers);
        let is_due = full.is_none_or(|last: Instant| last.elapsed() >= FULL * interval);
        if let Err(error) = beat(group, peers, is_due, &mut full).await {
            let error = meridian_error::chain(&error);
            tracing::debug!(error, "other regions are not told how far this one is");
        }
    }
}

/// What the state is to be told of the other regions, unless it knows them all.
pub(crate) fn news_of_peers(view: &View, peers: &[Region]) -> Option<Command> {
    let mut all = query::peers(view).ok()?;
    let known = all.len();
    all.extend(peers);
    all.sort_unstable();
    all.dedup();
    // A state of before regions met each other knows others, and not that it is to meet them.
    let is_unborn = !all.is_empty() && query::born(view).ok()?.is_none();
    (all.len() > known || is_unborn).then_some(Command::SetPeers(all))
}

async fn beat(
    group: &Group,
    peers: &[Region],
    is_due: bool,
    full: &mut Option<Instant>,
) -> Result<(), WriteError> {
    let view = group.view();
    if !matches!(query::system(&view), Ok(Some(_))) {
        return Ok(());
    }
    let news = news_of_peers(&view, peers);
    let has_peers = news.is_some() || query::peers(&view).is_ok_and(|known| !known.is_empty());
    let has_news = matches!(query::has_news(&view), Ok(true));
    // A view holds rows that were changed since.
    drop(view);
    if let Some(news) = news {
        group.propose(None, news).await?;
    }
    let is_full = has_peers && is_due;
    if has_news || is_full {
        group.propose(None, Command::Heartbeat { is_full }).await?;
    }
    if is_full {
        *full = Some(Instant::now());
    }
    Ok(())
}

/// Says once of which regions the state knows that the settings do not name.
fn tell_strangers(group: &Group, peers: &[Region], told: &mut Vec<Region>) {
    let mut strangers = query::peers(&group.view()).unwrap_or_default();
    strangers.retain(|region| !peers.contains(region));
    if strangers == *told {
        return;
    }
    for region in &strangers {
        tracing::warn!(
            %region,
            "a region was known before, and the settings of this process do not name it: pushes wait for it; name it, or end that with `meridian replication remove`"
        );
    }
    *told = strangers;
}

/// Has nothing wait for a region any more. Returns which other ones are left.
pub(crate) async fn remove(
    group: &Group,
    named: &[Region],
    region: Region,
) -> Result<Vec<Region>, RemoveError> {
    if named.contains(&region) {
        return Err(RemoveError::Named(region));
    }
    let view = group.read().await.map_err(WriteError::from)?;
    let peers = query::peers(&view).map_err(|error| {
        let reason = meridian_error::chain(&error);
        WriteError::from(ReadError::Internal { reason })
    })?;
    drop(view);
    let mut left = peers.clone();
    left.retain(|peer| *peer != region);
    if left == peers {
        return Err(RemoveError::Unknown(region));
    }
    group.propose(None, Command::SetPeers(left.clone())).await?;
    Ok(left)
}

// === impl RemoveError ===

impl meridian_error::Classify for RemoveError {
    fn code(&self) -> meridian_error::Code {
        match self {
            Self::Named(_) => meridian_error::Code::Conflict,
            Self::Unknown(_) => meridian_error::Code::NotFound,
            Self::Write(error) => error.code(),
        }
    }

    fn retry(&self) -> meridian_error::Retry {
        match self {
            Self::Named(_) | Self::Unknown(_) => meridian_error::Retry::No,
            Self::Write(error) => error.retry(),
        }
    }
}
