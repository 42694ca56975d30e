//! The agent: streams and bodies together.
//!
//! Owns how one drives the other: an event that arrives makes wants before it is merged; a batch
//! carries the manifests that are here by then, and waits for them no longer than it is told to;
//! what is merged and not here stays wanted. Everything that is remembered has a bound; what does
//! not fit is found again in the state. Leaves I/O, deadlines and clocks to the shell.

mod drive;
mod inputs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meridian_clock::Region;
use meridian_event::{Envelope, RegistryId};
use meridian_oci::RepositoryName;

use crate::backfill::Backfill;
use crate::dice::Dice;
use crate::fetch::{Body, Class, Fetch, Want, WantId};
use crate::named::{frees, manifest, named};
use crate::stream::{Condition, Cursor, Stream, StreamId};
use crate::{Config, Now};

/// The engine of a replication agent.
///
/// Inputs are method calls; after one or several of them, [`poll`](Self::poll) says what is to be
/// done, and [`wake`](Self::wake) when to poll again though nothing comes.
#[derive(Debug)]
pub struct Agent {
    pub(crate) region: Region,
    config: Config,
    dice: Dice,
    pub(crate) streams: BTreeMap<StreamId, Followed>,
    pub(crate) fetch: Fetch,
    backfill: Backfill,
    /// How many were made, of all streams.
    proposals: u64,
    /// Events that are held and whose bodies are not wanted yet, because there was no room.
    unnamed: BTreeMap<RegistryId, BTreeSet<(StreamId, Cursor)>>,
}

/// A stream that this agent consumes.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) stream: Stream,
    /// Through which place the bodies of events that are next were made urgent.
    hurried: Cursor,
    /// What the proposal in flight carries.
    carried: BTreeSet<Body>,
    ticket: u64,
    reported: Option<Condition>,
    /// Something was told of it since it was looked at.
    is_told: bool,
    /// When it is to be looked at though nothing is told.
    wake: Option<Duration>,
    /// The manifest without which its next event is not proposed yet.
    awaited: Option<Body>,
}

/// How much an agent remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Events that are held.
    pub events: usize,
    /// Their bytes.
    pub event_bytes: usize,
    /// Bodies that are wanted.
    pub wants: usize,
    /// Bytes of manifests that lie in memory, or are about to.
    pub staged_bytes: u64,
    /// Transfers that run.
    pub transfers: usize,
}

// === impl Agent ===

