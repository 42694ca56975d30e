//! The events of one shard of one region, on their way into the state here.
//!
//! Owns the order: what is proposed continues the cursor, event by event, in the epoch that the
//! cursor is in. Takes records far ahead of the cursor and in any order, knows what is missing
//! between them, and says when the origin is to be asked for it. Stops where going on would skip
//! something or believe a clock that runs ahead. Leaves bodies to [`fetch`](crate::fetch), and who
//! may consume the stream to [`share`](crate::share): a second consumer does no harm.

mod cursor;
mod exchange;
mod repair;
mod trouble;
mod window;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use meridian_event::Envelope;

use crate::backoff::Backoff;
use crate::dice::Dice;
use crate::guard::{Guard, stands};
use crate::now::earlier;
use crate::rate::Rate;
use crate::{Now, StreamConfig};

pub use cursor::{Cursor, StreamId};
pub use exchange::{Arrival, Offered, Refill, Refilled, Room, Settled};
pub use trouble::{Condition, Halt, ResyncReason};
use window::{Held, Window};

/// The events of one shard of one region.
#[derive(Debug)]
pub(crate) struct Stream {
    id: StreamId,
    config: StreamConfig,
    cursor: Cursor,
    window: Window,
    /// How far the origin is.
    head: Option<Cursor>,
    /// Since when it is known to have more than the cursor.
    ahead_since: Option<Duration>,
    /// When the event log delivered something last.
    delivered: Duration,
    /// When the cursor moved last.
    moved: Duration,
    in_flight: Option<Proposed>,
    proposing: Pace,
    refilling: Pace,
    resyncing: Pace,
    /// The origin has lost what comes next.
    lost: bool,
    halt: Option<Halt>,
    merged: Rate,
}

/// What is proposed and not settled.
#[derive(Debug)]
struct Proposed {
    ticket: u64,
    after: Cursor,
    last: Cursor,
}

/// How something goes that is done one at a time, and again after a while if it fails.
#[derive(Debug, Default)]
struct Pace {
    busy: bool,
    not_before: Duration,
    backoff: Backoff,
}

// === impl Pace ===

impl Pace {
    fn may_begin(&self, now: Now) -> bool {
        !self.busy && now.elapsed >= self.not_before
    }

    fn succeed(&mut self) {
        *self = Self::default();
    }

    fn fail(&mut self, config: &StreamConfig, now: Now, dice: &mut Dice) {
        self.busy = false;
        self.not_before = now.elapsed + self.backoff.fail(&config.backoff, dice);
    }

    /// When to look again, if the thing is to be done from `moment` on.
    fn wake(&self, moment: Duration) -> Option<Duration> {
        (!self.busy).then(|| moment.max(self.not_before))
    }
}

// === impl Stream ===

impl Stream {
    /// The stream whose cursor stands at `cursor` in the state here.
    pub(crate) fn new(id: StreamId, cursor: Cursor, config: StreamConfig, now: Now) -> Self {
        Self {
            id,
            config,
            cursor,
            window: Window::default(),
            head: None,
            ahead_since: None,
            delivered: now.elapsed,
            moved: now.elapsed,
            in_flight: None,
            proposing: Pace::default(),
            refilling: Pace::default(),
            resyncing: Pace::default(),
            lost: false,
            halt: None,
            merged: Rate::default(),
        }
    }

    pub(crate) const fn cursor(&self) -> Cursor {
        self.cursor
    }

    pub(crate) const fn head(&self) -> Option<Cursor> {
        self.head
    }

    pub(crate) const fn merged_rate(&self) -> &Rate {
        &self.merged
    }

    /// What is held, in order.
    pub(crate) fn held(&self) -> impl Iterator<Item = (Cursor, &Held)> {
        self.window.iter()
    }

    pub(crate) fn envelope(&self, place: Cursor) -> Option<&Arc<Envelope>> {
        self.window.get(place).map(|held| &held.envelope)
    }

    pub(crate) fn held_events(&self) -> usize {
        self.window.len()
    }

    pub(crate) const fn held_bytes(&self) -> usize {
        self.window.bytes()
    }

    /// How much it takes now.
    pub(crate) fn room(&self) -> Room {
        if self.halt.is_some() {
            return Room::default();
        }
        self.window.room(&self.config)
    }

