//! What agents tell one another, within a region and between regions.
//!
//! Owns the messages of `meridian.replication.v1` that more than one of its services has: how far a
//! region is, its events, content, and what is known of it. Leaves what only the metadata is asked
//! to its neighbours.

mod copy;
mod found;
mod stance;

pub use copy::{copy_limit, copy_request, take_copy_request};
pub use found::{find_request, found, take_find_request, take_found};
pub use stance::{level_request, take_level_request, take_meet_request};

use meridian_clock::Region;
use meridian_event::SHARDS;
use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::{DecodeError, leaf, registry, required, text};

use super::Result;
use crate::replica::{Content, ContentKind, CursorAt, EventRange, Events, Place, Progress};

/// The greatest total of events that an adapter asks its service for. One event more fits a
/// message, too.
const MOST_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// How many bytes of events are wanted.
#[must_use]
pub fn event_bytes(value: u64) -> usize {
    usize::try_from(value)
        .unwrap_or(usize::MAX)
        .min(MOST_EVENT_BYTES)
}

fn shard(value: u32, field: &'static str) -> Result<u16> {
    u16::try_from(value).map_err(|_| DecodeError::Invalid(field))
}

impl From<Place> for pb::Place {
    fn from(place: Place) -> Self {
        Self {
            epoch: place.epoch,
            seq: place.seq,
        }
    }
}

impl From<pb::Place> for Place {
    fn from(value: pb::Place) -> Self {
        Self {
            epoch: value.epoch,
            seq: value.seq,
        }
    }
}

impl From<CursorAt> for pb::Cursor {
    fn from(cursor: CursorAt) -> Self {
        Self {
            origin: cursor.origin.to_string(),
            shard: cursor.shard.into(),
            place: Some(cursor.place.into()),
        }
    }
}

impl TryFrom<pb::Cursor> for CursorAt {
    type Error = DecodeError;

    fn try_from(value: pb::Cursor) -> Result<Self> {
        Ok(Self {
            origin: text(&value.origin, "cursor.origin")?,
            shard: shard(value.shard, "cursor.shard")?,
            place: required(value.place, "cursor.place")?.into(),
        })
    }
}

impl From<Progress> for pb::GetProgressResponse {
    fn from(progress: Progress) -> Self {
        Self {
            region: progress.region.to_string(),
            heads: progress.heads.into_iter().map(Into::into).collect(),
            cursors: progress.cursors.into_iter().map(Into::into).collect(),
            stance: Some(progress.stance.into()),
        }
    }
}

impl TryFrom<pb::GetProgressResponse> for Progress {
    type Error = DecodeError;

    fn try_from(value: pb::GetProgressResponse) -> Result<Self> {
        if value.heads.len() != usize::from(SHARDS) {
            return Err(DecodeError::Invalid("heads"));
        }
        let cursors = value.cursors.into_iter().map(TryInto::try_into);
        Ok(Self {
            region: text::<Region>(&value.region, "region")?,
            heads: value.heads.into_iter().map(Into::into).collect(),
            cursors: cursors.collect::<Result<_>>()?,
            stance: required(value.stance, "stance")?.try_into()?,
        })
    }
}

impl From<&EventRange> for pb::ListEventsRequest {
    fn from(range: &EventRange) -> Self {
        Self {
            shard: range.shard.into(),
            epoch: range.epoch,
            from: range.from,
            to: range.to,
            max_bytes: range.max_bytes as u64,
        }
    }
}

impl TryFrom<pb::ListEventsRequest> for EventRange {
    type Error = DecodeError;

    fn try_from(value: pb::ListEventsRequest) -> Result<Self> {
        Ok(Self {
            shard: shard(value.shard, "shard")?,
            epoch: value.epoch,
            from: value.from,
            to: value.to,
            max_bytes: event_bytes(value.max_bytes),
        })
    }
}

impl From<Events> for pb::ListEventsResponse {
    fn from(events: Events) -> Self {
        match events {
            Events::Here(events) => Self {
                events: events.iter().map(Into::into).collect(),
                gone: false,
            },
            Events::Gone => Self {
                events: Vec::new(),
                gone: true,
            },
        }
    }
}

impl TryFrom<pb::ListEventsResponse> for Events {
    type Error = DecodeError;

    fn try_from(value: pb::ListEventsResponse) -> Result<Self> {
        match (value.gone, value.events.is_empty()) {
            (true, true) => Ok(Self::Gone),
            (true, false) => Err(DecodeError::Invalid("gone")),
            (false, _) => {
                let events = value.events.into_iter().map(TryInto::try_into);
                events.collect::<Result<_>>().map(Self::Here)
            }
        }
    }
}

impl From<ContentKind> for pb::ContentKind {
    fn from(kind: ContentKind) -> Self {
        match kind {
            ContentKind::Manifest => Self::Manifest,
            ContentKind::Blob => Self::Blob,
        }
    }
}

fn content_kind(value: i32) -> Result<ContentKind> {
    match pb::ContentKind::try_from(value) {
        Ok(pb::ContentKind::Manifest) => Ok(ContentKind::Manifest),
        Ok(pb::ContentKind::Blob) => Ok(ContentKind::Blob),
        Ok(pb::ContentKind::Unspecified) | Err(_) => Err(DecodeError::Invalid("content.kind")),
    }
}

impl From<Content> for pb::Content {
    fn from(content: Content) -> Self {
        Self {
            registry: Some(content.registry.into()),
            repository: content.repository.into(),
            kind: pb::ContentKind::from(content.kind).into(),
            leaf: Some(content.leaf.into()),
        }
    }
}

impl TryFrom<pb::Content> for Content {
    type Error = DecodeError;

    fn try_from(value: pb::Content) -> Result<Self> {
        Ok(Self {
            registry: registry(value.registry, "content.registry")?,
            repository: text(&value.repository, "content.repository")?,
            kind: content_kind(value.kind)?,
            leaf: leaf(value.leaf, "content.leaf")?,
        })
    }
}

#[cfg(test)]
mod tests;
