//! What comes of a transfer, and what becomes of what does not.
//!
//! Keeps that bytes count once and go on where they broke off.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meridian_clock::Region;

use super::entry::{Entry, Standing, State, Trouble};
use super::peer::PeerFailure;
use super::transfer::UnderWay;
use super::{Body, Class, End, Fetch, Transfer, TransferId};
use crate::guard::{Guard, stands};
use crate::{Action, Now};

impl Fetch {
    /// More bytes of a part came, in order, and are kept.
    pub(crate) fn received(&mut self, now: Now, id: TransferId, part: usize, bytes: u64) {
        let Some(transfer) = self.transfers.get_mut(&id) else {
            return;
        };
        let (region, registry) = (transfer.peer, transfer.registry);
        let Some(part) = transfer.parts.get_mut(part).filter(|it| !it.is_closed) else {
            return;
        };
        let bytes = bytes.min(part.end - part.start - part.received);
        part.received += bytes;
        part.is_closed = part.received == part.end - part.start;
        let (body, order, is_closed) = (part.body, part.order, part.is_closed);
        transfer.progress_at = now.elapsed;
        transfer.has_progress |= bytes > 0;
        if let Some(peer) = self.peers.get_mut(&region) {
            peer.rate.add(now.elapsed, bytes);
            if bytes > 0 {
                peer.progress_at = now.elapsed;
            }
        }
        self.measure(now, registry, bytes);
        let entry = self.entries.get_mut(&body);
        let Some(entry) = entry.filter(|entry| entry.order == order) else {
            return;
        };
        entry.received += bytes;
        if !entry.sources.contains(&region) {
            entry.sources.push(region);
        }
        if is_closed {
            entry.active -= 1;
            self.go_on(now, body);
        }
    }

    /// The peer has not got the body of a part.
    pub(crate) fn gone(&mut self, now: Now, id: TransferId, part: usize) {
        let Some(transfer) = self.transfers.get_mut(&id) else {
            return;
        };
        let region = transfer.peer;
        transfer.progress_at = now.elapsed;
        let Some(part) = transfer.parts.get_mut(part).filter(|it| !it.is_closed) else {
            return;
        };
        part.is_closed = true;
        let body = part.body;
        if give_back(&mut self.entries, part)
            && let Some(entry) = self.entries.get_mut(&body)
        {
            entry.set_standing(region, Standing::Gone);
            // The line that it stands in, if it does, is that peer's.
            self.place(now, body);
        }
    }

    /// There is no room for a part here. The body is tried again in a while.
    pub(crate) fn no_room(&mut self, now: Now, id: TransferId, part: usize) {
        let Some(transfer) = self.transfers.get_mut(&id) else {
            return;
        };
        transfer.progress_at = now.elapsed;
        let Some(part) = transfer.parts.get_mut(part).filter(|it| !it.is_closed) else {
            return;
        };
        part.is_closed = true;
        let body = part.body;
        if give_back(&mut self.entries, part)
            && let Some(entry) = self.entries.get(&body)
            && matches!(entry.state, State::Busy | State::Queued(_))
        {
            self.rest(now, body, Trouble::NoRoom);
        }
    }

    /// A transfer has ended.
    pub(crate) fn ended(&mut self, now: Now, id: TransferId, end: End) {
        let failure = (end == End::BrokeOff).then_some(PeerFailure::BrokeOff);
        if let (End::Busy(span), Some(transfer)) = (end, self.transfers.get(&id))
            && let Some(peer) = self.peers.get_mut(&transfer.peer)
        {
            peer.paused_until = now.elapsed + span;
        }
        self.end(now, id, end, failure);
    }

    /// Gives up what says nothing.
    pub(super) fn end_stalls(&mut self, now: Now) {
        if !stands(Guard::StallsEnd) {
            return;
        }
        let stalled = self.transfers.iter();
        let stalled = stalled.filter(|(_, transfer)| self.stalls_at(transfer) <= now.elapsed);
        let stalled: Vec<_> = stalled.map(|(id, it)| (*id, self.patience(it))).collect();
        let mut blamed = BTreeSet::new();
        for (id, patience) in stalled {
            // The first of them may have ended the others.
            let Some(transfer) = self.transfers.get_mut(&id) else {
                continue;
            };
            let Some(peer) = self.peers.get_mut(&transfer.peer) else {
                continue;
            };
            // It is no fault of the peer that its link is too thin for so many; and who is tried elsewhere soon
            // does not say as much as who is waited for.
            let is_slow = peer.progress_at + patience > now.elapsed;
            let is_hasty = patience < self.config.stall;
            let failure = if is_slow || (is_hasty && !blamed.insert(transfer.peer)) {
                peer.narrow();
                transfer.has_progress = true;
                None
            } else {
                Some(PeerFailure::Stalled)
            };
            self.outbox.push(Action::Abort { transfer: id });
            self.end(now, id, End::BrokeOff, failure);
        }
    }