    /// Takes a record from the event log.
    pub(crate) fn offer(&mut self, now: Now, arrival: Arrival) -> Offered {
        if self.halt.is_some() {
            return Offered::Stopped;
        }
        let Arrival::Event { envelope, bytes } = arrival else {
            return self.stop_at_undecodable();
        };
        self.delivered = now.elapsed;
        match self.judge(&envelope) {
            Some(offered) => offered,
            None if !self.window.has_room(bytes, &self.config) => Offered::Full,
            None => self.hold(now, envelope, bytes),
        }
    }

    fn stop_at_undecodable(&mut self) -> Offered {
        if !stands(Guard::UndecodableStops) {
            self.cursor.seq += 1;
            return Offered::Known;
        }
        self.halt = Some(Halt::Undecodable);
        Offered::Stopped
    }

    /// What becomes of an event, unless it is new.
    fn judge(&mut self, envelope: &Envelope) -> Option<Offered> {
        let id = envelope.id;
        let place = Cursor::of(&id);
        let is_ours = id.region == self.id.origin && id.shard == self.id.shard;
        if !is_ours || envelope.version.region != id.region || id.seq == 0 {
            self.halt = Some(Halt::Misplaced(id));
            return Some(Offered::Stopped);
        }
        if place <= self.cursor {
            return Some(Offered::Known);
        }
        let held = self.window.get(place)?;
        if *held.envelope != *envelope {
            self.halt = Some(Halt::Diverged(id));
            return Some(Offered::Stopped);
        }
        Some(Offered::Known)
    }

    fn hold(&mut self, now: Now, envelope: Arc<Envelope>, bytes: usize) -> Offered {
        let place = Cursor::of(&envelope.id);
        let arrived = now.elapsed;
        let held = Held {
            envelope,
            bytes,
            arrived,
        };
        self.window.insert(place, held);
        Offered::Taken
    }

    /// Goes on after a halt: the event log is to be consumed again, from the cursor.
    pub(crate) fn retry(&mut self) {
        self.halt = None;
    }

    /// Learns how far the origin is.
    pub(crate) fn learn_head(&mut self, now: Now, head: Cursor) {
        self.head = self.head.max(Some(head));
        if self.head > Some(self.cursor) {
            self.ahead_since.get_or_insert(now.elapsed);
        }
    }

    /// How many events may be proposed now.
    pub(crate) fn ready(&self, now: Now) -> usize {
        if self.in_flight.is_some() || !self.proposing.may_begin(now) {
            return 0;
        }
        self.mergeable(now).count()
    }

    /// The first `count` of them.
    pub(crate) fn next_events(
        &self,
        now: Now,
        count: usize,
    ) -> impl Iterator<Item = &Arc<Envelope>> {
        let next = self.mergeable(now).take(count);
        next.map(|(_, held)| &held.envelope)
    }

    /// Since when the first of them could have been.
    pub(crate) fn ready_since(&self) -> Duration {
        let front = self.window.get(self.cursor.next());
        front.map_or(self.moved, |held| held.arrived.max(self.moved))
    }

    /// What continues the cursor, as far as a batch goes.
    fn mergeable(&self, now: Now) -> impl Iterator<Item = (Cursor, &Held)> {
        let mut expected = self.cursor.next();
        let mut bytes = 0_u64;
        let fits = move |(place, held): &(Cursor, &Held)| {
            if stands(Guard::Consecutive) && *place != expected {
                return false;
            }
            let is_first = bytes == 0;
            bytes += held.bytes.max(1) as u64;
            expected = place.next();
            (is_first || bytes <= self.config.batch_bytes.as_u64()) && !self.is_ahead(now, held)
        };
        let batch = self.window.after(self.cursor).take_while(fits);
        batch.take(self.config.batch_events)
    }

    fn is_ahead(&self, now: Now, held: &Held) -> bool {
        stands(Guard::FutureWaits) && !self.ahead_by(now, held).is_zero()
    }

    /// How long until our clock is near enough to the event's.
    fn ahead_by(&self, now: Now, held: &Held) -> Duration {
        let version = Duration::from_millis(held.envelope.version.millis);
        let allowed = Duration::from_millis(now.millis).saturating_add(self.config.max_ahead);
        version.saturating_sub(allowed)
    }

