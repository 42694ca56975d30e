//! A region around the engine: its log, its metadata, the receivers of its webhooks.
//!
//! Keeps its own books: what every webhook has to be told, what each receiver saw and when. Checks at every
//! step what may never be: first attempts out of order, more requests at once than allowed, more in memory
//! than allowed, an id that no event explains.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meridian_clock::{Region, Version};
use meridian_delivery::{
    Attempt, Config, Dispatcher, Effect, LogPage, Offered, Outcome, Recorded, RetryAfter,
    Subscription, messages,
};
use meridian_event::webhook::{
    Action, Assignment, Change, DisableReason, DuePage, Format, MessageId, Place, Record, Sealed,
    Status, Undelivered, Webhook, WebhookId,
};
use meridian_event::{Envelope, Event, EventId, Leaf, RegistryId};
use meridian_oci::MediaType;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// When the world begins.
pub(crate) const BEGIN: u64 = 1_700_000_000_000;
const SHARDS: u16 = 3;
/// How long a request takes that is not answered.
const TIMEOUT: u64 = 15 * SECOND;

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// After so many milliseconds.
    Takes(u64),
    Answers(u16),
    /// 429, and when to come again, in seconds.
    Busy(Option<u64>),
    Hangs,
    Resets,
    /// It is not the receiver that is away.
    NoWayOut,
}

/// What a receiver saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) at: u64,
    pub(crate) id: MessageId,
    pub(crate) place: Place,
    pub(crate) attempt: u8,
    pub(crate) is_taken: bool,
}

/// What the metadata keep of a shard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    generation: u64,
    /// How many records of it were kept.
    number: u64,
    pub(crate) cursor: Place,
    pub(crate) lanes: BTreeMap<WebhookId, Place>,
    pub(crate) rows: BTreeMap<(WebhookId, MessageId), Undelivered>,
}

/// Of the assignment in which an attempt began.
type Generation = u64;

/// An answer on its way to the engine.
enum Answer {
    Attempted(Box<Attempt>, Generation, Outcome),
    Record(u64, Arc<Record>),
    Log(u64, WebhookId, u16, Place, usize),
    Due(u64, WebhookId, u16, u64, usize),
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) config: Config,
    rng: ChaCha8Rng,
    pub(crate) engine: Dispatcher,
    pub(crate) log: BTreeMap<u16, Vec<Arc<Envelope>>>,
    pub(crate) kept: BTreeMap<u16, Kept>,
    pub(crate) webhooks: BTreeMap<WebhookId, Subscription>,
    pub(crate) manners: BTreeMap<WebhookId, Manner>,
    pub(crate) seen: BTreeMap<WebhookId, Vec<Seen>>,
    /// What is to be told: by whom it is taken, it is taken out.
    pub(crate) owed: BTreeMap<(WebhookId, MessageId), u64>,
    /// What is to be told, and was perhaps told already.
    known: BTreeSet<(WebhookId, MessageId)>,
    /// What was told at least once.
    told: BTreeSet<(WebhookId, MessageId)>,
    /// The last message of a repository that was attempted for the first time.
    last: BTreeMap<(WebhookId, String), Place>,
    under_way: BTreeMap<WebhookId, usize>,
    /// First attempts that are under way, by receiver and repository.
    firsts: BTreeSet<(WebhookId, String, Generation)>,
    pub(crate) most_under_way: usize,
    pub(crate) most_held: usize,
    answers: BTreeMap<(u64, u64), Answer>,
    steps: u64,
    /// The metadata do not answer.
    pub(crate) is_away: bool,
    pub(crate) disabled: Vec<(WebhookId, DisableReason)>,
}

pub(crate) fn region() -> Region {
    "eu".parse().unwrap()
}

pub(crate) fn version(millis: u64) -> Version {
    Version {
        millis,
        counter: 0,
        region: region(),
    }
}

