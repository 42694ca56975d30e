//! What happens when: the shell's side of every action, and the world's own business.

use std::collections::BTreeSet;
use std::sync::Arc;

use meridian_clock::Region;
use meridian_event::Envelope;
use meridian_oci::RepositoryName;
use meridian_replication::{
    Action, Arrival, Body, Cursor, Finished, Known, Landing, Offered, Page, Refill, Refilled,
    Settled, StreamId, TransferId, Want, fetcher_of,
};
use rand::RngExt;

use super::origin::{Record, arrival};
use super::site::Running;
use super::{MILLI, NAMES, SECOND, WEIGHT, World};

/// Something that happens.
#[derive(Debug)]
pub(crate) enum Task {
    // To an agent.
    Consume(StreamId),
    AskHeads,
    LearnHead(StreamId, Cursor),
    LearnCursor(StreamId, Cursor),
    Apply(StreamId, u64, Vec<Arc<Envelope>>, Vec<Body>),
    Settle(StreamId, u64, Settled),
    AnswerRefill(StreamId, Refill),
    Refilled(StreamId, Refilled),
    Resync(StreamId),
    Resynced(StreamId, Option<Cursor>),
    Known(u64, Vec<Body>),
    Scan(Option<Body>, usize),
    Answered(Region, Option<BTreeSet<Body>>),
    Begin(TransferId),
    Arrive(TransferId, u64),
    Gone(TransferId),
    Complete(TransferId),
    Finish(Body, Landing),
    StoreStaged(Body),
    // To the world.
    Publish(usize, u16),
    PublishLate(usize, u16, Vec<Arc<Envelope>>),
    Disaster,
    Carry(Region),
}

/// Does what an agent says.
pub(super) fn carry_out(world: &mut World, n: usize, action: Action) {
    match action {
        Action::Propose {
            stream,
            ticket,
            events,
            bodies,
            ..
        } => {
            for body in &bodies {
                let is_here = world.sites[n].staged.contains(body);
                assert!(is_here, "it proposes what is not here, {}", world.place());
            }
            let after = world.moment();
            world.later_for(after, n, Task::Apply(stream, ticket, events, bodies));
        }
        Action::Refill { stream, refill } => {
            world.seen.insert("the origin was asked for events");
            let is_dead = world.links[&stream.origin].is_dead(world.now);
            let latency = world.latency(is_dead);
            let task = if is_dead {
                Task::Refilled(stream, Refilled::Failed)
            } else {
                Task::AnswerRefill(stream, refill)
            };
            world.later_for(latency, n, task);
        }
        Action::Resync { stream, .. } => {
            world.seen.insert("a stream was resynced");
            let is_dead = world.links[&stream.origin].is_dead(world.now);
            let latency = world.latency(is_dead);
            let task = if is_dead {
                Task::Resynced(stream, None)
            } else {
                Task::Resync(stream)
            };
            world.later_for(3 * latency, n, task);
        }
        Action::Check { id, bodies } => {
            let after = world.moment();
            world.later_for(after, n, Task::Known(id, bodies));
        }
        Action::Scan { after, limit } => {
            let moment = world.moment();
            world.later_for(moment, n, Task::Scan(after, limit));
        }
        Action::Ask { peer, bodies } => ask(world, n, peer, &bodies),
        Action::Transfer(order) => begin(world, n, order),
        Action::Abort { transfer } => world.abort(n, transfer),
        Action::Finish {
            body,
            landing,
            size,
            ..
        } => {
            let partial = world.sites[n].partial.get(&body);
            let is_whole = partial.is_some_and(|partial| partial.covers(size));
            assert!(is_whole, "it takes a part for all, {}", world.place());
            let after = world.moment();
            world.later_for(after, n, Task::Finish(body, landing));
        }
        Action::Store { body } => {
            let is_here = world.sites[n].staged.contains(&body);
            assert!(is_here, "it stores what is not here, {}", world.place());
            let after = world.moment();
            world.later_for(after, n, Task::StoreStaged(body));
        }
        Action::Discard { body, .. } => {
            world.sites[n].orphan(&body);
            world.sites[n].partial.remove(&body);
            world.sites[n].staged.remove(&body);
        }
        Action::Present { body, .. } => {
            world.seen.insert("what a client waited for was here");
            world.sites[n].agent.release(body);
            world.waiting.remove(&body);
        }
        Action::Absent { .. } => {
            world.seen.insert("what a client waited for was nowhere");
        }
        Action::Corrupt { .. } => {
            world.seen.insert("a lie was found out");
        }
        Action::Report { condition, .. } => {
            world.seen.insert(match condition {
                meridian_replication::Condition::Ahead { .. } => "a stream waited for our clock",
                meridian_replication::Condition::Halted(_) => "a stream was stopped",
                meridian_replication::Condition::Resyncing(_) => "a resync was reported",
                _ => "an alarm ended",
            });
        }
    }
}

