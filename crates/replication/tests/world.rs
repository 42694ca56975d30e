//! The world in which agents run: virtual time, one queue of what happens, one seed.
//!
//! It keeps the books that the engine is checked against: what was under way, what is here of each
//! body, what was merged, how many bytes crossed the ocean. Whatever the engine must never do makes
//! it panic, with the seed.

mod content;
mod faults;
mod net;
mod origin;
mod site;
mod state;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};

use meridian_clock::Region;
use meridian_replication::{
    Action, Agent, Body, Condition, Config, Cursor, Now, StreamId, TransferId, consumer_of,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use content::Shelf;
pub(crate) use faults::Faults;
use net::Link;
pub(crate) use origin::Origin;
use site::Site;
pub(crate) use state::State;
use tasks::Task;

/// Microseconds.
pub(crate) const MILLI: u64 = 1_000;
pub(crate) const SECOND: u64 = 1_000_000;

/// When the world begins, in milliseconds.
const DAWN: u64 = 1_700_000_000_000;

/// What an event weighs.
const WEIGHT: usize = 300;

/// The names of the agents.
const NAMES: [&str; 3] = ["agent-0", "agent-1", "agent-2"];

/// What world it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) shards: u16,
    pub(crate) agents: usize,
    pub(crate) origins: &'static [&'static str],
    /// Microseconds there and back.
    pub(crate) round_trip: u64,
    /// Bytes per second from each peer.
    pub(crate) rate: u64,
    /// Where sequence numbers begin.
    pub(crate) base: u64,
    pub(crate) faults: Faults,
    pub(crate) config: Config,
}

/// What happens at a moment.
#[derive(Debug)]
struct Happening {
    /// To whom, and in which life of it. `None`: to the world.
    whom: Option<(usize, u32)>,
    task: Task,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    happened: u64,
    pub(crate) random: ChaCha8Rng,
    pub(crate) origins: Vec<Origin>,
    links: BTreeMap<Region, Link>,
    sites: Vec<Site>,
    pub(crate) state: State,
    shelf: Shelf,
    /// Until when things go wrong.
    pub(crate) calm_from: u64,
    /// What crossed the ocean: when, from whom, how many bytes.
    pub(crate) wan: Vec<(u64, Region, u64)>,
    /// When each body was stored.
    pub(crate) stored_at: BTreeMap<Body, u64>,
    /// When each body was asked of a peer first.
    pub(crate) asked_at: BTreeMap<Body, u64>,
    /// Bodies that were stored although they were.
    pub(crate) stored_again: u64,
    /// What happened at all.
    pub(crate) seen: BTreeSet<&'static str>,
    /// Bodies that clients wait for, and at which agent.
    waiting: BTreeMap<Body, usize>,
}

// === impl Plan ===

impl Plan {
    /// A quiet world: two peers, a fast link, one agent, nothing goes wrong.
    pub(crate) fn quiet(seed: u64) -> Self {
        let mut config = Config::default();
        config.backfill.every = std::time::Duration::from_secs(20);
        config.fetch.missing_again = std::time::Duration::from_secs(10);
        Self {
            seed,
            shards: 2,
            agents: 1,
            origins: &["eu", "asia"],
            round_trip: 80 * MILLI,
            rate: 12_500_000,
            base: 0,
            faults: Faults::NONE,
            config,
        }
    }
}

// === impl World ===

impl World {
    pub(crate) fn new(plan: &Plan) -> Self {
        let plan = *plan;
        let region: Region = "us".parse().unwrap();
        let origins = plan.origins.iter();
        let origins: Vec<_> = origins
            .map(|name| Origin::new(name, plan.shards, plan.base))
            .collect();
        let links = origins.iter().map(|it| (it.region, Link::default()));
        let mut world = Self {
            plan,
            now: 0,
            queue: BTreeMap::new(),
            happened: 0,
            random: ChaCha8Rng::seed_from_u64(plan.seed),
            links: links.collect(),
            origins,
            sites: Vec::new(),
            state: State::default(),
            shelf: Shelf::default(),
            calm_from: u64::MAX,
            wan: Vec::new(),
            stored_at: BTreeMap::new(),
            asked_at: BTreeMap::new(),
            stored_again: 0,
            seen: BTreeSet::new(),
            waiting: BTreeMap::new(),
        };
        let ahead = plan.config.stream.max_ahead;
        world.state.max_ahead = u64::try_from(ahead.as_millis()).unwrap();
        for stream in world.streams() {
            let cursor = Cursor {
                epoch: 1,
                seq: plan.base,
            };
            world.state.cursors.insert(stream, cursor);
        }
        for n in 0..plan.agents {
            let agent = Agent::new(region, plan.config, plan.seed + n as u64).unwrap();
            world.sites.push(Site {
                agent,
                life: 0,
                consumers: BTreeMap::new(),
                partial: BTreeMap::new(),
                staged: BTreeSet::new(),
                transfers: BTreeMap::new(),
                orphans: BTreeSet::new(),
                seen: BTreeMap::new(),
                wake: None,
            });
            world.begin_life(n);
        }
        world
    }

