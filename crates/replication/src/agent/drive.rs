//! What is to be done next.

use std::time::Duration;

use super::{Agent, Followed};
use crate::fetch::{Class, Fetch};
use crate::named::{manifest, named};
use crate::now::earlier;
use crate::stream::{Condition, Cursor, StreamId};
use crate::{Action, Now};

/// How many bytes of manifests go into one proposal, but one of them in any case. The others are
/// stored when their events are merged.
const CARRIED_BYTES: u64 = 4 << 20;

impl Agent {
    /// What is to be done now. To be called after inputs, and when [`wake`](Self::wake) says so.
    pub fn poll(&mut self, now: Now) -> Vec<Action> {
        self.name_waiting();
        let mut actions = Vec::new();
        let early = self.config.fetch.fetch_blobs_early;
        for (id, followed) in &mut self.streams {
            if followed.is_due(now, &self.fetch) {
                followed.hurry_next(now, &mut self.fetch, early);
                let wait = self.config.stream.body_wait;
                let proposal = followed.propose(now, *id, wait, &self.fetch, self.proposals + 1);
                self.proposals += u64::from(proposal.is_some());
                actions.extend(proposal);
                actions.extend(followed.repair(now, *id));
                actions.extend(followed.report(now, *id));
                followed.look_again(now, wait);
            }
        }
        actions.extend(self.backfill.poll(now, &self.fetch));
        actions.extend(self.fetch.poll(now));
        actions
    }

    /// When to poll again, though nothing comes. `None` if only an input can change anything.
    #[must_use]
    pub fn wake(&self, now: Now) -> Option<Duration> {
        let streams = self.streams.values().map(|followed| followed.wake);
        let stream = streams.fold(None, earlier);
        let fetch = earlier(self.fetch.wake(now), self.backfill.wake(&self.fetch));
        earlier(stream, fetch)
    }
}

// === impl Followed ===

impl Followed {
    /// Whether there may be something to do. Most polls are about bodies, and most streams have
    /// nothing to do with them.
    fn is_due(&self, now: Now, fetch: &Fetch) -> bool {
        let has_come = self.awaited.is_some_and(|body| !fetch.may_come(&body));
        self.is_told || has_come || self.wake.is_some_and(|wake| wake <= now.elapsed)
    }

    /// Decides when to look again.
    fn look_again(&mut self, now: Now, wait: Duration) {
        self.is_told = false;
        self.awaited = None;
        self.wake = self.stream.wake(now);
        let until = self.stream.ready_since() + wait;
        if self.stream.ready(now) > 0 {
            // Or else it would be proposed by now.
            self.wake = Some(until);
            self.awaited = self
                .stream
                .next_events(now, 1)
                .next()
                .and_then(|it| manifest(it));
        }
    }

    /// The bodies of the batch that is next become urgent.
    fn hurry_next(&mut self, now: Now, fetch: &mut Fetch, early: bool) {
        let ready = self.stream.ready(now);
        let mut through = self.hurried;
        for envelope in self.stream.next_events(now, ready) {
            let place = Cursor::of(&envelope.id);
            if place <= self.hurried {
                continue;
            }
            through = place;
            for want in named(envelope, early) {
                fetch.promote(want.body, Class::Next);
            }
        }
        self.hurried = through;
    }

    /// Proposes what may be merged: at once as far as the manifests are here, and all of it when
    /// that has been waited for.
    fn propose(
        &mut self,
        now: Now,
        id: StreamId,
        wait: Duration,
        fetch: &Fetch,
        ticket: u64,
    ) -> Option<Action> {
        let ready = self.stream.ready(now);
        if ready == 0 {
            return None;
        }
        let has_waited = now.elapsed >= self.stream.ready_since() + wait;
        let count = if has_waited {
            ready
        } else {
            let is_awaited = |body| fetch.may_come(&body);
            let events = self.stream.next_events(now, ready);
            events
                .take_while(|envelope| !manifest(envelope).is_some_and(is_awaited))
                .count()
        };
        if count == 0 {
            return None;
        }
        let after = self.stream.cursor();
        let events = self.stream.propose(now, count, ticket);
        let manifests = events.iter().filter_map(|envelope| manifest(envelope));
        let mut bytes = 0;
        let carried = manifests.filter(|body| {
            let Some(size) = fetch.staged_size(body) else {
                return false;
            };
            let fits = bytes == 0 || bytes + size <= CARRIED_BYTES;
            bytes += if fits { size } else { 0 };
            fits
        });
        self.carried = carried.collect();
        self.ticket = ticket;
        Some(Action::Propose {
            stream: id,
            ticket,
            after,
            events,
            bodies: self.carried.iter().copied().collect(),
        })
    }

    /// Asks for what the event log did not bring.
    fn repair(&mut self, now: Now, id: StreamId) -> Option<Action> {
        if let Some(reason) = self.stream.resync(now) {
            return Some(Action::Resync {
                stream: id,
                cursor: self.stream.cursor(),
                reason,
            });
        }
        let refill = self.stream.refill(now)?;
        Some(Action::Refill { stream: id, refill })
    }

    /// Says that something is wrong, and that it is no more: each once.
    fn report(&mut self, now: Now, id: StreamId) -> Option<Action> {
        let condition = self.stream.condition(now);
        let is_same = |reported: Condition| {
            std::mem::discriminant(&reported) == std::mem::discriminant(&condition)
        };
        let is_news = match self.reported {
            None => condition.is_alarming(),
            Some(reported) => !is_same(reported),
        };
        if !is_news {
            return None;
        }
        self.reported = condition.is_alarming().then_some(condition);
        Some(Action::Report {
            stream: id,
            condition,
        })
    }
}