fn ask(world: &mut World, n: usize, peer: Region, bodies: &[(Body, RepositoryName)]) {
    world.seen.insert("a peer was asked for bodies");
    let link = &world.links[&peer];
    let is_dead = link.is_dead(world.now);
    let asked = bodies.iter().map(|(body, _)| *body);
    let held: BTreeSet<_> = asked.filter(|body| link.holds.contains(body)).collect();
    let latency = world.latency(is_dead);
    world.later_for(latency, n, Task::Answered(peer, (!is_dead).then_some(held)));
}

fn begin(world: &mut World, n: usize, order: meridian_replication::Order) {
    for part in &order.parts {
        let range = part.start..part.end;
        let site = &world.sites[n];
        assert!(!range.is_empty(), "it fetches nothing, {}", world.place());
        let is_twice = site.is_under_way(&part.body, &range);
        assert!(!is_twice, "{range:?} is under way twice, {}", world.place());
        let partial = site.partial.get(&part.body);
        let is_here = partial.is_some_and(|partial| partial.overlaps(&range));
        assert!(!is_here, "{range:?} is here, {}", world.place());
        let now = world.now;
        world.asked_at.entry(part.body).or_insert(now);
    }
    let id = order.id;
    let running = Running {
        order,
        part: 0,
        offset: 0,
    };
    world.sites[n].transfers.insert(id, running);
    let latency = world.latency(false);
    world.later_for(latency, n, Task::Begin(id));
}

impl World {
    /// Something happens to an agent.
    pub(super) fn do_site(&mut self, n: usize, task: Task) {
        let now = self.now();
        match task {
            Task::Consume(stream) => self.consume(n, stream),
            Task::AskHeads => self.ask_heads(n),
            Task::LearnHead(stream, head) => self.sites[n].agent.learn_head(now, stream, head),
            Task::LearnCursor(stream, cursor) => {
                self.sites[n].agent.learn_cursor(now, stream, cursor);
            }
            Task::Apply(stream, ticket, events, bodies) => {
                self.apply(n, stream, ticket, &events, &bodies);
            }
            Task::Settle(stream, ticket, settled) => {
                self.sites[n].agent.settled(now, stream, ticket, settled);
            }
            Task::AnswerRefill(stream, refill) => {
                let refilled = self.log(stream).refill(&refill, WEIGHT);
                self.sites[n].agent.refilled(now, stream, refilled);
            }
            Task::Refilled(stream, refilled) => {
                self.sites[n].agent.refilled(now, stream, refilled);
            }
            Task::Resync(stream) => self.resync(n, stream),
            Task::Resynced(stream, cursor) => {
                self.sites[n].agent.resynced(now, stream, cursor);
            }
            Task::Known(id, bodies) => self.say_what_is_known(n, id, bodies),
            Task::Scan(after, limit) => self.scan(n, after, limit),
            Task::Answered(peer, held) => {
                self.sites[n].agent.answered(now, peer, held.as_ref());
            }
            Task::Begin(id) => self.send_next(n, id),
            Task::Arrive(id, bytes) => self.arrive(n, id, bytes),
            Task::Gone(id) => self.is_gone(n, id),
            Task::Complete(id) => self.complete(n, id),
            Task::Finish(body, landing) => self.finish(n, body, landing),
            Task::StoreStaged(body) => self.store_staged(n, body),
            other => panic!("{other:?} happens to nobody"),
        }
    }

