//! One receiver: what goes to it, how much of it at once, and whether anything does.
//!
//! Owns the turns among what waits for the receiver: first attempts and those that are made again alternate,
//! so that neither a backlog nor a stream of pushes starves the other, and so do shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use meridian_event::webhook::{Message, Status, Undelivered};

use crate::breaker::Breaker;
use crate::lane::{Lane, earlier};
use crate::slots::Slots;
use crate::{Config, Subscription};

/// One receiver.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) subscription: Arc<Subscription>,
    pub(crate) lanes: BTreeMap<u16, Lane>,
    pub(crate) breaker: Breaker,
    /// Requests that are under way.
    pub(crate) under_way: usize,
    /// How many of them there may be.
    pub(crate) slots: Slots,
    /// It asked not to be told anything before.
    pub(crate) rests_until: u64,
    pub(crate) failing_since: Option<u64>,
    /// Since when it is well without that having been said again; 0, if it never was.
    pub(crate) well_at: u64,
    /// It is to be disabled, and whoever decides that has not said so yet.
    pub(crate) is_closing: bool,
    /// When it is looked at again by itself.
    pub(crate) timer: Option<u64>,
    /// Whether it waits for its turn.
    pub(crate) has_turn: bool,
    prefers_again: bool,
    last: u16,
}

/// What is attempted.
#[derive(Debug)]
pub(crate) enum Next {
    First(u16, Arc<Message>),
    Again(u16, Box<Undelivered>),
}

// === impl Endpoint ===

impl Endpoint {
    pub(crate) fn new(subscription: Subscription) -> Self {
        Self {
            failing_since: subscription.failing_since,
            subscription: Arc::new(subscription),
            lanes: BTreeMap::new(),
            breaker: Breaker::default(),
            under_way: 0,
            slots: Slots::default(),
            rests_until: 0,
            well_at: 0,
            is_closing: false,
            timer: None,
            has_turn: false,
            prefers_again: false,
            last: 0,
        }
    }

    /// Whether anything is delivered to it.
    pub(crate) fn is_active(&self) -> bool {
        self.subscription.webhook.status == Status::Enabled && !self.is_closing
    }

    pub(crate) fn held(&self) -> usize {
        self.lanes.values().map(Lane::held).sum()
    }

    /// What is attempted next, of shards that have room for what may become of it.
    pub(crate) fn next(&mut self, has_room: impl Fn(u16) -> bool) -> Option<Next> {
        let shards = self.shards().filter(|shard| has_room(*shard));
        let shards: Vec<_> = shards.collect();
        let next = if self.prefers_again {
            self.again(&shards).or_else(|| self.first(&shards))
        } else {
            self.first(&shards).or_else(|| self.again(&shards))
        }?;
        self.prefers_again = matches!(next, Next::First(..));
        Some(next)
    }

    /// All shards that it has lanes in, behind the last that had its turn.
    fn shards(&self) -> impl Iterator<Item = u16> + use<'_> {
        let behind = self.lanes.keys().filter(|shard| **shard > self.last);
        let before = self.lanes.keys().filter(|shard| **shard <= self.last);
        behind.chain(before).copied()
    }

    fn first(&mut self, shards: &[u16]) -> Option<Next> {
        for shard in shards {
            if let Some(message) = self.lanes.get_mut(shard)?.begin() {
                self.last = *shard;
                return Some(Next::First(*shard, message));
            }
        }
        None
    }

    fn again(&mut self, shards: &[u16]) -> Option<Next> {
        for shard in shards {
            if let Some(row) = self.lanes.get_mut(shard)?.again.rows.pop_front() {
                return Some(Next::Again(*shard, Box::new(row)));
            }
        }
        None
    }

    /// The shard of which it is to be read what is due again: one at a time, none while there is some.
    pub(crate) fn due_shard(&self, now: u64) -> Option<u16> {
        let mut lanes = self.lanes.values();
        if lanes.any(|lane| lane.again.asking.is_some() || !lane.again.rows.is_empty()) {
            return None;
        }
        self.shards().find(|shard| {
            let again = &self.lanes[shard].again;
            let is_due = again.due.is_some_and(|due| due <= now);
            is_due && again.out == 0 && again.ask_at <= now
        })
    }

    /// The shard of which the log is to be read.
    pub(crate) fn log_shard(&self, now: u64, config: &Config) -> Option<u16> {
        self.shards().find(|shard| {
            let lane = &self.lanes[shard];
            let has_room = lane.queued() <= config.window / 2;
            lane.behind.is_some() && lane.reading.is_none() && has_room && lane.read_at <= now
        })
    }

    /// When there is something to do that only time brings.
    pub(crate) fn next_moment(&self, now: u64) -> Option<u64> {
        let is_ahead = |moment: &u64| *moment > now;
        let rest = Some(self.rests_until).filter(is_ahead);
        let mut moment = earlier(self.breaker.opens_at().filter(is_ahead), rest);
        for lane in self.lanes.values() {
            let again = &lane.again;
            let is_asked = again.asking.is_some() || again.out > 0;
            let due = again.due.filter(|_| !is_asked);
            moment = earlier(
                moment,
                due.map(|due| due.max(again.ask_at)).filter(is_ahead),
            );
            let read = lane.behind.map(|_| lane.read_at);
            moment = earlier(moment, read.filter(is_ahead));
        }
        moment
    }

    /// Leaves the receiver alone: all that waits for it waits elsewhere.
    pub(crate) fn fall_behind(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.fall_behind();
        }
    }
}
