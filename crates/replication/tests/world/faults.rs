//! What goes wrong.

use meridian_replication::{Cursor, StreamId};
use rand::RngExt;
use rand::seq::IndexedRandom;

use super::tasks::Task;
use super::{MILLI, SECOND, World};

/// How often what goes wrong, in a thousand; and what may at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    /// Of records that are never published.
    pub(crate) loses: u32,
    /// Of publications that are repeated.
    pub(crate) repeats: u32,
    /// Of records that come after later ones.
    pub(crate) delays: u32,
    /// Of records that this version cannot read.
    pub(crate) newer: u32,
    /// Of pushes by a clock that runs ahead.
    pub(crate) future: u32,
    /// Of pieces after which a transfer breaks off.
    pub(crate) breaks: u32,
    /// Of questions here that are not answered.
    pub(crate) unanswered: u32,
    /// Of bodies that could not be put away.
    pub(crate) unstored: u32,
    /// Whether there are disasters, one about every second.
    pub(crate) disasters: bool,
    /// Whether parts of bodies are lost with an agent.
    pub(crate) forgets_parts: bool,
}

// === impl Faults ===

impl Faults {
    pub(crate) const NONE: Self = Self {
        loses: 0,
        repeats: 0,
        delays: 0,
        newer: 0,
        future: 0,
        breaks: 0,
        unanswered: 0,
        unstored: 0,
        disasters: false,
        forgets_parts: false,
    };

    pub(crate) const ALL: Self = Self {
        loses: 20,
        repeats: 100,
        delays: 50,
        newer: 3,
        future: 10,
        breaks: 20,
        unanswered: 20,
        unstored: 10,
        disasters: true,
        forgets_parts: false,
    };
}

impl World {
    /// From now on nothing goes wrong, and what did is put right.
    pub(crate) fn calm_down(&mut self) {
        self.calm_from = self.now;
        let now = self.now;
        for link in self.links.values_mut() {
            link.dead_until = link.dead_until.min(now);
            link.slow_until = link.slow_until.min(now);
            link.lies_until = link.lies_until.min(now);
            link.rotten.clear();
        }
        // Whoever pushed it has it; the state would be missing it for ever otherwise.
        for pushed in self.shelf.manifests.clone() {
            let region = self.origins[pushed.origin].region;
            let link = self.links.get_mut(&region).unwrap();
            link.holds.extend(pushed.bodies());
        }
        for origin in 0..self.origins.len() {
            self.origins[origin].skew = 0;
            for shard in 0..self.plan.shards {
                self.later(MILLI, None, Task::Publish(origin, shard));
            }
        }
        // A newer version is installed, which reads everything.
        for n in 0..self.sites.len() {
            for stream in self.streams() {
                if self.sites[n].consumers.contains_key(&stream) {
                    self.sites[n].agent.retry(stream);
                    self.rewind(n, stream);
                }
            }
        }
        for stream in self.streams() {
            let has = |site: &super::Site| site.consumers.contains_key(&stream);
            if !self.sites.iter().any(has) {
                self.follow(0, stream);
            }
        }
    }

    /// One disaster, and the next a while later.
    pub(super) fn disaster(&mut self) {
        if !self.is_faulty() || !self.plan.faults.disasters {
            return;
        }
        let pause = self.random.random_range(SECOND / 5..2 * SECOND);
        self.later(pause, None, Task::Disaster);
        let origin = self.random.random_range(0..self.origins.len());
        let region = self.origins[origin].region;
        let shard = self.random.random_range(0..self.plan.shards);
        let stream = StreamId {
            origin: region,
            shard,
        };
        let (now, span) = (self.now, self.random.random_range(SECOND..20 * SECOND));
        match self.random.random_range(0..100) {
            0..20 => {
                self.seen.insert("a peer died");
                self.links.get_mut(&region).unwrap().dead_until = now + span;
            }
            20..30 => {
                self.seen.insert("a peer was slow");
                self.links.get_mut(&region).unwrap().slow_until = now + span;
            }
            30..40 => {
                self.seen.insert("a peer lied");
                self.links.get_mut(&region).unwrap().lies_until = now + span / 4;
            }
            40..50 => self.lose_bodies(region),
            50..62 => {
                self.seen.insert("an agent crashed");
                let n = self.random.random_range(0..self.sites.len());
                self.begin_life(n);
            }
            62..66 => {
                self.seen.insert("an epoch began");
                self.origins[origin].begin_epoch(shard);
            }
            66..72 => {
                self.seen.insert("an outbox was trimmed");
                let log = self.log_mut(stream);
                log.trimmed = log.head().seq - log.unpublished.len() as u64;
            }
            72..80 => {
                self.seen.insert("a topic lost its beginning");
                let log = self.log_mut(stream);
                log.retained_from = log.topic.len();
            }
            80..90 => self.remember_wrongly(stream),
            _ => self.hand_over(stream),
        }
    }