    /// Something happens to the world.
    pub(super) fn do_world(&mut self, task: Task) {
        match task {
            Task::Publish(origin, shard) => self.publish(origin, shard),
            Task::PublishLate(origin, shard, envelopes) => {
                let log = &mut self.origins[origin].logs[usize::from(shard)];
                log.topic.extend(envelopes.into_iter().map(Record::Event));
            }
            Task::Disaster => self.disaster(),
            Task::Carry(peer) => self.carry(peer),
            other => panic!("{other:?} happens to an agent"),
        }
    }

    fn publish(&mut self, origin: usize, shard: u16) {
        let log = &mut self.origins[origin].logs[usize::from(shard)];
        let unpublished = std::mem::take(&mut log.unpublished);
        let mut records = Vec::new();
        let mut late = Vec::new();
        let faults = self.plan.faults;
        for envelope in unpublished {
            if self.goes_wrong(faults.loses, "a record was lost") {
                continue;
            }
            if self.goes_wrong(faults.delays, "a record was late") {
                late.push(envelope);
            } else if self.goes_wrong(faults.newer, "a record was of a newer version") {
                records.push(Record::Newer(envelope));
            } else {
                records.push(Record::Event(envelope));
            }
        }
        let repeats = self.goes_wrong(faults.repeats, "records were repeated");
        let back = self.random.random_range(1..20);
        let log = &mut self.origins[origin].logs[usize::from(shard)];
        log.topic.extend(records);
        if repeats {
            let from = log.topic.len().saturating_sub(back);
            let again = log.topic[from..].to_vec();
            log.topic.extend(again);
        }
        if !late.is_empty() {
            let after = self.random.random_range(SECOND / 10..4 * SECOND);
            self.later(after, None, Task::PublishLate(origin, shard, late));
        }
    }

    fn consume(&mut self, n: usize, stream: StreamId) {
        let Some(mut position) = self.sites[n].consumers.get(&stream).copied() else {
            return;
        };
        let now = self.now();
        let is_calm = !self.is_faulty();
        position = position.max(self.log(stream).retained_from);
        for _ in 0..200 {
            let arrival = match self.log(stream).topic.get(position) {
                None => break,
                Some(Record::Newer(_)) if !is_calm => Arrival::Undecodable,
                Some(Record::Event(envelope) | Record::Newer(envelope)) => {
                    arrival(envelope, WEIGHT)
                }
            };
            let offered = self.sites[n].agent.offer(now, stream, arrival);
            match offered {
                Offered::Taken | Offered::Known => position += 1,
                Offered::Full => {
                    self.seen.insert("a window was full");
                    break;
                }
                Offered::Stopped => break,
            }
        }
        self.sites[n].consumers.insert(stream, position);
        let after = self.random.random_range(2 * MILLI..20 * MILLI);
        self.later_for(after, n, Task::Consume(stream));
    }

    fn ask_heads(&mut self, n: usize) {
        for stream in self.streams() {
            if !self.links[&stream.origin].is_dead(self.now) {
                let head = self.log(stream).head();
                let latency = self.latency(false);
                self.later_for(latency, n, Task::LearnHead(stream, head));
            }
        }
        self.later_for(SECOND / 2, n, Task::AskHeads);
    }

    fn apply(
        &mut self,
        n: usize,
        stream: StreamId,
        ticket: u64,
        events: &[Arc<Envelope>],
        bodies: &[Body],
    ) {
        let unanswered = self.plan.faults.unanswered;
        let is_lost = self.goes_wrong(unanswered, "a proposal was lost");
        let mut settled = Settled::Unknown;
        if !is_lost {
            let millis = self.millis();
            settled = self.state.apply(millis, stream, events, bodies);
            for body in bodies {
                self.stored_at.entry(*body).or_insert(self.now);
            }
        }
        if let Settled::Refused(_) = settled {
            self.seen.insert("a proposal was refused");
        }
        if self.goes_wrong(unanswered, "the answer to a proposal was lost") {
            settled = Settled::Unknown;
        }
        let after = self.moment();
        self.later_for(after, n, Task::Settle(stream, ticket, settled));
    }

