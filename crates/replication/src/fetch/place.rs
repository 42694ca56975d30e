//! From whom a body is to come.
//!
//! A body stands in the line of one peer at a time: of the nearest that has it and is not left
//! alone, and rather not of the one that failed to send it last. When a peer is left alone or goes
//! away, what stood in its line moves on.

use meridian_clock::Region;

use super::entry::State;
use super::peer::{Peer, PeerFailure};
use super::{Body, Class, Fetch, Kind, WantId};
use crate::guard::{Guard, stands};
use crate::{Action, Now};

impl Fetch {
    /// Another region, from which bodies may come.
    pub(crate) fn add_peer(&mut self, region: Region) {
        if self.peers.contains_key(&region) {
            return;
        }
        let mut peer = Peer::new(&self.config);
        for (body, entry) in &self.entries {
            if entry.state == State::Searching {
                peer.to_ask.insert((entry.class, entry.order, *body));
            }
        }
        self.peers.insert(region, peer);
    }

    /// A region from which nothing comes any more.
    pub(crate) fn remove_peer(&mut self, now: Now, region: Region) {
        self.abort_all(now, region);
        let Some(mut peer) = self.peers.remove(&region) else {
            return;
        };
        let queued = drain(&mut peer);
        for entry in self.entries.values_mut() {
            entry.forget_holder(region);
        }
        for body in queued {
            self.place(now, body);
        }
        for (_, _, body) in peer.to_ask {
            self.conclude(now, body);
        }
        for body in peer.asked.into_iter().flatten() {
            self.conclude(now, body);
        }
    }

    /// Changes how many bytes per second a peer is asked for.
    pub(crate) fn set_budget(&mut self, region: Region, budget: Option<u64>) {
        if let Some(peer) = self.peers.get_mut(&region) {
            peer.bucket.set_rate(budget);
        }
    }

    /// Finds out what is to be done next about a body that is not complete, or that may be.
    pub(super) fn place(&mut self, now: Now, body: Body) {
        let Some(entry) = self.entries.get(&body) else {
            return;
        };
        if entry.is_complete() {
            return self.land(body);
        }
        if entry.spans.is_empty() {
            return self.enter(body, State::Busy);
        }
        if !self.reserve(body) {
            return self.enter(body, State::Unstaged);
        }
        match self.choose(body) {
            Some(peer) => self.enter(body, State::Queued(peer)),
            None => self.search(now, body),
        }
    }

    /// Sets memory aside for a manifest whose event is not merged. Says no if there is none.
    fn reserve(&mut self, body: Body) -> bool {
        let limit = self.config.stage_bytes.as_u64();
        let Some(entry) = self.entries.get_mut(&body) else {
            return false;
        };
        let is_staged = entry.kind == Kind::Manifest && entry.unmerged > 0;
        if !is_staged || entry.demands > 0 || entry.reserved > 0 {
            return true;
        }
        let whole = self.staged_bytes.checked_add(entry.size);
        let fits = self.staged_bytes == 0 || whole.is_some_and(|whole| whole <= limit);
        if fits || !stands(Guard::RoomIsLimited) {
            entry.reserved = entry.size;
            self.staged_bytes += entry.size;
        }
        fits || !stands(Guard::RoomIsLimited)
    }

    /// Lets those in for which there is room by now.
    pub(super) fn fill_stage(&mut self, now: Now) {
        while let Some((_, body)) = self.unstaged.first().copied() {
            self.place(now, body);
            if self.unstaged.first().is_some_and(|(_, it)| *it == body) {
                break;
            }
        }
    }

    fn choose(&mut self, body: Body) -> Option<Region> {
        let peers = &self.peers;
        let entry = self.entries.get_mut(&body)?;
        let usable = |region: &Region| peers.get(region).is_some_and(|peer| !peer.is_open());
        let mut usable: Vec<_> = entry.holders().filter(usable).collect();
        usable.sort_by_key(|region| Some(*region) == entry.avoid);
        let chosen = *usable.first()?;
        if let Some(source) = entry.sources.first().filter(|_| entry.solo) {
            if usable.contains(source) && Some(*source) != entry.avoid {
                return Some(*source);
            }
            if *source != chosen && entry.active == 0 {
                entry.restart();
                let want = WantId(entry.order);
                self.outbox.push(Action::Discard { body, want });
            }
        }
        Some(chosen)
    }

    /// A peer failed. If it is left alone from now on, others are to do its work.
    pub(super) fn blame(&mut self, now: Now, region: Region, failure: PeerFailure) {
        let Some(peer) = self.peers.get_mut(&region) else {
            return;
        };
        if !peer.fail(now, failure, &self.config, &mut self.dice) {
            return;
        }
        let queued = drain(peer);
        let to_ask: Vec<_> = peer.to_ask.iter().map(|(_, _, body)| *body).collect();
        self.abort_all(now, region);
        for body in queued {
            self.place(now, body);
        }
        for body in to_ask {
            self.conclude(now, body);
        }
    }

    /// A client waits: what is under way for it already is not waited for as patiently.
    pub(super) fn hurry(&mut self, now: Now, body: Body) {
        for transfer in self.transfers.values_mut() {
            transfer.is_urgent |= transfer.parts.iter().any(|part| part.body == body);
        }
        let state = self.entries.get(&body).map(|entry| entry.state);
        // Whoever demands it knows that it is not here.
        if matches!(state, Some(State::New | State::Unstaged | State::Resting)) {
            self.place(now, body);
        } else if state == Some(State::Searching) {
            match self.choose(body) {
                Some(_) => self.place(now, body),
                None => self.conclude(now, body),
            }
        }
    }
}

fn drain(peer: &mut Peer) -> Vec<Body> {
    let classes = [Class::Demand, Class::Next, Class::Backlog];
    let places = classes.map(|class| peer.lines[class as usize].drain());
    places
        .into_iter()
        .flatten()
        .map(|(_, _, body)| body)
        .collect()
}
