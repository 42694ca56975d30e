//! Events on their way to the event log, as a resource.
//!
//! | | |
//! |---|---|
//! | `GET /v1/events` | how far each shard is, as the member that is asked sees it |
//! | `GET /v1/events/log` | the events themselves, as the event log has them |

use std::fmt;

use axum::Json;
use axum::extract::State;
use meridian_event::SHARDS;
use meridian_metadata_service::{EventsStatus, ReadFrom, ShardStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Management;
use super::cluster::metadata;
use super::extract::Asked;
use super::forms::{self, EventLogPage};
use super::problem::{Kind, Problem};

/// The events of a region.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Events {
    /// Where they are published.
    pub(crate) topic: String,
    /// Whether this member publishes them. Only it knows what the event log has taken.
    pub(crate) publishes: bool,
    /// Events that wait.
    pub(crate) waiting: u64,
    /// Their bytes; where there are very many, of the first of them.
    pub(crate) waiting_bytes: u64,
    /// How long the oldest has waited. Absent while none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_age_millis: Option<u64>,
    /// With so many, the process raises an alarm.
    pub(crate) alarm: u64,
    /// With so many, writes are refused.
    pub(crate) limit: u64,
    /// Every shard, in order.
    pub(crate) shards: Vec<Shard>,
}

/// The events of a shard.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Shard {
    pub(crate) shard: u16,
    /// The epoch in which the numbers count.
    pub(crate) epoch: u64,
    /// The last event that was committed; 0 if none was.
    pub(crate) committed: u64,
    /// The last one that the event log has taken, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) published: Option<u64>,
    /// The last one that the event log is known to have by the state.
    pub(crate) acknowledged: u64,
    /// Events that wait.
    pub(crate) waiting: u64,
    /// Their bytes; where there are very many, of the first of them.
    pub(crate) waiting_bytes: u64,
    /// How long the oldest has waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_age_millis: Option<u64>,
}

pub(super) fn routes() -> OpenApiRouter<Management> {
    OpenApiRouter::default()
        .routes(routes!(show))
        .routes(routes!(log))
}

/// How far the event log is behind
#[utoipa::path(get, path = "/v1/events", operation_id = "get_events", tag = "events",
    responses((status = 200, description = "All shards", body = Events)))]
async fn show(State(management): State<Management>) -> Result<Json<Events>, Problem> {
    let events = metadata(&management)?.events().await;
    Ok(Json(events.map_err(|error| Problem::of(&error))?.into()))
}

/// Where to begin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// The events themselves
#[utoipa::path(get, path = "/v1/events/log", operation_id = "get_event_log", tag = "events",
    params(
        ("after" = Option<String>, Query, description = "Where to go on, as the answer before said; `end` for what comes from now on. Without it, from the oldest that is kept"),
        ("limit" = Option<usize>, Query, description = "How many of each shard, 1 to 1000"),
    ),
    responses((status = 200, description = "Events, those of a repository in their order; one that was published twice comes twice", body = EventLogPage)))]
async fn log(
    State(management): State<Management>,
    Asked(query): Asked<LogQuery>,
) -> Result<Json<EventLogPage>, Problem> {
    let from = match query.after.as_deref() {
        None => vec![ReadFrom::Start; usize::from(SHARDS)],
        Some("end") => vec![ReadFrom::End; usize::from(SHARDS)],
        Some(after) => forms::parse_after(after).ok_or_else(|| {
            let detail = "`after` is not what an answer before named `next`";
            Problem::new(Kind::Malformed, detail)
        })?,
    };
    let limit = query.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::new(Kind::Malformed, "`limit` is 1 to 1000"));
    }
    let page = metadata(&management)?.published(&from, limit).await;
    Ok(Json(page.map_err(|error| Problem::of(&error))?.into()))
}

// === impl Events ===

impl From<EventsStatus> for Events {
    fn from(status: EventsStatus) -> Self {
        let shards: Vec<Shard> = status.shards.into_iter().map(Shard::from).collect();
        Self {
            topic: status.topic,
            publishes: status.publishes,
            waiting: shards.iter().map(|shard| shard.waiting).sum(),
            waiting_bytes: shards.iter().map(|shard| shard.waiting_bytes).sum(),
            oldest_age_millis: shards.iter().filter_map(|it| it.oldest_age_millis).max(),
            alarm: status.alarm,
            limit: status.limit,
            shards,
        }
    }
}

impl From<ShardStatus> for Shard {
    fn from(status: ShardStatus) -> Self {
        Self {
            shard: status.shard,
            epoch: status.epoch,
            committed: status.committed,
            published: status.published,
            acknowledged: status.acknowledged,
            waiting: status.committed.saturating_sub(status.acknowledged),
            waiting_bytes: status.waiting_bytes,
            oldest_age_millis: status.oldest_age_millis,
        }
    }
}

impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let publishes = match self.publishes {
            true => "published by this member",
            false => "published by another member",
        };
        writeln!(f, "topic {}, {publishes}", self.topic)?;
        write!(
            f,
            "{} events wait ({} bytes); alarm at {}, limit {}",
            self.waiting, self.waiting_bytes, self.alarm, self.limit
        )?;
        if let Some(age) = self.oldest_age_millis {
            write!(f, ", oldest since {age} ms")?;
        }
        let columns = "shard  committed  published  acknowledged  waiting  bytes  oldest";
        write!(f, "\n\n{columns}")?;
        for shard in &self.shards {
            let known =
                |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
            write!(
                f,
                "\n{:>5}  {:>9}  {:>9}  {:>12}  {:>7}  {:>5}  {:>6}",
                shard.shard,
                shard.committed,
                known(shard.published),
                shard.acknowledged,
                shard.waiting,
                shard.waiting_bytes,
                known(shard.oldest_age_millis),
            )?;
        }
        Ok(())
    }
}
