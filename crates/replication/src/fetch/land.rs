//! What becomes of a body that is complete.
//!
//! Keeps that nothing is stored whose digest was not verified, and that a peer is blamed only for
//! what it alone sent.

use meridian_event::RegistryId;

use super::entry::{Standing, State, Trouble};
use super::peer::PeerFailure;
use super::{Body, Class, Fetch, Kind, Landing, WantId};
use crate::guard::{Guard, stands};
use crate::{Action, Now};

/// What became of a body that was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It is what its digest says, and where it was to go.
    Stored,
    /// It is not what its digest says, and is thrown away.
    Corrupt,
    /// It could not be put away, and what was here of it is lost.
    Failed,
}

impl Fetch {
    /// All of a body is here.
    pub(super) fn land(&mut self, body: Body) {
        let Some(entry) = self.entries.get(&body) else {
            return;
        };
        let is_early = entry.kind == Kind::Manifest && entry.unmerged > 0;
        let landing = if is_early {
            Landing::Stage
        } else {
            Landing::Store
        };
        let (kind, size) = (entry.kind, entry.size);
        self.enter(body, State::Landing(landing));
        self.outbox.push(Action::Finish {
            body,
            kind,
            size,
            landing,
        });
    }

    /// Learns what became of a body that was complete.
    pub(crate) fn finished(&mut self, now: Now, body: Body, finished: Finished) {
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        let State::Landing(landing) = entry.state else {
            return;
        };
        match finished {
            Finished::Stored if landing == Landing::Store => {
                self.remove(body);
            }
            Finished::Stored if entry.unmerged > 0 => self.enter(body, State::Staged),
            // Its event was merged without it meanwhile.
            Finished::Stored => self.store_staged(body),
            Finished::Corrupt if stands(Guard::CorruptDiscarded) => self.reject(now, body),
            Finished::Corrupt => {
                self.remove(body);
            }
            Finished::Failed => {
                entry.restart();
                self.rest(now, body, Trouble::NotStored);
            }
        }
    }

    fn store_staged(&mut self, body: Body) {
        self.enter(body, State::Landing(Landing::Store));
        self.outbox.push(Action::Store { body });
    }

    /// Throws away what is not what its digest says.
    fn reject(&mut self, now: Now, body: Body) {
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        let liar = match entry.sources[..] {
            [liar] if !entry.is_resumed => Some(liar),
            _ => None,
        };
        entry.restart();
        // Who of several lied is found out one by one.
        entry.solo = true;
        let Some(liar) = liar else {
            return self.rest(now, body, Trouble::Missing);
        };
        entry.set_standing(liar, Standing::Lied);
        entry.trouble = Some(Trouble::Corrupt(liar));
        if let Some(peer) = self.peers.get_mut(&liar) {
            peer.lies += 1;
        }
        self.outbox.push(Action::Corrupt { peer: liar, body });
        self.blame(now, liar, PeerFailure::Corrupt);
        self.place(now, body);
    }

    /// An event that names a body was merged; `is_carried` if the body went into the same entry.
    pub(crate) fn merged(&mut self, now: Now, body: Body, is_carried: bool) {
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        entry.unmerged = entry.unmerged.saturating_sub(1);
        if is_carried && entry.state == State::Staged {
            let want = WantId(entry.order);
            self.remove(body);
            self.outbox.push(Action::Discard { body, want });
            return;
        }
        let is_merged = entry.unmerged == 0;
        let state = entry.state;
        self.promote(body, Class::Next);
        match state {
            State::Staged if is_merged => self.store_staged(body),
            State::Unstaged if is_merged => self.place(now, body),
            _ => {}
        }
    }

    /// A blob arrived at its origin, as an event says that is merged now: soon, a manifest may name it.
    pub(crate) fn expect(&mut self, now: Now, body: Body) {
        if let Some(entry) = self.entries.get_mut(&body) {
            entry.expected_until = Some(now.elapsed + self.config.early_grace);
        }
    }

    /// A manifest that names it is merged. Once that is here, the state knows whether it is wanted.
    pub(crate) fn expect_with(&mut self, body: Body, manifest: Body) {
        let is_here = !self.entries.contains_key(&manifest);
        if let Some(entry) = self.entries.get_mut(&body) {
            entry.expected_until = None;
            entry.awaits = Some(manifest).filter(|_| !is_here && body != manifest);
        }
    }

    /// Whether something in a registry was given up while manifests were on their way, of which one is here now: it
    /// may need that.
    pub(crate) fn has_given_up(&mut self, registry: RegistryId) -> bool {
        self.given_up.remove(&registry)
    }

    /// An event that names a body will not be merged from here.
    pub(crate) fn unnamed(&mut self, body: Body) {
        if let Some(entry) = self.entries.get_mut(&body) {
            entry.unmerged = entry.unmerged.saturating_sub(1);
            if entry.unmerged == 0 && entry.state == State::Staged {
                self.store_staged(body);
            }
            self.recheck(body.registry);
        }
    }

    /// The length of a manifest that lies in memory.
    pub(crate) fn staged_size(&self, body: &Body) -> Option<u64> {
        let entry = self.entries.get(body);
        let staged = entry.filter(|entry| entry.state == State::Staged);
        staged.map(|entry| entry.size)
    }

    /// Whether it is worth waiting for a manifest before its event is merged: it is on its way.
    pub(crate) fn may_come(&self, body: &Body) -> bool {
        let entry = self.entries.get(body);
        entry.is_some_and(|entry| {
            let is_held_up = matches!(
                entry.state,
                State::Staged | State::Searching | State::Resting | State::Unstaged
            );
            !is_held_up
        })
    }
}