fn shard_of(repository: &str) -> u16 {
    let sum: u32 = repository.bytes().map(u32::from).sum();
    u16::try_from(sum % u32::from(SHARDS)).unwrap()
}

fn first(attempt: &Attempt, generation: Generation) -> (WebhookId, String, Generation) {
    let repository = attempt.message.repository.as_ref().unwrap().to_string();
    (attempt.to.id, repository, generation)
}

// === impl World ===

impl World {
    pub(crate) fn new(config: Config, seed: u64) -> Self {
        let mut world = Self {
            now: BEGIN,
            engine: Dispatcher::new(config.clone(), seed),
            config,
            rng: ChaCha8Rng::seed_from_u64(seed),
            log: BTreeMap::new(),
            kept: (0..SHARDS).map(|shard| (shard, Kept::default())).collect(),
            webhooks: BTreeMap::new(),
            manners: BTreeMap::new(),
            seen: BTreeMap::new(),
            owed: BTreeMap::new(),
            known: BTreeSet::new(),
            told: BTreeSet::new(),
            last: BTreeMap::new(),
            under_way: BTreeMap::new(),
            firsts: BTreeSet::new(),
            most_under_way: 0,
            most_held: 0,
            answers: BTreeMap::new(),
            steps: 0,
            is_away: false,
            disabled: Vec::new(),
        };
        world.start();
        world
    }

    /// A chance of one in so many.
    pub(crate) fn one_in(&mut self, many: u64) -> bool {
        self.rng.random_range(0..many) == 0
    }

    pub(crate) fn pick(&mut self, count: usize) -> usize {
        self.rng.random_range(0..count)
    }

    pub(crate) fn webhook(&mut self, manner: Manner) -> WebhookId {
        let number = self.webhooks.len();
        let id = WebhookId::new(version(u64::try_from(number).unwrap() + 1));
        let webhook = Webhook {
            name: format!("webhook{number}").parse().unwrap(),
            region: None,
            actions: [Action::Push, Action::Untag].into(),
            scope: "".parse().unwrap(),
            status: Status::Enabled,
            format: Format::Acr,
            available_in: BTreeSet::new(),
        };
        let subscription = Subscription {
            id,
            registry: RegistryId::first(),
            since: version(1),
            webhook,
            sealed: Sealed(number.to_be_bytes().to_vec()),
            failing_since: None,
        };
        self.engine.subscribe(subscription.clone());
        self.webhooks.insert(id, subscription);
        self.manners.insert(id, manner);
        id
    }

    /// A push, with so many tags.
    pub(crate) fn push(&mut self, repository: &str, tags: usize) -> EventId {
        let digest = format!("sha256:{:064x}", self.steps).parse().unwrap();
        let event = Event::ManifestPut {
            repository: repository.parse().unwrap(),
            manifest: Leaf { digest, size: 524 },
            media_type: MediaType::OCI_IMAGE_MANIFEST,
            tags: (0..tags)
                .map(|n| format!("v{n}").parse().unwrap())
                .collect(),
            blobs: Vec::new(),
            children: Vec::new(),
            subject: None,
        };
        self.commit(shard_of(repository), event)
    }

    /// Something that no webhook is told of.
    pub(crate) fn heartbeat(&mut self, shard: u16) {
        self.commit(shard, Event::Heartbeat { marks: Vec::new() });
    }

    fn commit(&mut self, shard: u16, event: Event) -> EventId {
        self.steps += 1;
        let log = self.log.entry(shard).or_default();
        let id = EventId {
            region: region(),
            epoch: 1,
            shard,
            seq: u64::try_from(log.len()).unwrap() + 1,
        };
        let envelope = Arc::new(Envelope {
            id,
            version: version(self.now),
            registry: RegistryId::first(),
            event,
        });
        log.push(Arc::clone(&envelope));
        for webhook in self.webhooks.values() {
            for message in messages(&envelope, webhook) {
                self.owed.insert((webhook.id, message.id), self.now);
                self.known.insert((webhook.id, message.id));
            }
        }
        self.offer(shard);
        id
    }

