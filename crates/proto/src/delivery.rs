//! What is kept of the delivery of webhooks, on the wire.

use meridian_event::EventId;
use meridian_event::webhook::{
    Assignment, Change, Message, MessageId, Place, Record, Undelivered, WebhookId,
};

use crate::decode::{DecodeError, digest, optional, required, text, version};
use crate::event::event_id;
use crate::meridian::content::v1 as content;
use crate::meridian::event::v1 as event;
use crate::meridian::webhook::v1 as wire;

type Result<T> = std::result::Result<T, DecodeError>;

/// A webhook by its id.
///
/// # Errors
///
/// When it is none.
pub fn webhook_id(value: Option<content::Version>) -> Result<WebhookId> {
    version(value, "webhook").map(WebhookId::new)
}

impl From<WebhookId> for content::Version {
    fn from(id: WebhookId) -> Self {
        id.version().into()
    }
}

/// A shard.
///
/// # Errors
///
/// When it is none.
pub fn shard(value: u32) -> Result<u16> {
    u16::try_from(value).map_err(|_| DecodeError::Invalid("shard"))
}

/// A message by its id.
///
/// # Errors
///
/// When it is none.
pub fn message_id(value: &[u8]) -> Result<MessageId> {
    MessageId::from_bytes(value).ok_or(DecodeError::Invalid("message"))
}

fn bytes(id: MessageId) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(id.as_bytes())
}

/// Which of what was not delivered.
impl From<(u16, MessageId)> for wire::Mark {
    fn from((shard, message): (u16, MessageId)) -> Self {
        Self {
            shard: shard.into(),
            message: bytes(message),
        }
    }
}

impl From<Place> for wire::Place {
    fn from(place: Place) -> Self {
        Self {
            epoch: place.epoch,
            seq: place.seq,
        }
    }
}

impl From<wire::Place> for Place {
    fn from(place: wire::Place) -> Self {
        Self {
            epoch: place.epoch,
            seq: place.seq,
        }
    }
}

fn lane((webhook, place): (WebhookId, Option<Place>)) -> wire::Lane {
    wire::Lane {
        webhook: Some(webhook.into()),
        place: place.map(Into::into),
    }
}

fn take_lane(lane: wire::Lane) -> Result<(WebhookId, Option<Place>)> {
    Ok((webhook_id(lane.webhook)?, lane.place.map(Into::into)))
}

fn moment((webhook, at): (WebhookId, Option<u64>)) -> wire::Moment {
    wire::Moment {
        webhook: Some(webhook.into()),
        at,
    }
}

fn take_moment(moment: wire::Moment) -> Result<(WebhookId, Option<u64>)> {
    Ok((webhook_id(moment.webhook)?, moment.at))
}

impl From<Assignment> for wire::TakeResponse {
    fn from(assignment: Assignment) -> Self {
        let lanes = assignment.lanes.into_iter();
        let due = assignment.due.into_iter();
        Self {
            generation: assignment.generation,
            cursor: Some(assignment.cursor.into()),
            lanes: lanes.map(|(it, place)| lane((it, Some(place)))).collect(),
            due: due.map(|(it, at)| moment((it, Some(at)))).collect(),
        }
    }
}

impl TryFrom<wire::TakeResponse> for Assignment {
    type Error = DecodeError;

    fn try_from(value: wire::TakeResponse) -> Result<Self> {
        let lanes = value.lanes.into_iter().map(|it| {
            let (webhook, place) = take_lane(it)?;
            Ok((webhook, required(place, "place")?))
        });
        let due = value.due.into_iter().map(|it| {
            let (webhook, at) = take_moment(it)?;
            Ok((webhook, required(at, "at")?))
        });
        Ok(Self {
            generation: value.generation,
            cursor: required(value.cursor, "cursor")?.into(),
            lanes: lanes.collect::<Result<_>>()?,
            due: due.collect::<Result<_>>()?,
        })
    }
}

impl From<&Record> for wire::RecordRequest {
    fn from(record: &Record) -> Self {
        Self {
            shard: record.shard.into(),
            generation: record.generation,
            number: record.number,
            cursor: Some(record.cursor.into()),
            lanes: record.lanes.iter().copied().map(lane).collect(),
            changes: record.rows.iter().map(change).collect(),
            failing: record.failing.iter().copied().map(moment).collect(),
        }
    }
}