    pub(crate) fn streams(&self) -> Vec<StreamId> {
        let shards = 0..self.plan.shards;
        let of = |origin: &Origin| {
            let origin = origin.region;
            shards.clone().map(move |shard| StreamId { origin, shard })
        };
        self.origins.iter().flat_map(of).collect()
    }

    pub(crate) const fn now(&self) -> Now {
        Now {
            elapsed: std::time::Duration::from_micros(self.now),
            millis: DAWN + self.now / MILLI,
        }
    }

    pub(crate) const fn millis(&self) -> u64 {
        DAWN + self.now / MILLI
    }

    fn is_faulty(&self) -> bool {
        self.now < self.calm_from
    }

    /// Whether something goes wrong that does so in `per_mille` of cases.
    fn goes_wrong(&mut self, per_mille: u32, what: &'static str) -> bool {
        let wrong = self.is_faulty() && self.random.random_range(0..1_000) < per_mille;
        if wrong {
            self.seen.insert(what);
        }
        wrong
    }

    fn later(&mut self, after: u64, whom: Option<(usize, u32)>, task: Task) {
        self.happened += 1;
        let moment = self.now.saturating_add(after);
        self.queue
            .insert((moment, self.happened), Happening { whom, task });
    }

    fn later_for(&mut self, after: u64, site: usize, task: Task) {
        let life = self.sites[site].life;
        self.later(after, Some((site, life)), task);
    }

    /// An agent begins, or begins again after a crash: it knows nothing but its settings.
    pub(crate) fn begin_life(&mut self, n: usize) {
        let region = "us".parse().unwrap();
        let now = self.now();
        let seed = self.random.random();
        let mut agent = Agent::new(region, self.plan.config, seed).unwrap();
        for origin in &self.origins {
            agent.add_peer(origin.region);
        }
        let site = &mut self.sites[n];
        site.agent = agent;
        site.life += 1;
        site.staged.clear();
        site.transfers.clear();
        site.orphans.clear();
        site.consumers.clear();
        site.seen.clear();
        if self.plan.faults.forgets_parts {
            site.partial.clear();
        }
        for stream in self.streams() {
            let names = &NAMES[..self.plan.agents];
            if consumer_of(stream, names) == Some(NAMES[n]) {
                self.follow(n, stream);
            }
        }
        self.later_for(0, n, Task::AskHeads);
        self.drive(n, now);
    }

    /// An agent consumes a stream from its cursor on.
    fn follow(&mut self, n: usize, stream: StreamId) {
        let now = self.now();
        let cursor = self.state.cursors[&stream];
        self.sites[n].agent.follow(now, stream, cursor);
        self.rewind(n, stream);
        self.later_for(MILLI, n, Task::Consume(stream));
    }

    fn rewind(&mut self, n: usize, stream: StreamId) {
        let cursor = self.state.cursors[&stream];
        let slack = self.random.random_range(0..5);
        let position = self.log(stream).position(cursor);
        let position = position.saturating_sub(slack);
        self.sites[n].consumers.insert(stream, position);
    }

    fn log(&self, stream: StreamId) -> &origin::Log {
        let origin = self.origins.iter().find(|it| it.region == stream.origin);
        &origin.unwrap().logs[usize::from(stream.shard)]
    }

    fn log_mut(&mut self, stream: StreamId) -> &mut origin::Log {
        let mut origins = self.origins.iter_mut();
        let origin = origins.find(|it| it.region == stream.origin).unwrap();
        &mut origin.logs[usize::from(stream.shard)]
    }