    /// Offers what the engine has not seen of a shard, as a consumer of the log does.
    fn offer(&mut self, shard: u16) {
        let log = self.log.get(&shard).cloned().unwrap_or_default();
        if let Some(last) = log.last() {
            let mut offered = self.engine.offer(last);
            while let Offered::Gap(after) = offered {
                let next = usize::try_from(after.seq).unwrap();
                assert_eq!(self.engine.offer(&log[next]), Offered::Taken);
                offered = self.engine.offer(last);
            }
        }
        self.act();
    }

    /// The dispatcher dies, and another one goes on.
    pub(crate) fn crash(&mut self, seed: u64) {
        self.answers.clear();
        self.under_way.clear();
        self.firsts.clear();
        self.engine = Dispatcher::new(self.config.clone(), seed);
        self.start();
    }

    fn start(&mut self) {
        for webhook in self.webhooks.values() {
            self.engine.subscribe(webhook.clone());
        }
        for shard in 0..SHARDS {
            self.assign(shard);
        }
    }

    /// Gives a shard to the dispatcher, as the metadata have it.
    pub(crate) fn assign(&mut self, shard: u16) {
        let kept = self.kept.get_mut(&shard).unwrap();
        kept.generation += 1;
        kept.number = 0;
        let mut due = BTreeMap::new();
        for row in kept.rows.values() {
            if let Some(moment) = row.due {
                let first = due.entry(row.webhook).or_insert(moment);
                *first = moment.min(*first);
            }
        }
        let assignment = Assignment {
            generation: kept.generation,
            cursor: kept.cursor,
            lanes: kept.lanes.iter().map(|(id, place)| (*id, *place)).collect(),
            due: due.into_iter().collect(),
        };
        self.engine.assign(self.now, shard, assignment);
        self.offer(shard);
    }

    /// Somebody else works on a shard, and this dispatcher does not know.
    pub(crate) fn taken_over(&mut self, shard: u16) {
        let kept = self.kept.get_mut(&shard).unwrap();
        kept.generation += 1;
        kept.number = 0;
    }

