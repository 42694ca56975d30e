//! What the state says of the bodies that are wanted.
//!
//! The state is the authority on what is wanted, and what is here. It is asked before a body is
//! fetched, many at a time; and again after something was deleted in their registry, because to
//! keep here which manifests name a body would be a second, and worse, account of that. What an
//! event names that is not merged yet, the state cannot know.

use std::collections::BTreeSet;
use std::time::Duration;

use meridian_event::RegistryId;
use meridian_oci::{Digest, RepositoryName};

use super::entry::{Entry, State, Trouble};
use super::transfer::{Transfer, UnderWay};
use super::{Body, Fetch, Kind, Known, WantId};
use crate::guard::{Guard, stands};
use crate::{Action, Now};

/// How many questions to the state are under way at once.
const CHECKS: usize = 4;

/// A question to the state.
#[derive(Debug)]
pub(super) struct Check {
    bodies: Vec<Body>,
    /// Whose wants are checked again.
    recheck: Option<RegistryId>,
}

/// How far the wants of a registry are checked again.
#[derive(Debug, Default)]
pub(super) struct Recheck {
    /// The last that was.
    after: Option<Body>,
    not_before: Duration,
    is_busy: bool,
    /// Once more from the beginning.
    is_again: bool,
}

impl Fetch {
    /// Something was deleted in a registry: what it wants may be wanted no more.
    pub(crate) fn recheck(&mut self, registry: RegistryId) {
        if self.by_registry.contains_key(&registry) {
            let recheck = self.rechecks.entry(registry).or_default();
            recheck.is_again = recheck.after.is_some() || recheck.is_busy;
        }
    }

    pub(super) fn ask_the_state(&mut self, now: Now) {
        while self.checks.len() < CHECKS && !self.unchecked.is_empty() {
            let mut bodies = Vec::new();
            while bodies.len() < self.config.question
                && let Some((_, _, body)) = self.unchecked.pop_first()
            {
                if let Some(entry) = self.entries.get_mut(&body) {
                    entry.state = State::Checking;
                    bodies.push(body);
                }
            }
            self.ask(bodies, None);
        }
        let due = |(registry, recheck): (&RegistryId, &Recheck)| {
            let is_due = !recheck.is_busy && recheck.not_before <= now.elapsed;
            is_due.then_some(*registry)
        };
        let due: Vec<_> = self.rechecks.iter().filter_map(due).collect();
        for registry in due {
            self.recheck_next(now, registry);
        }
    }

    fn ask(&mut self, bodies: Vec<Body>, recheck: Option<RegistryId>) {
        self.checks_begun += 1;
        let id = self.checks_begun;
        self.outbox.push(Action::Check {
            id,
            bodies: bodies.clone(),
        });
        self.checks.insert(id, Check { bodies, recheck });
    }

    fn recheck_next(&mut self, now: Now, registry: RegistryId) {
        let Some(recheck) = self.rechecks.get_mut(&registry) else {
            return;
        };
        let first = Body {
            registry,
            digest: Digest::Sha256([0; 32]),
        };
        let from = recheck.after.unwrap_or(first);
        let rest = self
            .entries
            .range(from..)
            .take_while(|(body, _)| body.registry == registry)
            .filter(|(body, entry)| {
                // What is not fetched yet is checked in any case; what is all here is stored in a moment.
                let is_settled = matches!(
                    entry.state,
                    State::New | State::Checking | State::Landing(_)
                );
                let may_go = !entry.is_expected(now) && entry.demands == 0 && !is_settled;
                may_go && Some(**body) != recheck.after
            });
        let bodies: Vec<_> = rest
            .map(|(body, _)| *body)
            .take(self.config.question)
            .collect();
        if let Some(last) = bodies.last() {
            recheck.after = Some(*last);
            recheck.is_busy = true;
            self.ask(bodies, Some(registry));
        } else if recheck.is_again {
            *recheck = Recheck {
                not_before: now.elapsed + self.config.recheck,
                ..Recheck::default()
            };
        } else {
            self.rechecks.remove(&registry);
        }
    }

    pub(super) fn next_recheck(&self) -> Option<Duration> {
        let waiting = self.rechecks.values().filter(|recheck| !recheck.is_busy);
        waiting.map(|recheck| recheck.not_before).min()
    }

