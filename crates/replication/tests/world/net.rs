//! The ocean: one link to each peer, and the peer at its other end.

use std::collections::{BTreeSet, VecDeque};

use meridian_clock::Region;
use meridian_replication::{Body, End, TransferId};
use rand::RngExt;

use super::tasks::Task;
use super::{MILLI, SECOND, World};

/// How much arrives at once.
const CHUNK: u64 = 256 << 10;

/// A peer, as the agents see it.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) holds: BTreeSet<Body>,
    /// What waits to be sent: to whom, in which life, of which transfer, how much.
    queue: VecDeque<(usize, u32, TransferId, u64)>,
    is_busy: bool,
    pub(crate) dead_until: u64,
    /// Until when it carries a fiftieth.
    pub(crate) slow_until: u64,
    /// Until when what it sends is something else.
    pub(crate) lies_until: u64,
    /// Bodies that it always sends wrong.
    pub(crate) rotten: BTreeSet<Body>,
}

// === impl Link ===

impl Link {
    pub(crate) const fn is_dead(&self, now: u64) -> bool {
        now < self.dead_until
    }
}

impl World {
    /// Has the next piece of a transfer sent.
    pub(super) fn send_next(&mut self, n: usize, id: TransferId) {
        let Some(running) = self.sites[n].transfers.get(&id) else {
            return;
        };
        let peer = running.order.peer;
        let Some(part) = running.order.parts.get(running.part) else {
            // A moment, in which it may be given up.
            return self.later_for(10, n, Task::Complete(id));
        };
        let bytes = (part.end - part.start - running.offset).min(CHUNK);
        let life = self.sites[n].life;
        let link = self.links.get_mut(&peer).unwrap();
        if !link.holds.contains(&part.body) {
            return self.later_for(10, n, Task::Gone(id));
        }
        link.queue.push_back((n, life, id, bytes));
        if !link.is_busy {
            self.carry(peer);
        }
    }

    /// The link carries what is next; what was given up is not sent.
    pub(super) fn carry(&mut self, peer: Region) {
        let sites = &self.sites;
        let is_wanted = |(n, life, id, _): &(usize, u32, TransferId, u64)| {
            sites[*n].life == *life && sites[*n].transfers.contains_key(id)
        };
        let link = self.links.get_mut(&peer).unwrap();
        link.queue.retain(is_wanted);
        link.is_busy = false;
        let Some((n, life, id, bytes)) = link.queue.pop_front() else {
            return;
        };
        link.is_busy = true;
        let is_slow = self.now < link.slow_until;
        let rate = self.plan.rate / if is_slow { 50 } else { 1 };
        let span = bytes * SECOND / rate;
        self.later(span, Some((n, life)), Task::Arrive(id, bytes));
        self.later(span, None, Task::Carry(peer));
    }

    /// Bytes arrive.
    pub(super) fn arrive(&mut self, n: usize, id: TransferId, bytes: u64) {
        let (at, now) = (self.now, self.now());
        let Some(running) = self.sites[n].transfers.get_mut(&id) else {
            return;
        };
        let peer = running.order.peer;
        let link = &self.links[&peer];
        if link.is_dead(at) {
            // Nothing comes, and nobody says so.
            return;
        }
        let part = running.order.parts[running.part].clone();
        let lies = at < link.lies_until || link.rotten.contains(&part.body);
        let start = part.start + running.offset;
        let number = running.part;
        running.offset += bytes;
        if running.offset == part.end - part.start {
            running.part += 1;
            running.offset = 0;
        }
        if !self.sites[n].orphans.contains(&(id, number)) {
            let partial = self.sites[n].partial.entry(part.body).or_default();
            partial.add(start..start + bytes);
            partial.is_tainted |= lies;
        }
        self.wan.push((at, peer, bytes));
        self.sites[n].agent.received(now, id, number, bytes);
        if self.goes_wrong(self.plan.faults.breaks, "a transfer broke off") {
            self.sites[n].transfers.remove(&id);
            self.sites[n].agent.ended(now, id, End::BrokeOff);
        } else if self.goes_wrong(self.plan.faults.breaks / 4, "a peer asked for a pause") {
            self.sites[n].transfers.remove(&id);
            let span = self.random.random_range(1..2_000);
            let span = std::time::Duration::from_millis(span);
            self.sites[n].agent.ended(now, id, End::Busy(span));
        } else {
            self.send_next(n, id);
        }
    }

    pub(super) fn is_gone(&mut self, n: usize, id: TransferId) {
        let now = self.now();
        let Some(running) = self.sites[n].transfers.get_mut(&id) else {
            return;
        };
        let number = running.part;
        running.part += 1;
        running.offset = 0;
        self.seen.insert("a peer had it no more");
        self.sites[n].agent.gone(now, id, number);
        self.send_next(n, id);
    }

    pub(super) fn complete(&mut self, n: usize, id: TransferId) {
        let now = self.now();
        if self.sites[n].transfers.remove(&id).is_some() {
            self.sites[n].agent.ended(now, id, End::Complete);
        }
    }

    /// How long a question to a peer takes; longer if it is never answered.
    pub(super) fn latency(&mut self, dead: bool) -> u64 {
        let jitter = self.random.random_range(0..=self.plan.round_trip / 10);
        if dead {
            SECOND
        } else {
            self.plan.round_trip + jitter
        }
    }

    /// How long something takes here.
    pub(super) fn moment(&mut self) -> u64 {
        self.random.random_range(MILLI / 5..3 * MILLI)
    }
}