impl TryFrom<wire::RecordRequest> for Record {
    type Error = DecodeError;

    fn try_from(value: wire::RecordRequest) -> Result<Self> {
        let lanes = value.lanes.into_iter().map(take_lane);
        let rows = value.changes.into_iter().map(take_change);
        let failing = value.failing.into_iter().map(take_moment);
        Ok(Self {
            shard: shard(value.shard)?,
            generation: value.generation,
            number: value.number,
            cursor: required(value.cursor, "cursor")?.into(),
            lanes: lanes.collect::<Result<_>>()?,
            rows: rows.collect::<Result<_>>()?,
            failing: failing.collect::<Result<_>>()?,
        })
    }
}

fn change(change: &Change) -> wire::Change {
    let change = match change {
        Change::Put(row) => wire::change::Change::Put((&**row).into()),
        Change::Remove { webhook, message } => wire::change::Change::Removed(wire::Removed {
            webhook: Some((*webhook).into()),
            message: bytes(*message),
        }),
    };
    wire::Change {
        change: Some(change),
    }
}

fn take_change(value: wire::Change) -> Result<Change> {
    Ok(match required(value.change, "change")? {
        wire::change::Change::Put(row) => Change::Put(Box::new(row.try_into()?)),
        wire::change::Change::Removed(it) => Change::Remove {
            webhook: webhook_id(it.webhook)?,
            message: message_id(&it.message)?,
        },
    })
}

impl From<&Undelivered> for wire::Undelivered {
    fn from(row: &Undelivered) -> Self {
        Self {
            webhook: Some(row.webhook.into()),
            message: Some((&row.message).into()),
            attempts: row.attempts.into(),
            due: row.due,
            until: row.until,
        }
    }
}

impl TryFrom<wire::Undelivered> for Undelivered {
    type Error = DecodeError;

    fn try_from(value: wire::Undelivered) -> Result<Self> {
        Ok(Self {
            webhook: webhook_id(value.webhook)?,
            message: required(value.message, "message")?.try_into()?,
            attempts: u8::try_from(value.attempts).unwrap_or(u8::MAX),
            due: value.due,
            until: value.until,
        })
    }
}

impl From<&Message> for wire::Message {
    fn from(message: &Message) -> Self {
        let text = |it: Option<&dyn std::fmt::Display>| it.map(ToString::to_string);
        Self {
            id: bytes(message.id),
            action: message.action.to_string(),
            position: Some(message.position.into()),
            at: message.at,
            repository: text(message.repository.as_ref().map(|it| it as _)).unwrap_or_default(),
            webhook: message
                .webhook
                .as_ref()
                .map(|it| it.as_str().to_owned())
                .unwrap_or_default(),
            tag: text(message.tag.as_ref().map(|it| it as _)).unwrap_or_default(),
            digest: message.digest.map(Into::into),
            size: message.size,
            media_type: text(message.media_type.as_ref().map(|it| it as _)).unwrap_or_default(),
            push: message.push.map(Into::into),
            regions: message.regions.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<wire::Message> for Message {
    type Error = DecodeError;

    fn try_from(it: wire::Message) -> Result<Self> {
        let regions = it.regions.iter().map(|it| text(it, "regions"));
        Ok(Self {
            id: message_id(&it.id)?,
            action: text(&it.action, "action")?,
            position: event_id(it.position, "position")?,
            at: it.at,
            repository: optional(&it.repository, "repository")?,
            webhook: optional(&it.webhook, "webhook")?,
            tag: optional(&it.tag, "tag")?,
            digest: match it.digest {
                Some(it) => Some(digest(Some(it), "digest")?),
                None => None,
            },
            size: it.size,
            media_type: optional(&it.media_type, "media_type")?,
            push: take_event_id(it.push)?,
            regions: regions.collect::<Result<_>>()?,
        })
    }
}

fn take_event_id(value: Option<event::EventId>) -> Result<Option<EventId>> {
    value.map(|it| event_id(Some(it), "push")).transpose()
}