    fn lose_bodies(&mut self, region: meridian_clock::Region) {
        self.seen.insert("a peer lost bodies");
        let link = self.links.get_mut(&region).unwrap();
        let random = &mut self.random;
        link.holds.retain(|_| random.random_bool(0.9));
    }

    /// An agent reads a cursor from a member of the group that is behind.
    fn remember_wrongly(&mut self, stream: StreamId) {
        self.seen.insert("an old cursor was read");
        let cursor = self.state.cursors[&stream];
        let old = Cursor {
            epoch: self.random.random_range(1..=cursor.epoch),
            seq: cursor.seq.saturating_sub(self.random.random_range(0..20)),
        };
        let old = if old.epoch < cursor.epoch {
            // Of an older epoch, it may be any.
            Cursor {
                seq: cursor.seq + 1_000,
                ..old
            }
        } else {
            old
        };
        for n in 0..self.sites.len() {
            self.later_for(MILLI, n, Task::LearnCursor(stream, old));
        }
    }

    /// The agents do not agree on who consumes a stream: all do, or another one, or nobody.
    fn hand_over(&mut self, stream: StreamId) {
        self.seen.insert("a stream was handed over");
        for n in 0..self.sites.len() {
            if *[true, false].choose(&mut self.random).unwrap() {
                self.follow(n, stream);
            } else {
                self.sites[n].agent.unfollow(stream);
                self.sites[n].consumers.remove(&stream);
                self.sites[n].seen.remove(&stream);
            }
            let now = self.now();
            self.drive(n, now);
        }
    }
}

impl World {
    /// Disasters begin.
    pub(crate) fn begin_disasters(&mut self) {
        self.later(SECOND / 2, None, Task::Disaster);
    }

    /// A client asks some agent for something that is not here, and may not be merged.
    pub(crate) fn demand_something(&mut self) {
        let Some(pushed) = self.shelf.manifests.choose(&mut self.random).cloned() else {
            return;
        };
        if pushed.blobs.is_empty() {
            return;
        }
        let holder = self.origins[pushed.origin].region;
        let want = pushed.want(0, holder);
        if self.state.stored.contains(&want.body) || !self.state.is_needed(&want.body) {
            return;
        }
        let n = self.random.random_range(0..self.sites.len());
        self.seen.insert("a client waited");
        if !self.demand(n, &want) {
            self.seen.insert("too many clients waited");
        }
    }

    /// A push by a clock that runs ahead.
    pub(super) fn skew(&mut self, origin: usize) -> u64 {
        let is_ahead = self.goes_wrong(self.plan.faults.future, "a clock ran ahead");
        self.origins[origin].skew = if is_ahead {
            self.random.random_range(55_000..75_000)
        } else {
            0
        };
        self.millis()
    }
}

impl World {
    /// A peer says nothing until some moment.
    pub(crate) fn kill(&mut self, origin: usize, until: u64) {
        let region = self.origins[origin].region;
        self.links.get_mut(&region).unwrap().dead_until = until;
    }

    /// The copy of the region that pushed a body is damaged; all others have a good one.
    pub(crate) fn damage(&mut self, origin: usize, body: meridian_replication::Body) {
        let region = self.origins[origin].region;
        for (other, link) in &mut self.links {
            link.holds.insert(body);
            if *other == region {
                link.rotten.insert(body);
            }
        }
    }
}