    /// Learns what the state says. A body of the question that is not answered is asked again.
    pub(crate) fn known(&mut self, now: Now, id: u64, answers: Vec<(Body, Known)>) {
        let Some(check) = self.checks.remove(&id) else {
            return;
        };
        if let Some(registry) = check.recheck
            && let Some(recheck) = self.rechecks.get_mut(&registry)
        {
            recheck.is_busy = false;
        }
        let asked: BTreeSet<_> = check.bodies.iter().copied().collect();
        let answers = answers.into_iter().filter(|(body, _)| asked.contains(body));
        // A manifest that goes takes what only it names along.
        let (manifests, blobs): (Vec<_>, Vec<_>) =
            answers.partition(|(body, _)| self.is_manifest(body));
        for (body, known) in manifests.into_iter().chain(blobs) {
            self.learn(now, body, known);
        }
        for body in check.bodies {
            self.learn_if_unanswered(now, body, check.recheck.is_some());
        }
    }

    fn learn_if_unanswered(&mut self, now: Now, body: Body, is_recheck: bool) {
        let state = self.entries.get(&body).map(|entry| entry.state);
        if state == Some(State::Checking) && !is_recheck {
            self.learn(now, body, Known::Unclear);
        }
    }

    fn is_manifest(&self, body: &Body) -> bool {
        let entry = self.entries.get(body);
        entry.is_some_and(|entry| entry.kind == Kind::Manifest)
    }

    fn learn(&mut self, now: Now, body: Body, known: Known) {
        let Some(entry) = self.entries.get(&body) else {
            return;
        };
        let is_expected = entry.is_expected(now) || entry.is_named(&self.entries);
        let Some(entry) = self.entries.get_mut(&body) else {
            return;
        };
        let is_checking = entry.state == State::Checking;
        let is_unnamed = !is_expected && stands(Guard::UnwantedCancelled);
        match known {
            Known::Here => {
                if entry.demands > 0 {
                    let want = WantId(entry.order);
                    self.outbox.push(Action::Present { body, want });
                }
                self.discard(body);
            }
            Known::Absent {
                is_wanted: false, ..
            } if entry.demands == 0 && is_unnamed => self.give_up(body),
            Known::Unplaced if entry.demands == 0 => self.discard(body),
            Known::Absent { parts, .. } if is_checking => {
                entry.resume(&parts);
                self.place(now, body);
            }
            Known::Unclear if is_checking => self.rest(now, body, Trouble::NotStored),
            _ if is_checking => self.place(now, body),
            _ => {}
        }
    }

    /// Forgets what is not begun, and is wanted where `is_ours` says no.
    pub(crate) fn leave_to_others(
        &mut self,
        is_ours: impl Fn(RegistryId, &RepositoryName) -> bool,
    ) {
        let is_left = |(body, entry): &(&Body, &Entry)| {
            let is_begun = entry.active > 0 || entry.received > 0 || entry.is_complete();
            let is_held = entry.demands > 0 || entry.unmerged > 0;
            !is_begun && !is_held && !is_ours(body.registry, &entry.repository)
        };
        let left = self.entries.iter().filter(is_left);
        let left: Vec<_> = left.map(|(body, _)| *body).collect();
        for body in left {
            self.discard(body);
        }
    }

    /// Ends the transfers of which nobody waits for anything.
    fn abort_idle(&mut self) {
        let is_idle = |transfer: &Transfer| {
            let mut parts = transfer.parts.iter();
            parts.all(|part| part.is_closed || !self.is_awaited(part))
        };
        let idle = self.transfers.iter().filter(|(_, it)| is_idle(it));
        let idle: Vec<_> = idle.map(|(id, _)| *id).collect();
        for id in idle {
            self.abort(id);
        }
    }

    /// Whether somebody still waits for what is under way.
    fn is_awaited(&self, part: &UnderWay) -> bool {
        let entry = self.entries.get(&part.body);
        entry.is_some_and(|entry| entry.order == part.order)
    }

    /// Forgets a body that the state does not want, and looks again at what it may have been wanted with.
    fn give_up(&mut self, body: Body) {
        let is_manifest = self.is_manifest(&body);
        self.discard(body);
        if self.by_registry.contains_key(&body.registry) {
            self.given_up.insert(body.registry);
            if is_manifest {
                self.recheck(body.registry);
            }
        }
    }

    /// Forgets a body that is not to be fetched, and what is here of it.
    fn discard(&mut self, body: Body) {
        let Some(entry) = self.remove(body) else {
            return;
        };
        if entry.active > 0 {
            self.abort_idle();
        }
        // Also if nothing is here: room may be set aside for it.
        let want = WantId(entry.order);
        self.outbox.push(Action::Discard { body, want });
    }
}