    /// Lets time pass until `until`, or until `is_over`.
    pub(crate) fn run(&mut self, until: u64, is_over: impl Fn(&Self) -> bool) -> bool {
        let mut steps = 0_u64;
        loop {
            if steps.is_multiple_of(32) && is_over(self) {
                return true;
            }
            steps += 1;
            let wakes = self.sites.iter().filter_map(|site| site.wake);
            let wake = wakes.min().unwrap_or(u64::MAX);
            let first = self.queue.first_key_value();
            let next = first.map_or(u64::MAX, |((moment, _), _)| *moment);
            if wake.min(next) > until {
                self.now = until;
                return is_over(self);
            }
            if wake < next {
                self.now = self.now.max(wake);
                let now = self.now();
                for n in 0..self.sites.len() {
                    if self.sites[n].wake.is_some_and(|wake| wake <= self.now) {
                        self.drive(n, now);
                    }
                }
                continue;
            }
            let ((moment, _), happening) = self.queue.pop_first().unwrap();
            self.now = moment;
            self.happen(happening);
            if steps.is_multiple_of(64) {
                self.check_load();
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        let Some((n, life)) = happening.whom else {
            return self.do_world(happening.task);
        };
        if self.sites[n].life != life {
            return;
        }
        self.do_site(n, happening.task);
        let now = self.now();
        self.drive(n, now);
    }

    /// Polls an agent until it has nothing more to do.
    fn drive(&mut self, n: usize, now: Now) {
        let mut rounds = 0;
        loop {
            let actions = self.sites[n].agent.poll(now);
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.carry_out(n, action);
            }
            rounds += 1;
            assert!(rounds < 100, "it never has enough, {}", self.place());
        }
        let wake = self.sites[n].agent.wake(now);
        if let Some(wake) = wake {
            let is_later = wake > now.elapsed;
            assert!(is_later, "it wakes at once, {}", self.place());
        }
        let micros = |wake: std::time::Duration| {
            let micros = u64::try_from(wake.as_nanos().div_ceil(1_000));
            micros.unwrap_or(u64::MAX)
        };
        self.sites[n].wake = wake.map(micros);
        if self.plan.faults.disasters {
            self.check_cursors(n, now);
        }
    }

    fn check_cursors(&mut self, n: usize, now: Now) {
        for status in self.sites[n].agent.streams(now) {
            let known = self.state.cursors[&status.stream];
            assert!(
                status.cursor <= known,
                "it believes {} to be merged, {}",
                status.cursor,
                self.place()
            );
            let seen = self.sites[n].seen.entry(status.stream);
            let seen = seen.or_insert(status.cursor);
            let is_back = status.cursor < *seen;
            *seen = status.cursor;
            assert!(!is_back, "a cursor went back, {}", self.place());
        }
    }

    fn check_load(&self) {
        let Config { stream, fetch, .. } = self.plan.config;
        for site in &self.sites {
            let load = site.agent.load();
            let streams = self.streams().len();
            let events = streams * (stream.window_events + stream.refill_events);
            assert!(load.events <= events, "{load:?}, {}", self.place());
            // The last event that is let in may name several.
            let wants = fetch.wants + fetch.demands + 8;
            assert!(load.wants <= wants, "{load:?}, {}", self.place());
            let staged = fetch.stage_bytes.as_u64();
            assert!(load.staged_bytes <= staged, "{load:?}, {}", self.place());
            let transfers = fetch.transfers * self.origins.len();
            assert!(load.transfers <= transfers, "{load:?}, {}", self.place());
        }
    }

    /// Whether all that was committed is merged, and all that is needed is here.
    pub(crate) fn is_done(&self) -> bool {
        let is_merged = self.streams().into_iter().all(|stream| {
            let log = self.log(stream);
            log.unpublished.is_empty() && self.state.cursors[&stream] == log.head()
        });
        let is_idle = |site: &Site| {
            let load = site.agent.load();
            load.wants == 0 && load.transfers == 0 && load.events == 0
        };
        is_merged && self.state.missing(None).next().is_none() && self.sites.iter().all(is_idle)
    }

    /// Whether every event that was committed had its effect.
    pub(crate) fn check_merged(&self) {
        for stream in self.streams() {
            for envelope in &self.log(stream).content {
                let merged = self.state.merged.get(&envelope.id);
                let is_merged = merged.is_some_and(|merged| merged == envelope);
                assert!(is_merged, "{} was skipped, {}", envelope.id, self.place());
            }
        }
    }

    /// What is left, for a world that does not come to rest.
    pub(crate) fn what_is_left(&self) -> String {
        let mut lines = vec![self.place()];
        for stream in self.streams() {
            let (cursor, head) = (self.state.cursors[&stream], self.log(stream).head());
            if cursor != head {
                lines.push(format!("{stream}: {cursor} of {head}"));
            }
        }
        let missing: Vec<_> = self.state.missing(None).collect();
        lines.push(format!("{} missing: {:?}", missing.len(), missing.first()));
        let now = self.now();
        for site in &self.sites {
            lines.push(format!("{:?}", site.agent.load()));
            lines.push(format!("{:?}", site.agent.peers(now)));
            for status in site.agent.streams(now) {
                if status.condition != Condition::Following {
                    lines.push(format!("{status:?}"));
                }
            }
            for status in site.agent.registries(now) {
                lines.push(format!("{status:?}"));
            }
        }
        lines.join("\n")
    }

    pub(crate) fn wan_bytes(&self) -> u64 {
        self.wan.iter().map(|(_, _, bytes)| bytes).sum()
    }

    /// The bytes of all that is stored.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let stored = self.state.stored.iter();
        stored.map(|body| self.state.bodies[body].size).sum()
    }

    pub(crate) fn place(&self) -> String {
        format!("SEED={} at {} us", self.plan.seed, self.now)
    }

    fn carry_out(&mut self, n: usize, action: Action) {
        tasks::carry_out(self, n, action);
    }

    fn abort(&mut self, n: usize, id: TransferId) {
        self.sites[n].transfers.remove(&id);
    }
}
