//! Looking for a peer that has a body.
//!
//! Each peer is asked after many bodies in one question. A body that none of those has who answer
//! rests for a while; then the state is asked whether it is still wanted, and the peers again.

use std::collections::BTreeSet;
use std::time::Duration;

use meridian_clock::Region;

use super::entry::{Standing, State, Trouble};
use super::peer::{Peer, PeerFailure};
use super::{Body, Fetch};
use crate::{Action, Now};

impl Fetch {
    /// Nobody who could be asked for a body is known to have it.
    pub(super) fn search(&mut self, now: Now, body: Body) {
        self.enter(body, State::Searching);
        let Some(entry) = self.entries.get(&body) else {
            return;
        };
        for (region, peer) in &mut self.peers {
            if matches!(entry.standing(*region), None | Some(Standing::Says)) {
                peer.to_ask.insert((entry.class, entry.order, body));
            }
        }
        self.conclude(now, body);
    }

    /// Lets a body rest for which nobody is left to ask who answers.
    pub(super) fn conclude(&mut self, now: Now, body: Body) {
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        if entry.state != State::Searching {
            return;
        }
        let place = (entry.class, entry.order, body);
        let mut is_certain = !self.peers.is_empty();
        for (region, peer) in &self.peers {
            let is_unasked = peer.to_ask.contains(&place);
            let is_asked = entry.standing(*region) == Some(Standing::Asked);
            if (is_unasked || is_asked) && !peer.is_open() {
                return;
            }
            // What it sent was something else, but it has something.
            let has_lied = entry.standing(*region) == Some(Standing::Lied);
            is_certain &= !is_unasked && !is_asked && !has_lied;
        }
        let trouble = if is_certain {
            Trouble::Missing
        } else {
            Trouble::Unreachable
        };
        entry.trouble = Some(trouble);
        if entry.demands > 0 {
            self.outbox.push(Action::Absent { body, is_certain });
        }
        let wait = self.config.missing_again / 2;
        let again = now.elapsed + wait + self.dice.part_of(wait);
        self.arm(body, again);
    }

    /// Lets a body rest that failed.
    pub(super) fn rest(&mut self, now: Now, body: Body, trouble: Trouble) {
        self.enter(body, State::Resting);
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        entry.trouble = Some(trouble);
        let wait = entry.backoff.fail(&self.config.backoff, &mut self.dice);
        self.arm(body, now.elapsed + wait);
    }

    pub(super) fn ask_peers(&mut self, now: Now) {
        for (region, peer) in &mut self.peers {
            if !peer.may_be_asked(now) {
                continue;
            }
            let mut question = Vec::new();
            while question.len() < self.config.question
                && let Some((_, _, body)) = peer.to_ask.pop_first()
            {
                if let Some(entry) = self.entries.get_mut(&body) {
                    entry.set_standing(*region, Standing::Asked);
                    question.push((body, entry.repository.clone()));
                }
            }
            if question.is_empty() {
                continue;
            }
            peer.asked = Some(question.iter().map(|(body, _)| *body).collect());
            let peer = *region;
            self.outbox.push(Action::Ask {
                peer,
                bodies: question,
            });
        }
    }

    /// Learns which of the bodies that a peer was asked after it has, unless it did not answer.
    pub(crate) fn answered(&mut self, now: Now, region: Region, held: Option<&BTreeSet<Body>>) {
        let Some(peer) = self.peers.get_mut(&region) else {
            return;
        };
        let asked = peer.asked.take().unwrap_or_default();
        // Its answer may be behind what it sends besides.
        let is_busy =
            peer.progress_at > Duration::ZERO && peer.progress_at + self.config.stall > now.elapsed;
        let Some(held) = held else {
            peer.failure = Some(PeerFailure::NoAnswer);
            for body in asked {
                self.ask_again(region, body);
            }
            if !is_busy {
                self.blame(now, region, PeerFailure::NoAnswer);
            }
            return;
        };
        let was_open = peer.succeed();
        for body in asked {
            let Some(entry) = self.entries.get_mut(&body) else {
                continue;
            };
            if held.contains(&body) {
                entry.set_standing(region, Standing::Says);
                self.found(now, body);
            } else {
                entry.set_standing(region, Standing::Gone);
                self.conclude(now, body);
            }
        }
        if was_open {
            self.welcome(now, region);
        }
    }

    /// A peer answered somebody else: it is left alone no longer.
    pub(super) fn has_answered(&mut self, now: Now, region: Region) {
        if self.peers.get_mut(&region).is_some_and(Peer::succeed) {
            self.welcome(now, region);
        }
    }

    /// A question remained unanswered: it is to be asked again, if it still matters.
    fn ask_again(&mut self, region: Region, body: Body) {
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        entry.forget_holder(region);
        if entry.state != State::Searching {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&region) {
            peer.to_ask.insert((entry.class, entry.order, body));
        }
    }

    /// A peer that was left alone is back: what it was known to have is fetched, without asking.
    fn welcome(&mut self, now: Now, region: Region) {
        let Some(peer) = self.peers.get(&region) else {
            return;
        };
        let waiting: Vec<_> = peer.to_ask.iter().map(|(_, _, body)| *body).collect();
        for body in waiting {
            let entry = self.entries.get(&body);
            let standing = entry.and_then(|entry| entry.standing(region));
            if standing == Some(Standing::Says) {
                self.found(now, body);
            }
        }
    }

    fn found(&mut self, now: Now, body: Body) {
        let state = self.entries.get(&body).map(|entry| entry.state);
        if state == Some(State::Searching) {
            self.place(now, body);
        }
    }

    /// The moment, if any, that a body which is looked for rests until.
    #[cfg(test)]
    pub(super) fn rests_until(&self, body: &Body) -> Option<Duration> {
        self.entries.get(body)?.timer
    }
}