    /// Does what the engine says.
    pub(crate) fn act(&mut self) {
        loop {
            let effects = self.engine.poll(self.now);
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                self.carry_out(effect);
            }
            self.check();
        }
    }

    fn check(&mut self) {
        let load = self.engine.load();
        self.most_under_way = self.most_under_way.max(load.requests);
        self.most_held = self.most_held.max(load.messages);
        assert!(load.requests <= self.config.slots_in_all, "{load:?}");
        let most = self.config.held_in_all + self.webhooks.len() * self.config.due_page.max(8);
        assert!(load.messages <= most, "{load:?}");
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Attempt(attempt) => self.call(&attempt),
            Effect::Record { ticket, record } => self.later(2, Answer::Record(ticket, record)),
            Effect::Log {
                ticket,
                webhook,
                shard,
                after,
                limit,
            } => self.later(3, Answer::Log(ticket, webhook, shard, after, limit)),
            Effect::Due {
                ticket,
                webhook,
                shard,
                until,
                limit,
            } => self.later(1, Answer::Due(ticket, webhook, shard, until, limit)),
            Effect::Disable { to, reason } => {
                let webhook = to.id;
                self.disabled.push((webhook, reason));
                self.set_status(webhook, Status::Disabled);
                self.engine.disabled(webhook, true);
            }
            Effect::Prune { shard, until } => {
                let kept = self.kept.get_mut(&shard).unwrap();
                kept.rows.retain(|_, row| row.until > until);
            }
        }
    }

    pub(crate) fn set_status(&mut self, webhook: WebhookId, status: Status) {
        let now = version(self.now);
        let subscription = self.webhooks.get_mut(&webhook).unwrap();
        subscription.webhook.status = status;
        subscription.since = now;
        self.engine.subscribe(subscription.clone());
    }

    fn later(&mut self, wait: u64, answer: Answer) {
        self.steps += 1;
        self.answers.insert((self.now + wait, self.steps), answer);
    }

    /// A request arrives, or does not.
    fn call(&mut self, attempt: &Attempt) {
        let (webhook, message) = (attempt.to.id, &attempt.message);
        let key = (webhook, message.id);
        assert!(self.known.contains(&key), "nothing explains {message:?}");
        let under_way = self.under_way.entry(webhook).or_default();
        *under_way += 1;
        let most = self.config.slots.max(self.config.slots_most);
        assert!(*under_way <= most, "too many requests at once");
        let manner = self.manners[&webhook];
        let answered = |status, retry_after| Outcome::Answered {
            status,
            retry_after,
        };
        let (wait, outcome) = match manner {
            Manner::Takes(wait) => (wait, answered(200, None)),
            Manner::Answers(status) => (5, answered(status, None)),
            Manner::Busy(after) => {
                let after = after.map(|it| RetryAfter::parse(&it.to_string()).unwrap());
                (5, answered(429, after))
            }
            Manner::Hangs => (TIMEOUT, Outcome::TimedOut),
            Manner::Resets => (1, Outcome::Failed),
            Manner::NoWayOut => (1, Outcome::Unsent),
        };
        let generation = self.kept[&message.position.shard].generation;
        if attempt.attempt == 1 {
            let is_alone = self.firsts.insert(first(attempt, generation));
            assert!(is_alone, "a first attempt does not wait for the one before");
        }
        let boxed = Box::new(attempt.clone());
        self.later(wait, Answer::Attempted(boxed, generation, outcome));
        if manner == Manner::NoWayOut {
            return;
        }
        let is_taken = matches!(manner, Manner::Takes(_) | Manner::Answers(200..=299));
        let seen = self.seen.entry(webhook).or_default();
        let place = Place::of(&message.position);
        if self.told.insert(key) {
            let repository = message.repository.as_ref().unwrap().to_string();
            let repository = (webhook, repository);
            let last = self.last.insert(repository, place).unwrap_or_default();
            assert!(last <= place, "{place:?} is attempted after {last:?}");
        }
        seen.push(Seen {
            at: self.now,
            id: message.id,
            place,
            attempt: attempt.attempt,
            is_taken,
        });
        if is_taken {
            self.owed.remove(&key);
        }
    }

    /// Goes on to a moment.
    pub(crate) fn run_until(&mut self, end: u64) {
        loop {
            self.act();
            let answer = self.answers.keys().next().map(|(moment, _)| *moment);
            let wake = self.engine.wake();
            let next = answer.map_or(wake, |it| it.min(wake));
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.answers.first_entry()
                && entry.key().0 <= self.now
            {
                let answer = entry.remove();
                self.answer(answer);
            }
        }
        self.now = end;
        self.act();
    }

    pub(crate) fn run(&mut self, span: u64) {
        self.run_until(self.now + span);
    }

    fn answer(&mut self, answer: Answer) {
        let now = self.now;
        match answer {
            Answer::Attempted(attempt, generation, outcome) => {
                *self.under_way.get_mut(&attempt.to.id).unwrap() -= 1;
                self.firsts.remove(&first(&attempt, generation));
                self.engine.attempted(now, attempt.ticket, outcome);
            }
            Answer::Record(ticket, record) => {
                let recorded = self.keep(&record);
                self.engine.recorded(now, record.shard, ticket, recorded);
            }
            Answer::Log(ticket, webhook, shard, after, limit) => {
                let page = (!self.is_away).then(|| self.read(shard, after, limit));
                self.engine.log(now, webhook, shard, ticket, page);
            }
            Answer::Due(ticket, webhook, shard, until, limit) => {
                let page = (!self.is_away).then(|| self.due(webhook, shard, until, limit));
                self.engine.due(now, webhook, shard, ticket, page);
            }
        }
    }

    /// Applies a record, as the metadata do: all of it or nothing.
    fn keep(&mut self, record: &Record) -> Recorded {
        if self.is_away {
            return Recorded::Failed;
        }
        let kept = self.kept.get_mut(&record.shard).unwrap();
        if record.generation < kept.generation {
            return Recorded::Refused;
        }
        assert_eq!(record.number, kept.number + 1, "a record is left out");
        kept.number = record.number;
        assert!(record.cursor >= kept.cursor, "a cursor goes back");
        kept.cursor = record.cursor;
        for (webhook, place) in &record.lanes {
            match place {
                Some(place) => kept.lanes.insert(*webhook, *place),
                None => kept.lanes.remove(webhook),
            };
        }
        for change in &record.rows {
            match change {
                Change::Put(row) => kept
                    .rows
                    .insert((row.webhook, row.message.id), *row.clone()),
                Change::Remove { webhook, message } => kept.rows.remove(&(*webhook, *message)),
            };
        }
        for (webhook, since) in &record.failing {
            self.webhooks.get_mut(webhook).unwrap().failing_since = *since;
        }
        Recorded::Done
    }

    fn read(&self, shard: u16, after: Place, limit: usize) -> LogPage {
        let log = self.log.get(&shard).cloned().unwrap_or_default();
        let from = usize::try_from(after.seq).unwrap();
        let events: Vec<_> = log.into_iter().skip(from).take(limit).collect();
        let upto = events.last().map_or(after, |last| Place::of(&last.id));
        LogPage { events, upto }
    }

    fn due(&self, webhook: WebhookId, shard: u16, until: u64, limit: usize) -> DuePage {
        let of_webhook = self.kept[&shard]
            .rows
            .values()
            .filter(|it| it.webhook == webhook);
        let mut rows: Vec<_> = of_webhook.filter(|it| it.due.is_some()).cloned().collect();
        rows.sort_by_key(|it| it.due);
        let due = rows.iter().take_while(|it| it.due <= Some(until)).count();
        let next = rows.get(due.min(limit)).and_then(|it| it.due);
        rows.truncate(due.min(limit));
        DuePage { rows, next }
    }

    // === What tests ask ===

    pub(crate) fn rows(&self) -> usize {
        self.kept.values().map(|kept| kept.rows.len()).sum()
    }

    pub(crate) fn dead(&self) -> usize {
        let rows = self.kept.values().flat_map(|kept| kept.rows.values());
        rows.filter(|row| row.due.is_none()).count()
    }

    pub(crate) fn seen(&self, webhook: WebhookId) -> &[Seen] {
        self.seen.get(&webhook).map_or(&[], Vec::as_slice)
    }

    /// How long it took until the receiver took the last message that it saw first, at most.
    pub(crate) fn slowest(&self, webhook: WebhookId) -> u64 {
        let committed = |it: &Seen| {
            let mut log = self.log.values().flatten();
            let is_it = |envelope: &&Arc<Envelope>| {
                let told = messages(envelope, &self.webhooks[&webhook]);
                told.iter().any(|message| message.id == it.id)
            };
            log.find(is_it).unwrap().version.millis
        };
        let waits = self.seen(webhook).iter().map(|it| it.at - committed(it));
        waits.max().unwrap_or_default()
    }

    /// Whether all that happened is settled, and recorded.
    pub(crate) fn is_settled(&self) -> bool {
        let at_head = |(shard, kept): (&u16, &Kept)| {
            let head = self.log.get(shard).map_or(0, Vec::len);
            kept.lanes.is_empty() && kept.cursor.seq == u64::try_from(head).unwrap()
        };
        self.kept.iter().all(at_head)
    }
}
