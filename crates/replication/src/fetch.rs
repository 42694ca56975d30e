//! Which bodies are to be had, and from whom.
//!
//! Owns the table of wants: one row per body, however many want it, from the first event that names
//! it until its bytes are in the store. Keeps these: a body is under way once; what a client waits
//! for goes before what is merged next, and that before the rest; registries take turns; each peer
//! has lines, transfers and a budget of its own, so that a slow or dead one delays nobody else; what
//! a peer sent is believed when its digest is right; what is in memory has a bound. Leaves to the
//! state what is wanted at all: it is asked before a body is fetched, and again after deletions.
//!
//! ```text
//!              the state has not           a peer has it            all of it is here
//!   New --> Checking ------------> (place) ------------> Queued/Busy ------------> Landing --> stored
//!    ^                               |  ^                    |                        |
//!    |                               |  | a peer says yes    | broke off              | is not what
//!    |                               v  |                    v                        | its digest says
//!    +--------- in a while ------ Searching              Queued again  <--------------+
//! ```

mod arrive;
mod bucket;
mod check;
mod entry;
mod issue;
mod land;
mod peer;
mod place;
mod search;
mod spans;
mod table;
mod transfer;
mod turns;
mod want;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use meridian_clock::Region;
use meridian_event::RegistryId;

use crate::dice::Dice;
use crate::guard::{Guard, stands};
use crate::now::earlier;
use crate::rate::Rate;
use crate::{Action, FetchConfig, Now};

use entry::{Entry, State};
use peer::Peer;
use transfer::Transfer;

pub use entry::Trouble;
pub use land::Finished;
pub use peer::PeerFailure;
pub use transfer::{End, Order, Part, TransferId};
pub use want::{Body, Class, Kind, Known, Landing, Want, WantId};

/// How many registries' throughput is remembered.
const RATES: usize = 1_024;

/// The table of wants, and who is asked for what.
#[derive(Debug)]
pub(crate) struct Fetch {
    config: FetchConfig,
    dice: Dice,
    entries: BTreeMap<Body, Entry>,
    /// How many of them each registry has.
    by_registry: BTreeMap<RegistryId, usize>,
    /// How many of them a client waits for.
    demanded: usize,
    orders: u64,
    /// Of which the state is to be asked.
    unchecked: BTreeSet<(Class, u64, Body)>,
    checks: BTreeMap<u64, check::Check>,
    checks_begun: u64,
    /// Whose wants are to be checked again, and from which body on.
    rechecks: BTreeMap<RegistryId, check::Recheck>,
    /// Where something was given up that the state did not want, while it wants more.
    given_up: BTreeSet<RegistryId>,
    /// Which rest until when.
    timers: BTreeSet<(Duration, Body)>,
    /// Manifests for which there is no room in memory before they are merged.
    unstaged: BTreeSet<(u64, Body)>,
    staged_bytes: u64,
    peers: BTreeMap<Region, Peer>,
    transfers: BTreeMap<TransferId, Transfer>,
    transfers_begun: u64,
    rates: BTreeMap<RegistryId, Rate>,
    /// What is to be done that was found out between two polls.
    outbox: Vec<Action>,
}

// === impl Fetch ===

impl Fetch {
    pub(crate) fn new(config: FetchConfig, seed: u64) -> Self {
        Self {
            config,
            dice: Dice::new(seed),
            entries: BTreeMap::new(),
            by_registry: BTreeMap::new(),
            demanded: 0,
            orders: 0,
            unchecked: BTreeSet::new(),
            checks: BTreeMap::new(),
            checks_begun: 0,
            rechecks: BTreeMap::new(),
            given_up: BTreeSet::new(),
            timers: BTreeSet::new(),
            unstaged: BTreeSet::new(),
            staged_bytes: 0,
            peers: BTreeMap::new(),
            transfers: BTreeMap::new(),
            transfers_begun: 0,
            rates: BTreeMap::new(),
            outbox: Vec::new(),
        }
    }

    /// Whether a registry may want one more body.
    ///
    /// It may have as many as are left for others: so one that wants everything has half of the
    /// table, two have a third each, and there is always room for a newcomer.
    pub(crate) fn admits(&self, registry: RegistryId) -> bool {
        let left = self.config.wants.saturating_sub(self.entries.len());
        let own = self.by_registry.get(&registry).copied().unwrap_or_default();
        own < left || !stands(Guard::RoomIsLimited)
    }

    /// How many bodies fit.
    pub(crate) const fn capacity(&self) -> usize {
        self.config.wants
    }

    /// How many more bodies fit, if one registry wants them.
    pub(crate) fn room(&self) -> usize {
        self.config.wants.saturating_sub(self.entries.len()) / 2
    }

    /// An event that is not merged names a body.
    pub(crate) fn prefetch(&mut self, want: &Want) {
        self.want(want, Class::Backlog);
        if let Some(entry) = self.entries.get_mut(&want.body) {
            entry.unmerged += 1;
        }
    }

    /// The state is missing a body.
    pub(crate) fn want(&mut self, want: &Want, class: Class) {
        let is_new = !self.entries.contains_key(&want.body);
        if is_new {
            self.insert(want, class);
        } else {
            self.learn_holders(want);
            self.promote(want.body, class);
        }
    }

