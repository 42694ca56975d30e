//! How far the events of this region are on their way to the event log.

use std::sync::Arc;

use meridian_catalog::query;
use meridian_clients::ReadError;
use meridian_event::SHARDS;

use crate::changes::View;
use crate::group::{Group, unavailable};
use crate::outbox;

/// Events of a shard whose bytes are counted, at most.
const COUNTED: usize = 65_536 / SHARDS as usize;

/// The events of a region, as one member sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsStatus {
    /// Where they are published.
    pub topic: String,
    /// Whether this member publishes them.
    pub publishes: bool,
    /// With so many that wait, there is an alarm.
    pub alarm: u64,
    /// With so many, writes are refused.
    pub limit: u64,
    /// Every shard, in order.
    pub shards: Vec<ShardStatus>,
}

/// The events of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStatus {
    /// Which.
    pub shard: u16,
    /// The epoch in which the numbers count.
    pub epoch: u64,
    /// The last event that was committed.
    pub committed: u64,
    /// The last one that the event log has, if this member publishes.
    pub published: Option<u64>,
    /// The last one that the event log has, as the state knows it.
    pub acknowledged: u64,
    /// Bytes of those that wait, as far as they were counted.
    pub waiting_bytes: u64,
    /// How long the oldest has waited.
    pub oldest_age_millis: Option<u64>,
}

/// The events as they are now.
pub(crate) async fn status(group: &Arc<Group>) -> Result<EventsStatus, ReadError> {
    let group = Arc::clone(group);
    // It walks over many rows where many wait.
    let looked = tokio::task::spawn_blocking(move || {
        let shards = shards(&group, &group.view());
        let marks = group.backlog().marks();
        Ok(EventsStatus {
            topic: outbox::topic(group.claim().region()).to_string(),
            publishes: group.is_leader(),
            alarm: marks.alarm,
            limit: marks.limit,
            shards: shards.map_err(unavailable)?,
        })
    });
    looked.await.map_err(unavailable)?
}

/// Bytes of the events that wait, as far as they are counted.
pub(crate) fn waiting_bytes(view: &View) -> u64 {
    let backlogs = (0..SHARDS).map(|shard| query::backlog(view, shard, COUNTED));
    backlogs.flatten().map(|backlog| backlog.bytes).sum()
}

/// When the oldest event that waits was committed.
pub(crate) fn oldest_millis(view: &View) -> Option<u64> {
    let backlogs = (0..SHARDS).map(|shard| query::backlog(view, shard, 1));
    backlogs.flatten().filter_map(|it| it.oldest_millis).min()
}

fn shards(group: &Group, view: &View) -> Result<Vec<ShardStatus>, String> {
    let told = |error: &dyn std::error::Error| meridian_error::chain(error);
    let streams = query::streams(view).map_err(|error| told(&error))?;
    let now = group.now();
    let leads = group.is_leader();
    (0..SHARDS)
        .zip(streams)
        .map(|(shard, stream)| {
            let backlog = query::backlog(view, shard, COUNTED);
            let backlog = backlog.map_err(|error| told(&error))?;
            Ok(ShardStatus {
                shard,
                epoch: stream.epoch,
                committed: stream.next.saturating_sub(1),
                published: group.meters().taken(shard).filter(|_| leads),
                acknowledged: stream.acknowledged,
                waiting_bytes: backlog.bytes,
                oldest_age_millis: backlog.oldest_millis.map(|then| now.saturating_sub(then)),
            })
        })
        .collect()
}
