//! The events that are here and not merged.
//!
//! Keeps the bound on their number and their bytes; the origin's answers may exceed it by one
//! refill, or else a gap before a full window could never be closed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use meridian_event::Envelope;

use super::{Cursor, Room};
use crate::StreamConfig;
use crate::guard::{Guard, stands};

/// An event that is here.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) envelope: Arc<Envelope>,
    pub(super) bytes: usize,
    pub(super) arrived: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Window {
    held: BTreeMap<Cursor, Held>,
    bytes: usize,
}

// === impl Window ===

impl Window {
    pub(super) fn iter(&self) -> impl Iterator<Item = (Cursor, &Held)> {
        self.held.iter().map(|(place, held)| (*place, held))
    }

    /// What lies beyond a place, in order, whatever is missing between.
    pub(super) fn after(&self, place: Cursor) -> impl Iterator<Item = (Cursor, &Held)> {
        let beyond = (Bound::Excluded(place), Bound::Unbounded);
        self.held.range(beyond).map(|(place, held)| (*place, held))
    }

    pub(super) fn get(&self, place: Cursor) -> Option<&Held> {
        self.held.get(&place)
    }

    pub(super) fn last(&self) -> Option<Cursor> {
        self.held.last_key_value().map(|(place, _)| *place)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn room(&self, config: &StreamConfig) -> Room {
        let bytes = usize::try_from(config.window_bytes.as_u64()).unwrap_or(usize::MAX);
        Room {
            events: config.window_events.saturating_sub(self.held.len()),
            bytes: bytes.saturating_sub(self.bytes),
        }
    }

    /// Whether an event of so many bytes fits. The first always does.
    pub(super) fn has_room(&self, bytes: usize, config: &StreamConfig) -> bool {
        let room = self.room(config);
        self.held.is_empty()
            || (room.events > 0 && room.bytes >= bytes)
            || !stands(Guard::RoomIsLimited)
    }

    pub(super) fn insert(&mut self, place: Cursor, held: Held) {
        self.bytes += held.bytes;
        if let Some(former) = self.held.insert(place, held) {
            self.bytes -= former.bytes;
        }
    }

    /// Removes all up to a place.
    pub(super) fn remove_through(&mut self, place: Cursor) -> Vec<Arc<Envelope>> {
        let mut removed = Vec::new();
        while let Some(entry) = self.held.first_entry()
            && *entry.key() <= place
        {
            let held = entry.remove();
            self.bytes -= held.bytes;
            removed.push(held.envelope);
        }
        removed
    }
}
