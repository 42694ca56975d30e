//! The rows of the table of wants, and the lists in which they stand.
//!
//! Keeps that a row stands in the lists of its state, and in no other, however it gets there.

use std::time::Duration;

use super::entry::{Entry, State};
use super::turns::Place;
use super::{Body, Class, Fetch, Want};
use crate::Now;
use crate::guard::{Guard, stands};

impl Fetch {
    pub(super) fn reclass(&mut self, body: Body, class: Class) {
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        let former = std::mem::replace(&mut entry.class, class);
        let place @ (_, order, _) = entry.place(body);
        let [old, new] = [former, class].map(|class| (class, order, body));
        match entry.state {
            State::New => {
                self.unchecked.remove(&old);
                self.unchecked.insert(new);
            }
            State::Queued(peer) => {
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.lines[former as usize].remove(&place);
                    peer.lines[class as usize].insert(place);
                }
            }
            State::Searching => {
                for peer in self.peers.values_mut() {
                    if peer.to_ask.remove(&old) {
                        peer.to_ask.insert(new);
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn insert(&mut self, want: &Want, class: Class) {
        self.orders += 1;
        let mut entry = Entry::new(want, class, self.orders);
        for holder in &want.holders {
            entry.holder_says(*holder);
        }
        self.entries.insert(want.body, entry);
        *self.by_registry.entry(want.body.registry).or_default() += 1;
        self.unchecked.insert((class, self.orders, want.body));
    }

    pub(super) fn learn_holders(&mut self, want: &Want) {
        let Some(entry) = self.entries.get_mut(&want.body) else {
            return;
        };
        for holder in &want.holders {
            entry.holder_named(*holder);
        }
        entry.measure(want.size);
        if !stands(Guard::SingleFlight) {
            entry.restart();
        }
    }

    /// Forgets a body: it is stored, or nobody wants it.
    pub(super) fn remove(&mut self, body: Body) -> Option<Entry> {
        self.leave(body);
        let entry = self.entries.remove(&body)?;
        self.staged_bytes -= entry.reserved;
        self.demanded -= usize::from(entry.demands > 0);
        if let Some(count) = self.by_registry.get_mut(&body.registry) {
            *count -= 1;
            if *count == 0 {
                self.by_registry.remove(&body.registry);
                self.given_up.remove(&body.registry);
            }
        }
        Some(entry)
    }

    /// Takes a body out of wherever it waits.
    pub(super) fn leave(&mut self, body: Body) {
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        let place @ (_, order, _) = entry.place(body);
        let class = entry.class;
        if let Some(moment) = entry.timer.take() {
            self.timers.remove(&(moment, body));
        }
        match entry.state {
            State::New => {
                self.unchecked.remove(&(class, order, body));
            }
            State::Unstaged => {
                self.unstaged.remove(&(order, body));
            }
            State::Queued(peer) => {
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.lines[class as usize].remove(&place);
                }
            }
            State::Searching => {
                for peer in self.peers.values_mut() {
                    peer.to_ask.remove(&(class, order, body));
                }
            }
            _ => {}
        }
    }

    /// Moves a body to another state.
    pub(super) fn enter(&mut self, body: Body, state: State) {
        self.leave(body);
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        entry.state = state;
        let place @ (_, order, _): Place = entry.place(body);
        let class = entry.class;
        match state {
            State::New => {
                self.unchecked.insert((class, order, body));
            }
            State::Unstaged => {
                self.unstaged.insert((order, body));
            }
            State::Queued(peer) => {
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.lines[class as usize].insert(place);
                }
            }
            _ => {}
        }
    }

    /// Lets a body rest until a moment, after which the state is asked again.
    pub(super) fn arm(&mut self, body: Body, moment: Duration) {
        if let Some(entry) = self.entries.get_mut(&body) {
            if let Some(former) = entry.timer.replace(moment) {
                self.timers.remove(&(former, body));
            }
            self.timers.insert((moment, body));
        }
    }

    pub(super) fn end_rests(&mut self, now: Now) {
        while let Some((moment, body)) = self.timers.first().copied()
            && moment <= now.elapsed
        {
            self.timers.pop_first();
            if let Some(entry) = self.entries.get_mut(&body) {
                entry.timer = None;
                entry.forget_refusals();
                self.enter(body, State::New);
            }
        }
    }
}
