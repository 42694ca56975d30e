//! How replication is doing, for people and for those who wait.
//!
//! Derived from cursors and wants whenever it is asked for, so there is no second account that could
//! be wrong. Costs a pass over what is remembered.

use std::collections::BTreeMap;
use std::time::Duration;

use meridian_clock::Region;
use meridian_event::{Leaf, RegistryId};

use crate::fetch::{Body, PeerFailure, Trouble};
use crate::rate::Rate;
use crate::stream::{Condition, Cursor, StreamId};
use crate::{Agent, Now};

/// A stream on its way into this region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamStatus {
    /// Which.
    pub stream: StreamId,
    /// What is merged here.
    pub cursor: Cursor,
    /// How far the origin is, as far as it is known.
    pub head: Option<Cursor>,
    /// How many events are between the two. At least: of another epoch nobody knows how many.
    pub behind: u64,
    /// How long ago the oldest of those that are here was committed.
    pub age: Option<Duration>,
    /// How many are here, and not merged.
    pub held: usize,
    /// How many are merged per second.
    pub events_per_second: f64,
    /// How long the rest takes at this rate.
    pub eta: Option<Duration>,
    /// How it is doing.
    pub condition: Condition,
}

/// A registry's share of what is on its way from an origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegistryStatus {
    /// Which.
    pub registry: RegistryId,
    /// From where its events come. `None` for bodies of which nobody knows who has them.
    pub origin: Option<Region>,
    /// How many events are here, and not merged.
    pub events: u64,
    /// How long ago the oldest of them was committed.
    pub age: Option<Duration>,
    /// How many bodies are wanted.
    pub bodies: u64,
    /// How many bytes of them are still to come.
    pub bytes: u64,
    /// How many come per second, from wherever.
    pub bytes_per_second: f64,
    /// How long the rest takes at this rate.
    pub eta: Option<Duration>,
    /// What went wrong last with one of them.
    pub trouble: Option<Trouble>,
}

/// A peer, as one that is fetched from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeerStatus {
    /// Which.
    pub region: Region,
    /// It failed too often, and is left alone for a while.
    pub is_left_alone: bool,
    /// How many bytes come per second.
    pub bytes_per_second: f64,
    /// How many bodies it sent that were something else.
    pub lies: u64,
    /// What went wrong last.
    pub failure: Option<PeerFailure>,
}

/// What the state knows of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageFacts<'a> {
    /// In which registry it is.
    pub registry: RegistryId,
    /// Whether the cursor has passed its event.
    pub is_merged: bool,
    /// The bytes of its manifest and of all that it needs.
    pub bytes: u64,
    /// What of that is missing here.
    pub missing: &'a [Leaf],
}

/// How far an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageState {
    /// Its event is not merged here.
    Pending,
    /// Some of its bytes are here.
    Copying {
        /// How many.
        here: u64,
        /// Of how many.
        of: u64,
    },
    /// All of it is here.
    Complete,
    /// Some of it is nowhere to be had. It is looked for again and again.
    Failed(Trouble),
}

impl Agent {
    /// The streams that this agent consumes.
    #[must_use]
    pub fn streams(&self, now: Now) -> Vec<StreamStatus> {
        let streams = self.streams.iter().map(|(id, followed)| {
            let stream = &followed.stream;
            let (cursor, held) = (stream.cursor(), stream.held_events());
            let known = stream.head().filter(|head| head.epoch == cursor.epoch);
            let ahead = known.map_or(0, |head| head.seq.saturating_sub(cursor.seq));
            let behind = ahead.max(held as u64);
            let oldest = stream.held().next();
            let rate = stream.merged_rate();
            StreamStatus {
                stream: *id,
                cursor,
                head: stream.head(),
                behind,
                age: oldest.map(|(_, held)| age_of(now, held.envelope.version.millis)),
                held,
                events_per_second: rate.at(now.elapsed),
                eta: rate.time_for(now.elapsed, behind),
                condition: stream.condition(now),
            }
        });
        streams.collect()
    }

    /// What is on its way for each registry, from each origin: only where something is.
    #[must_use]
    pub fn registries(&self, now: Now) -> Vec<RegistryStatus> {
        let mut rows = BTreeMap::new();
        for (id, followed) in &self.streams {
            for (_, held) in followed.stream.held() {
                let key = (held.envelope.registry, Some(id.origin));
                let row = rows.entry(key).or_insert_with(|| RegistryStatus::of(key));
                let age = age_of(now, held.envelope.version.millis);
                row.events += 1;
                row.age = row.age.max(Some(age));
            }
        }
        for (body, entry) in self.fetch.outstanding() {
            let key = (body.registry, entry.first_holder());
            let row = rows.entry(key).or_insert_with(|| RegistryStatus::of(key));
            row.bodies += 1;
            row.bytes += entry.size.saturating_sub(entry.received);
            row.trouble = entry.trouble.or(row.trouble);
        }
        let finish = |mut row: RegistryStatus| {
            let rate: Rate = self.fetch.rate_of(row.registry);
            row.bytes_per_second = rate.at(now.elapsed);
            row.eta = rate.time_for(now.elapsed, row.bytes);
            row
        };
        rows.into_values().map(finish).collect()
    }

    /// The peers that bodies come from.
    #[must_use]
    pub fn peers(&self, now: Now) -> Vec<PeerStatus> {
        let peers = self.fetch.peers().iter().map(|(region, peer)| PeerStatus {
            region: *region,
            is_left_alone: peer.is_open(),
            bytes_per_second: peer.rate.at(now.elapsed),
            lies: peer.lies,
            failure: peer.failure,
        });
        peers.collect()
    }

    /// How far an image is.
    #[must_use]
    pub fn image(&self, facts: &ImageFacts<'_>) -> ImageState {
        if !facts.is_merged {
            return ImageState::Pending;
        }
        if facts.missing.is_empty() {
            return ImageState::Complete;
        }
        let mut to_come = 0;
        for leaf in facts.missing {
            let body = Body {
                registry: facts.registry,
                digest: leaf.digest,
            };
            let entry = self.fetch.entry(&body);
            if let Some(trouble @ Trouble::Missing) = entry.and_then(|entry| entry.trouble) {
                return ImageState::Failed(trouble);
            }
            let received = entry.map_or(0, |entry| entry.received);
            to_come += leaf.size.saturating_sub(received);
        }
        ImageState::Copying {
            here: facts.bytes.saturating_sub(to_come),
            of: facts.bytes,
        }
    }
}

// === impl RegistryStatus ===

impl RegistryStatus {
    const fn of((registry, origin): (RegistryId, Option<Region>)) -> Self {
        Self {
            registry,
            origin,
            events: 0,
            age: None,
            bodies: 0,
            bytes: 0,
            bytes_per_second: 0.0,
            eta: None,
            trouble: None,
        }
    }
}

fn age_of(now: Now, millis: u64) -> Duration {
    Duration::from_millis(now.millis.saturating_sub(millis))
}