    fn resync(&mut self, n: usize, stream: StreamId) {
        let log = self.log(stream);
        let (head, content) = (log.head(), log.content.clone());
        for envelope in &content {
            self.state.merge(envelope);
        }
        let cursor = self.state.cursors.get_mut(&stream).unwrap();
        *cursor = head.max(*cursor);
        let cursor = *cursor;
        let after = self.moment();
        self.later_for(after, n, Task::Resynced(stream, Some(cursor)));
    }

    fn say_what_is_known(&mut self, n: usize, id: u64, bodies: Vec<Body>) {
        let now = self.now();
        let unanswered = self.plan.faults.unanswered;
        let is_unclear = self.goes_wrong(unanswered, "the state did not answer");
        let site = &self.sites[n];
        let known = |body: Body| {
            let partial = site.partial.get(&body);
            let known = if is_unclear {
                Known::Unclear
            } else if self.state.stored.contains(&body) {
                Known::Here
            } else {
                Known::Absent {
                    is_wanted: self.state.is_needed(&body),
                    parts: partial.map_or_else(Vec::new, |partial| partial.ranges.clone()),
                }
            };
            (body, known)
        };
        let answers: Vec<_> = bodies.into_iter().map(known).collect();
        self.sites[n].agent.known(now, id, answers);
    }

    fn scan(&mut self, n: usize, after: Option<Body>, limit: usize) {
        let now = self.now();
        if self.goes_wrong(self.plan.faults.unanswered, "a search was not answered") {
            return self.sites[n].agent.scanned(now, None);
        }
        let missing: Vec<_> = self.state.missing(after).take(limit).cloned().collect();
        let through = missing.last().map(|want| want.body);
        let names = &NAMES[..self.plan.agents];
        let is_ours =
            |want: &Want| fetcher_of(want.body.registry, &want.repository, names) == Some(NAMES[n]);
        let found = missing.into_iter().filter(is_ours).collect();
        let page = Page { found, through };
        self.sites[n].agent.scanned(now, Some(&page));
    }

    fn finish(&mut self, n: usize, body: Body, landing: Landing) {
        let now = self.now();
        let unstored = self.plan.faults.unstored;
        let is_lost = self.goes_wrong(unstored, "a body could not be put away");
        let Some(partial) = self.sites[n].partial.remove(&body) else {
            // Given up meanwhile.
            return;
        };
        let finished = if is_lost {
            Finished::Failed
        } else if partial.is_tainted {
            Finished::Corrupt
        } else {
            Finished::Stored
        };
        if finished == Finished::Stored {
            match landing {
                Landing::Stage => {
                    self.sites[n].staged.insert(body);
                }
                Landing::Store => self.store(n, body),
            }
        }
        self.sites[n].agent.finished(now, body, finished);
    }

    fn store_staged(&mut self, n: usize, body: Body) {
        let now = self.now();
        if self.sites[n].staged.remove(&body) {
            self.store(n, body);
            self.sites[n].agent.finished(now, body, Finished::Stored);
        }
    }

    fn store(&mut self, n: usize, body: Body) {
        if !self.state.stored.insert(body) {
            self.stored_again += 1;
        }
        self.stored_at.entry(body).or_insert(self.now);
        if self.waiting.get(&body) == Some(&n) {
            self.waiting.remove(&body);
            self.sites[n].agent.release(body);
        }
    }

    /// A client asks for a body.
    pub(crate) fn demand(&mut self, n: usize, want: &Want) -> bool {
        let now = self.now();
        if self.waiting.contains_key(&want.body) {
            return true;
        }
        let site = &mut self.sites[n];
        let partial = site.partial.get(&want.body).cloned().unwrap_or_default();
        let is_let_in = site.agent.demand(now, want, &partial.ranges);
        if is_let_in {
            self.waiting.insert(want.body, n);
        }
        self.drive(n, now);
        is_let_in
    }
}