    /// Takes the first `count` events after the cursor into a proposal, which bears a ticket that
    /// none before it bore: an answer to an earlier one must not pass for its own.
    pub(crate) fn propose(&mut self, now: Now, count: usize, ticket: u64) -> Vec<Arc<Envelope>> {
        let batch = self.mergeable(now).take(count);
        let events: Vec<_> = batch.map(|(_, held)| Arc::clone(&held.envelope)).collect();
        let last = events.last().map_or(self.cursor, |it| Cursor::of(&it.id));
        self.in_flight = Some(Proposed {
            ticket,
            after: self.cursor,
            last,
        });
        events
    }

    /// Learns what became of a proposal. Returns what is merged now.
    pub(crate) fn settle(
        &mut self,
        now: Now,
        ticket: u64,
        settled: Settled,
        dice: &mut Dice,
    ) -> Vec<Arc<Envelope>> {
        let is_awaited = |proposed: &mut Proposed| proposed.ticket == ticket;
        let Some(proposed) = self.in_flight.take_if(is_awaited) else {
            // Late: whatever it says of the cursor may be old.
            return match settled {
                Settled::Applied(cursor) | Settled::Refused(cursor) => self.adopt(now, cursor),
                Settled::Unknown => Vec::new(),
            };
        };
        let merged = match settled {
            Settled::Applied(cursor) => self.adopt(now, cursor),
            Settled::Refused(cursor) => self.step_back_or_adopt(now, &proposed, cursor),
            Settled::Unknown => Vec::new(),
        };
        if self.cursor < proposed.last {
            self.proposing.fail(&self.config, now, dice);
        } else {
            self.proposing.succeed();
        }
        merged
    }

    /// The state knows less than it did when this stream was opened: it was restored. What it lacks
    /// is a gap like any other.
    fn step_back_or_adopt(
        &mut self,
        now: Now,
        proposed: &Proposed,
        cursor: Cursor,
    ) -> Vec<Arc<Envelope>> {
        let is_back = cursor.epoch == self.cursor.epoch && cursor.seq < self.cursor.seq;
        if is_back && self.cursor == proposed.after {
            self.cursor = cursor;
            self.ahead_since.get_or_insert(now.elapsed);
            return Vec::new();
        }
        self.adopt(now, cursor)
    }

    /// Learns where the cursor stands, whoever moved it. What is older than what is known is no
    /// news. Returns what is merged now.
    pub(crate) fn adopt(&mut self, now: Now, cursor: Cursor) -> Vec<Arc<Envelope>> {
        if cursor <= self.cursor && stands(Guard::EpochRises) {
            return Vec::new();
        }
        self.cursor = cursor;
        self.moved = now.elapsed;
        self.lost = false;
        if self.head <= Some(cursor) {
            self.ahead_since = None;
        }
        let merged = self.window.remove_through(cursor);
        self.merged.add(now.elapsed, merged.len() as u64);
        merged
    }

    /// When to look again, though nothing comes.
    pub(crate) fn wake(&self, now: Now) -> Option<Duration> {
        let front = self.window.get(self.cursor.next());
        let merge = front.filter(|_| self.in_flight.is_none()).and_then(|held| {
            // A wall clock may be set: look once a second.
            let ahead = self.ahead_by(now, held).min(Duration::from_secs(1));
            self.proposing.wake(now.elapsed + ahead)
        });
        let is_idle = self.in_flight.is_none() && self.mergeable(now).next().is_none();
        let resync = self.resync_reason().filter(|_| is_idle);
        let resync = resync.and_then(|_| self.resyncing.wake(Duration::ZERO));
        let refill = self.gap().filter(|_| {
            self.halt.is_none() && self.resync_reason().is_none() && stands(Guard::GapRefilled)
        });
        let refill = refill.and_then(|(_, _, due)| self.refilling.wake(due));
        earlier(earlier(merge, refill), resync)
    }

    /// How it is doing.
    pub(crate) fn condition(&self, now: Now) -> Condition {
        if let Some(halt) = self.halt {
            return Condition::Halted(halt);
        }
        if let Some(reason) = self.resync_reason() {
            return Condition::Resyncing(reason);
        }
        if let Some((from, to, due)) = self.gap()
            && (now.elapsed >= due || self.refilling.busy)
        {
            return Condition::Gap { from, to };
        }
        match self.window.get(self.cursor.next()) {
            Some(held) if self.is_ahead(now, held) => Condition::Ahead {
                by: self.ahead_by(now, held) + self.config.max_ahead,
            },
            Some(_) if now.elapsed < self.proposing.not_before => Condition::Refused,
            _ => Condition::Following,
        }
    }
}