    /// When a transfer is given up, unless something comes.
    pub(super) fn stalls_at(&self, transfer: &Transfer) -> Duration {
        let peer = self.peers.get(&transfer.peer);
        let progress_at = peer.map_or(Duration::ZERO, |peer| peer.progress_at);
        transfer.stalls_at(progress_at, self.patience(transfer))
    }

    /// How long a transfer may deliver nothing, while nothing else comes from its peer either: not long, if a
    /// client waits and somebody else may have it.
    fn patience(&self, transfer: &Transfer) -> Duration {
        let other = |region: Region| {
            let peer = self.peers.get(&region);
            region != transfer.peer && peer.is_some_and(|peer| !peer.is_open())
        };
        let has_other = |part: &UnderWay| {
            let entry = self.entries.get(&part.body);
            !part.is_closed && entry.is_some_and(|entry| entry.holders().any(other))
        };
        match transfer.is_waited_for() && transfer.parts.iter().any(has_other) {
            true => self.config.demand_stall,
            false => self.config.stall,
        }
    }

    fn end(&mut self, now: Now, id: TransferId, end: End, failure: Option<PeerFailure>) {
        let Some(transfer) = self.transfers.remove(&id) else {
            return;
        };
        let region = transfer.peer;
        if let Some(peer) = self.peers.get_mut(&region) {
            peer.discount(transfer.class, transfer.registry);
        }
        let open: Vec<_> = transfer.parts.iter().filter(|it| !it.is_closed).collect();
        let is_whole = open.is_empty() && end == End::Complete;
        let mut broken = Vec::new();
        for part in open {
            if give_back(&mut self.entries, part) {
                broken.push((part.body, part.received > 0));
            }
        }
        if is_whole {
            if let Some(peer) = self.peers.get_mut(&region) {
                peer.complete(&self.config);
            }
        } else if !matches!(end, End::Busy(_)) {
            let failure = failure.unwrap_or(PeerFailure::BrokeOff);
            // A link that carries something is not dead, however often it breaks.
            if !transfer.has_progress || failure == PeerFailure::Stalled {
                self.blame(now, region, failure);
            }
        }
        let is_busy = matches!(end, End::Busy(_));
        for (body, has_progress) in broken {
            self.go_on_elsewhere(now, body, region, has_progress || is_busy);
        }
    }

    /// A range broke off: the rest is to come from somebody else, or from the same peer after a
    /// while.
    fn go_on_elsewhere(&mut self, now: Now, body: Body, region: Region, at_once: bool) {
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        if !at_once {
            entry.avoid = Some(region);
            entry.trouble = Some(Trouble::BrokeOff(region));
        }
        let others = entry.holders().any(|it| it != region);
        if at_once || others || entry.active > 0 {
            self.go_on(now, body);
        } else if matches!(entry.state, State::Busy | State::Queued(_)) {
            self.rest(now, body, Trouble::BrokeOff(region));
        }
    }

    /// Part of a body came or did not: on with the rest.
    fn go_on(&mut self, now: Now, body: Body) {
        let Some(entry) = self.entries.get(&body) else {
            return;
        };
        let is_in_line = match entry.state {
            State::Queued(peer) => self.peers.get(&peer).is_some_and(|it| !it.is_open()),
            State::Busy if entry.is_complete() => false,
            // Others wait as well: it is to go on with fewer ranges than it has.
            State::Busy if entry.class == Class::Demand && entry.active >= self.share() => return,
            State::Busy => false,
            _ => return,
        };
        if entry.is_complete() || !is_in_line {
            self.place(now, body);
        }
    }

    /// Ends a transfer that nobody needs; what came of it is kept.
    pub(super) fn abort(&mut self, id: TransferId) -> Vec<Body> {
        let Some(transfer) = self.transfers.remove(&id) else {
            return Vec::new();
        };
        self.outbox.push(Action::Abort { transfer: id });
        if let Some(peer) = self.peers.get_mut(&transfer.peer) {
            peer.discount(transfer.class, transfer.registry);
        }
        let mut broken = Vec::new();
        for part in transfer.parts.iter().filter(|part| !part.is_closed) {
            if give_back(&mut self.entries, part) {
                broken.push(part.body);
            }
        }
        broken
    }

    /// Ends all transfers from a peer that is left alone.
    pub(super) fn abort_all(&mut self, now: Now, region: Region) {
        let its = self.transfers.iter().filter(|(_, it)| it.peer == region);
        let its: Vec<_> = its.map(|(id, _)| *id).collect();
        for id in its {
            for body in self.abort(id) {
                self.go_on(now, body);
            }
        }
    }
}

/// Gives what did not come back to its body. Says whether that still waits for it.
fn give_back(entries: &mut BTreeMap<Body, Entry>, part: &UnderWay) -> bool {
    let entry = entries.get_mut(&part.body);
    let Some(entry) = entry.filter(|entry| entry.order == part.order) else {
        return false;
    };
    entry.active -= 1;
    if stands(Guard::Resumes) {
        entry.spans.give(part.start + part.received..part.end);
    } else {
        entry.received -= part.received.min(entry.received);
        entry.spans.give(part.start..part.end);
    }
    true
}