    /// A search has found that the state is missing a body, which perhaps no event has named to us.
    pub(crate) fn want_found(&mut self, want: &Want) {
        let is_new = !self.entries.contains_key(&want.body);
        self.want(want, Class::Backlog);
        if is_new && let Some(entry) = self.entries.get_mut(&want.body) {
            entry.is_found = true;
        }
    }

    /// A client waits for a body, of which these parts are here, and which its holders said a moment ago that
    /// they have. Says no if too many do.
    pub(crate) fn demand(&mut self, now: Now, want: &Want, parts: &[Range<u64>]) -> bool {
        let is_waited_for = self
            .entries
            .get(&want.body)
            .is_some_and(|entry| entry.demands > 0);
        if !is_waited_for {
            if self.demanded >= self.config.demands && stands(Guard::RoomIsLimited) {
                return false;
            }
            self.demanded += 1;
        }
        let class = if stands(Guard::DemandFirst) {
            Class::Demand
        } else {
            Class::Backlog
        };
        self.want(want, class);
        let entry = self
            .entries
            .get_mut(&want.body)
            .expect("it was wanted just now");
        entry.demands = entry.demands.saturating_add(1);
        if matches!(entry.state, State::New | State::Checking) {
            entry.resume(parts);
        }
        for holder in &want.holders {
            entry.holder_says(*holder);
        }
        for holder in &want.holders {
            self.has_answered(now, *holder);
        }
        self.hurry(now, want.body);
        true
    }

    /// A client waits no longer.
    pub(crate) fn release(&mut self, body: Body) {
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        if entry.demands == 0 {
            return;
        }
        entry.demands -= 1;
        if entry.demands == 0 {
            self.demanded -= 1;
            self.reclass(body, Class::Next);
            self.recheck(body.registry);
        }
    }

    /// How many ranges of a body that a client waits for may be under way: so few that each one that is waited
    /// for has one.
    fn share(&self) -> usize {
        let all = self.config.transfers.min(self.config.registry_transfers);
        let each = all / self.demanded.max(1);
        each.clamp(1, self.config.ranges)
    }

    /// Whether something has come from a peer since then.
    pub(crate) fn has_come(&self, peer: Region, since: Duration) -> bool {
        let peer = self.peers.get(&peer);
        peer.is_some_and(|peer| peer.progress_at > since)
    }

    /// A peer has a body.
    pub(crate) fn learn_holder(&mut self, now: Now, body: Body, peer: Region) {
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        entry.holder_says(peer);
        if matches!(entry.state, State::Searching | State::Resting) {
            self.place(now, body);
        }
    }

    /// A body is more urgent than it was, or as urgent.
    pub(crate) fn promote(&mut self, body: Body, class: Class) {
        let former = self.entries.get(&body).map(|entry| entry.class);
        if former > Some(class) {
            self.reclass(body, class);
        }
    }

    /// What is to be done now.
    pub(crate) fn poll(&mut self, now: Now) -> Vec<Action> {
        self.end_rests(now);
        self.end_stalls(now);
        self.fill_stage(now);
        self.ask_the_state(now);
        self.ask_peers(now);
        self.issue(now);
        std::mem::take(&mut self.outbox)
    }

    /// When to look again, though nothing comes.
    pub(crate) fn wake(&self, now: Now) -> Option<Duration> {
        let rest = self.timers.first().map(|(moment, _)| *moment);
        let stalls = self.transfers.values().map(|it| self.stalls_at(it));
        let stall = stalls.min().filter(|_| stands(Guard::StallsEnd));
        let peers = self.peers.values();
        let peer = peers.filter_map(|peer| peer.wake(now, &self.config)).min();
        let moments = [rest, stall, peer, self.next_recheck()];
        moments.into_iter().fold(None, earlier)
    }

    /// Remembers how fast a registry's bodies come.
    fn measure(&mut self, now: Now, registry: RegistryId, bytes: u64) {
        if self.rates.len() >= RATES && !self.rates.contains_key(&registry) {
            let slowest = |a: &(_, &Rate), b: &(_, &Rate)| {
                a.1.at(now.elapsed).total_cmp(&b.1.at(now.elapsed))
            };
            if let Some(slowest) = self.rates.iter().min_by(slowest).map(|(id, _)| *id) {
                self.rates.remove(&slowest);
            }
        }
        self.rates
            .entry(registry)
            .or_default()
            .add(now.elapsed, bytes);
    }

    // What others see of it.

    pub(crate) fn wants(&self) -> usize {
        self.entries.len()
    }

    pub(crate) const fn staged_bytes(&self) -> u64 {
        self.staged_bytes
    }

    pub(crate) fn transfers(&self) -> usize {
        self.transfers.len()
    }

    pub(crate) fn rate_of(&self, registry: RegistryId) -> Rate {
        self.rates.get(&registry).copied().unwrap_or_default()
    }

    pub(crate) fn outstanding(&self) -> impl Iterator<Item = (&Body, &Entry)> {
        self.entries.iter()
    }

    pub(crate) fn entry(&self, body: &Body) -> Option<&Entry> {
        self.entries.get(body)
    }

    pub(crate) const fn peers(&self) -> &BTreeMap<Region, Peer> {
        &self.peers
    }
}
