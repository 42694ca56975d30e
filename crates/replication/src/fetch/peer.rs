//! What is known of a peer, and what it is asked for.
//!
//! Keeps that a peer's troubles are its own: its lines, transfers, budget and breaker are nobody
//! else's. A peer that fails several times in a row is left alone for a while; then it is asked one
//! question, and the answer decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meridian_event::RegistryId;

use super::bucket::Bucket;
use super::turns::Turns;
use super::{Body, Class};
use crate::backoff::Backoff;
use crate::dice::Dice;
use crate::rate::Rate;
use crate::{FetchConfig, Now};

/// A region that bodies are fetched from.
#[derive(Debug)]
pub(crate) struct Peer {
    /// What is to be fetched from it, by class.
    pub(super) lines: [Turns; 3],
    pub(super) bucket: Bucket,
    /// How many transfers run.
    pub(super) transfers: usize,
    /// How many may: halved when one stalls, one more whenever one succeeds. A link that is slower
    /// than they are many would else carry too little of each for any to end.
    window: usize,
    /// How many of them no client waits for.
    pub(super) background: usize,
    /// How many of them each registry has, of either sort.
    pub(super) by_registry: BTreeMap<(bool, RegistryId), usize>,
    /// Which bodies it is to be asked after.
    pub(super) to_ask: BTreeSet<(Class, u64, Body)>,
    /// Which it is being asked after.
    pub(super) asked: Option<Vec<Body>>,
    /// When it is not to be sent anything before, because it said so.
    pub(super) paused_until: Duration,
    /// In a row.
    failures: u32,
    /// When it is asked again, if it is left alone.
    open_until: Option<Duration>,
    backoff: Backoff,
    pub(crate) rate: Rate,
    /// When bytes came from it last, in whatever transfer.
    pub(super) progress_at: Duration,
    /// How many bodies it sent that were something else.
    pub(crate) lies: u64,
    /// What went wrong last.
    pub(crate) failure: Option<PeerFailure>,
}

/// What went wrong with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerFailure {
    /// It did not answer a question.
    NoAnswer,
    /// A transfer broke off.
    BrokeOff,
    /// A transfer delivered nothing for too long.
    Stalled,
    /// A body was not what its digest says.
    Corrupt,
}

// === impl Peer ===

impl Peer {
    pub(super) fn new(config: &FetchConfig) -> Self {
        let budget = config.budget.map(|budget| budget.as_u64());
        Self {
            lines: Default::default(),
            bucket: Bucket::new(budget),
            transfers: 0,
            window: config.transfers,
            background: 0,
            by_registry: BTreeMap::new(),
            to_ask: BTreeSet::new(),
            asked: None,
            paused_until: Duration::ZERO,
            failures: 0,
            open_until: None,
            backoff: Backoff::default(),
            rate: Rate::default(),
            progress_at: Duration::ZERO,
            lies: 0,
            failure: None,
        }
    }

    /// Whether it is left alone.
    pub(crate) const fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// For how long it is still left alone.
    #[cfg(test)]
    pub(super) fn rest(&self, now: Now) -> Duration {
        let until = self.open_until.unwrap_or_default();
        until.saturating_sub(now.elapsed)
    }

    /// Whether it may be asked a question.
    pub(super) fn may_be_asked(&self, now: Now) -> bool {
        self.asked.is_none() && self.open_until.is_none_or(|until| until <= now.elapsed)
    }

    /// Whether one more transfer may begin. One for a client always may.
    pub(super) fn may_begin(&self, class: Class, config: &FetchConfig) -> bool {
        let window = self.window.min(config.transfers);
        if class == Class::Demand {
            let is_first = self.transfers == self.background;
            return self.transfers < window || (is_first && self.transfers < config.transfers);
        }
        let reserved = config.transfers - config.background_transfers;
        let background = window.saturating_sub(reserved).max(1);
        self.transfers < window && self.background < background
    }

    /// Whether there is room for one more transfer, however few the link carries side by side.
    pub(super) const fn has_room(&self, config: &FetchConfig) -> bool {
        self.transfers < config.transfers
    }

    /// How many ranges of one body may be under way: fewer where the link carries fewer transfers.
    pub(super) fn ranges(&self, config: &FetchConfig) -> usize {
        config.ranges.min((self.window / 2).max(1))
    }

    /// The link carries too little for as many transfers as run.
    pub(super) fn narrow(&mut self) {
        self.window = (self.window / 2).max(1);
    }

    /// A transfer ended well.
    pub(super) fn complete(&mut self, config: &FetchConfig) {
        self.window = config.transfers.min(self.window + 1);
        self.succeed();
    }

    /// Something went well. Says whether it was left alone until now.
    pub(super) const fn succeed(&mut self) -> bool {
        self.failures = 0;
        self.backoff.succeed();
        self.open_until.take().is_some()
    }

    /// Something went wrong. Says whether it is left alone from now on.
    pub(super) fn fail(
        &mut self,
        now: Now,
        failure: PeerFailure,
        config: &FetchConfig,
        dice: &mut Dice,
    ) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failure = Some(failure);
        if failure == PeerFailure::Stalled {
            self.narrow();
        }
        let was_open = self.is_open();
        if self.failures < config.breaker_failures && !was_open {
            return false;
        }
        // What was under way when it opened says nothing new.
        if !was_open || self.open_until <= Some(now.elapsed) {
            let wait = self.backoff.fail(&config.backoff, dice);
            self.open_until = Some(now.elapsed + wait);
        }
        !was_open
    }

    /// How many bytes one transfer may carry.
    pub(super) fn limit(&self, config: &FetchConfig) -> u64 {
        config.range_bytes.as_u64().min(self.bucket.grain())
    }

    /// From when on a transfer may begin, if not now.
    pub(super) fn not_before(&self, now: Now) -> Option<Duration> {
        let pause = Some(self.paused_until).filter(|until| *until > now.elapsed);
        pause.max(self.bucket.not_before(now.elapsed))
    }

    pub(super) fn count(&mut self, class: Class, registry: RegistryId) {
        let is_demand = class == Class::Demand;
        self.transfers += 1;
        self.background += usize::from(!is_demand);
        *self.by_registry.entry((is_demand, registry)).or_default() += 1;
    }

    pub(super) fn discount(&mut self, class: Class, registry: RegistryId) {
        let is_demand = class == Class::Demand;
        self.transfers -= 1;
        self.background -= usize::from(!is_demand);
        if let Some(count) = self.by_registry.get_mut(&(is_demand, registry)) {
            *count -= 1;
            if *count == 0 {
                self.by_registry.remove(&(is_demand, registry));
            }
        }
    }

    /// When to look again: for what its budget, its wish or its breaker holds back.
    pub(super) fn wake(&self, now: Now, config: &FetchConfig) -> Option<Duration> {
        let has_work = self.lines.iter().any(|lines| !lines.is_empty());
        let may_begin = has_work && self.may_begin(Class::Demand, config) && !self.is_open();
        let transfer = self.not_before(now).filter(|_| may_begin);
        let question = self
            .open_until
            .filter(|_| self.asked.is_none() && !self.to_ask.is_empty());
        crate::now::earlier(transfer, question)
    }
}