impl Agent {
    /// An agent of `region`. Whatever it leaves to chance follows from `seed`: agents that run at
    /// once are to have different ones.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings, each in words that begin with the key.
    pub fn new(region: Region, config: Config, seed: u64) -> Result<Self, Vec<String>> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut dice = Dice::new(seed);
        Ok(Self {
            region,
            config,
            fetch: Fetch::new(config.fetch, dice.roll()),
            dice,
            streams: BTreeMap::new(),
            backfill: Backfill::new(config.backfill),
            proposals: 0,
            unnamed: BTreeMap::new(),
        })
    }

    /// Another region, from which bodies may come. Known ones stay as they are.
    pub fn add_peer(&mut self, region: Region) {
        if region != self.region {
            self.fetch.add_peer(region);
        }
    }

    /// A region from which nothing comes any more.
    pub fn remove_peer(&mut self, now: Now, region: Region) {
        self.fetch.remove_peer(now, region);
    }

    /// Changes how many bytes per second a peer is asked for, from now on.
    pub fn set_budget(&mut self, region: Region, bytes_per_second: Option<u64>) {
        self.fetch.set_budget(region, bytes_per_second);
    }

    /// Consumes a stream whose cursor stands at `cursor` in the state, from now on. The event log is
    /// to be read from there; from further back does no harm.
    pub fn follow(&mut self, now: Now, id: StreamId, cursor: Cursor) {
        let followed = Followed {
            stream: Stream::new(id, cursor, self.config.stream, now),
            hurried: cursor,
            carried: BTreeSet::new(),
            ticket: 0,
            reported: None,
            is_told: true,
            wake: None,
            awaited: None,
        };
        self.unfollow(id);
        self.streams.insert(id, followed);
    }

    /// Consumes a stream no longer: another agent does. What is under way ends.
    pub fn unfollow(&mut self, id: StreamId) {
        let Some(followed) = self.streams.remove(&id) else {
            return;
        };
        for (place, held) in followed.stream.held() {
            if forget_unnamed(&mut self.unnamed, held.envelope.registry, id, place) {
                continue;
            }
            for want in named(&held.envelope, self.config.fetch.fetch_blobs_early) {
                self.fetch.unnamed(want.body);
            }
        }
    }

    /// Gives up what other agents are to fetch from now on: what is not begun, and no client waits for, and is
    /// wanted where `is_ours` says no. The state wants it still, so that they find it there.
    pub fn leave_to_others(&mut self, is_ours: impl Fn(RegistryId, &RepositoryName) -> bool) {
        self.fetch.leave_to_others(is_ours);
    }

    /// A body that is wanted, with what has to be known to ask the state or a peer for it. Of what
    /// is not wanted any more, nothing is known.
    #[must_use]
    pub fn wanted(&self, body: &Body) -> Option<Want> {
        let entry = self.fetch.entry(body)?;
        Some(entry.want(*body))
    }

    /// Whether anything has come from a region for that long.
    #[must_use]
    pub fn is_silent(&self, now: Now, region: Region, for_that_long: Duration) -> bool {
        let since = now.elapsed.saturating_sub(for_that_long);
        !self.fetch.has_come(region, since)
    }

    /// By which want a body is wanted now.
    #[must_use]
    pub fn want_of(&self, body: &Body) -> Option<WantId> {
        let entry = self.fetch.entry(body)?;
        Some(WantId(entry.order))
    }

    /// Something was merged by other means than events: what it lacks is searched for soon.
    pub fn search(&mut self, now: Now) {
        self.backfill.overflow(now);
    }

    /// How much it remembers. Bounded by its settings, whatever it is told.
    #[must_use]
    pub fn load(&self) -> Load {
        let streams = || self.streams.values().map(|followed| &followed.stream);
        Load {
            events: streams().map(Stream::held_events).sum(),
            event_bytes: streams().map(Stream::held_bytes).sum(),
            wants: self.fetch.wants(),
            staged_bytes: self.fetch.staged_bytes(),
            transfers: self.fetch.transfers(),
        }
    }

    /// Makes wants of what a new event names, if there is room.
    fn name(&mut self, id: StreamId, place: Cursor) {
        let envelope = self
            .streams
            .get(&id)
            .and_then(|followed| followed.stream.envelope(place));
        let Some(envelope) = envelope else {
            return;
        };
        let registry = envelope.registry;
        if self.unnamed.contains_key(&registry) || !self.fetch.admits(registry) {
            self.unnamed
                .entry(registry)
                .or_default()
                .insert((id, place));
            return;
        }
        for want in named(envelope, self.config.fetch.fetch_blobs_early) {
            self.fetch.prefetch(&want);
        }
    }

    /// Makes wants of what waited for room.
    fn name_waiting(&mut self) {
        let registries: Vec<_> = self.unnamed.keys().copied().collect();
        for registry in registries {
            while self.fetch.admits(registry)
                && let Some(waiting) = self.unnamed.get_mut(&registry)
            {
                let first = waiting.pop_first();
                if waiting.is_empty() {
                    self.unnamed.remove(&registry);
                }
                let envelope = first.and_then(|(id, place)| {
                    let followed = self.streams.get(&id)?;
                    followed.stream.envelope(place)
                });
                let Some(envelope) = envelope else {
                    continue;
                };
                for want in named(envelope, self.config.fetch.fetch_blobs_early) {
                    self.fetch.prefetch(&want);
                }
            }
        }
    }

    /// What follows from events that are merged now.
    fn merged(
        &mut self,
        now: Now,
        id: StreamId,
        events: &[std::sync::Arc<Envelope>],
        carried: &BTreeSet<Body>,
    ) {
        for envelope in events {
            let place = Cursor::of(&envelope.id);
            let registry = envelope.registry;
            let was_unnamed = forget_unnamed(&mut self.unnamed, registry, id, place);
            let manifest = manifest(envelope);
            for want in named(envelope, self.config.fetch.fetch_blobs_early) {
                if !was_unnamed {
                    let is_carried = carried.contains(&want.body);
                    self.fetch.merged(now, want.body, is_carried);
                } else if self.fetch.admits(registry) {
                    self.fetch.want(&want, Class::Next);
                } else {
                    self.backfill.overflow(now);
                }
                match manifest {
                    None => self.fetch.expect(now, want.body),
                    Some(manifest) => self.fetch.expect_with(want.body, manifest),
                }
            }
            if frees(&envelope.event) {
                self.fetch.recheck(registry);
            }
        }
    }
}

/// Forgets that an event's bodies are not wanted yet. Says whether they were not.
fn forget_unnamed(
    unnamed: &mut BTreeMap<RegistryId, BTreeSet<(StreamId, Cursor)>>,
    registry: RegistryId,
    id: StreamId,
    place: Cursor,
) -> bool {
    let Some(waiting) = unnamed.get_mut(&registry) else {
        return false;
    };
    let was_waiting = waiting.remove(&(id, place));
    if waiting.is_empty() {
        unnamed.remove(&registry);
    }
    was_waiting
}
