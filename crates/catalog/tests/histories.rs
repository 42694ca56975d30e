//! Long random histories. After every step the state, the model and the event stream agree and the
//! invariants hold; and a state is what its log makes of it, however it was stored, moved, lost and
//! applied.
//!
//! A failure names its seed: `SEED=7 STEPS=100 cargo test -p meridian-catalog histories` plays that
//! history, and with `SEEDS=500` that many from there on.

mod agreement;
mod content;
mod replica;
mod script;

use std::collections::BTreeSet;
use std::ops::Range;

use meridian_catalog::{
    Collect, Command, Entry, MemoryStore, Refusal, Reply, apply, invariant, query,
};

use meridian_simulation::{is_usual, seeds, steps};

use crate::model::Model;
use crate::stage::{DAWN, region, set_counters};
use content::Content;
use replica::{Batching, hash, reload};
use script::{Script, Step};

/// Steps after which a crash falls back.
const CHECKPOINT: usize = 16;

/// A state under test, with the model beside it.
struct History {
    content: Content,
    script: Script,
    store: MemoryStore,
    model: Model,
    log: Vec<Entry>,
    replies: Vec<Reply>,
    /// An earlier state, and how much of the log it has.
    checkpoint: (MemoryStore, usize),
    /// The same log, in batches.
    batching: Batching,
    answered_in_batches: usize,
    seed: u64,
}

impl History {
    fn begin(seed: u64, crowded: bool) -> Self {
        let mut script = Script::new(seed, crowded);
        let entry = Entry {
            millis: DAWN,
            request: None,
            trace: None,
            command: Command::Initialize {
                region: region(),
                epoch: 1,
                settings: script.settings(),
            },
        };
        let mut store = MemoryStore::default();
        let (mut model, reply) = Model::begin(&entry);
        assert_eq!(apply(&mut store, &entry).unwrap(), reply);
        let (seq, generation) = script.counters();
        set_counters(&mut store, seq, generation);
        model.set_counters(seq, generation);
        Self {
            content: Content::new(),
            script,
            checkpoint: (store.clone(), 0),
            batching: Batching::begin_from(store.clone()),
            store,
            model,
            log: Vec::new(),
            replies: Vec::new(),
            answered_in_batches: 0,
            seed,
        }
    }

    fn run(&mut self, steps: u64) {
        let create = Entry {
            millis: DAWN,
            request: None,
            trace: None,
            command: Command::CreateRegistry {
                name: self.content.registries[0].clone(),
            },
        };
        self.apply(create);
        for _ in 0..steps {
            match self.script.next(&self.store) {
                Step::Apply(entry) => self.apply(*entry),
                Step::Snapshot => self.store = reload(&self.store),
                Step::Crash => self.crash(),
            }
        }
        self.compare_replicas();
    }

    /// Which commands were answered how.
    fn happened(&self) -> BTreeSet<String> {
        let answers = self.log.iter().zip(&self.replies).map(|(entry, reply)| {
            let how = match reply {
                Reply::Refused(refusal) => format!("{refusal:?}"),
                Reply::Collected { objects: 0, .. } => "nothing collected".to_owned(),
                other => other.to_string(),
            };
            let how = how.split('(').next().unwrap_or_default();
            match &entry.command {
                Command::Collect(Collect::Doom(_)) => format!("doom: {how}"),
                _ => format!("{entry}: {how}"),
            }
        });
        answers.collect()
    }

    fn apply(&mut self, entry: Entry) {
        let before = self.store.clone();
        let reply = apply(&mut self.store, &entry).unwrap();
        if matches!(reply, Reply::Refused(_) | Reply::Nothing) {
            assert!(
                self.store == before,
                "{reply:?} left a trace, {}",
                self.place()
            );
        }
        let expected = self.model.apply(&entry, &reply);
        self.log.push(entry);
        self.replies.push(reply.clone());
        let is_vague = reply == Reply::Refused(Refusal::ManifestUnknown)
            && expected == Reply::Refused(Refusal::RepositoryUnknown)
            && query::has_sweeps(&self.store).unwrap();
        assert!(
            reply == expected || is_vague,
            "{reply:?}, not {expected:?}, {}",
            self.place()
        );

        let violations = invariant::check(&self.store).unwrap();
        assert!(violations.is_empty(), "{violations:?}, {}", self.place());
        let now = self.model.last.millis;
        let (model, store, content) = (&mut self.model, &self.store, &self.content);
        let agree = std::panic::AssertUnwindSafe(|| agreement::check(model, store, content, now));
        if let Err(panic) = std::panic::catch_unwind(agree) {
            let place = self.place();
            let why = panic
                .downcast_ref::<String>()
                .map_or("they differ", String::as_str);
            panic!("{why}, {place}");
        }
        self.batch();
        if self.log.len().is_multiple_of(CHECKPOINT) {
            self.checkpoint = (self.store.clone(), self.log.len());
        }
    }

    /// Applies the log's end to an earlier state: the present one comes out, whatever was answered.
    fn crash(&mut self) {
        let (mut store, applied) = (reload(&self.checkpoint.0), self.checkpoint.1);
        for (entry, reply) in self.log.iter().zip(&self.replies).skip(applied) {
            assert_eq!(
                apply(&mut store, entry).unwrap(),
                *reply,
                "{}",
                self.place()
            );
        }
        assert!(store == self.store, "a replay differs, {}", self.place());
        self.store = store;
    }

    /// Another replica gets the entry, and applies it when its batch is full.
    fn batch(&mut self) {
        self.batching.push(self.log.last().unwrap().clone());
        if self.batching.waiting() > self.log.len() % 7 {
            let replies = self.batching.commit();
            let expected = &self.replies[self.answered_in_batches..];
            assert_eq!(replies, expected, "{}", self.place());
            self.answered_in_batches += replies.len();
            assert!(
                self.batching.store == self.store,
                "batches differ, {}",
                self.place()
            );
        }
    }

    fn compare_replicas(&mut self) {
        self.batching.commit();
        assert_eq!(
            hash(&self.batching.store),
            hash(&self.store),
            "{}",
            self.place()
        );
    }

    fn place(&self) -> String {
        let Self { seed, log, .. } = self;
        format!("SEED={seed} after entry {}: {:?}", log.len(), log.last())
    }
}

/// Plays histories, and sees to it that what they are for happened in them.
fn play(usual_seeds: Range<u64>, usual_steps: u64, crowded: bool, must_happen: &[&str]) {
    let mut happened = BTreeSet::new();
    for seed in seeds(usual_seeds) {
        let mut history = History::begin(seed, crowded);
        history.run(steps(usual_steps));
        happened.append(&mut history.happened());
    }
    if is_usual() {
        let missing = must_happen.iter().filter(|what| !happened.contains(**what));
        let missing: Vec<_> = missing.collect();
        assert!(
            missing.is_empty(),
            "{missing:?} never happened, only {happened:#?}"
        );
    }
}

#[test]
fn a_state_agrees_with_the_model_after_every_step() {
    let must_happen = [
        "acknowledge: collected",
        "acknowledge: nothing",
        "collect: collected",
        "configure: done",
        "create registry: done",
        "create registry: RegistryExists",
        "delete blob: BlobUnknown",
        "delete blob: done",
        "delete blob: InUse",
        "delete manifest: ConditionFailed",
        "delete manifest: done",
        "delete manifest: InUse",
        "delete manifest: ManifestUnknown",
        "delete manifest: RepositoryUnknown",
        "delete tag: ConditionFailed",
        "delete tag: done",
        "doom: collected",
        "doom: nothing collected",
        "initialize: nothing",
        "initialize: OtherRegion",
        "mount blob: done",
        "mount blob: nothing",
        "put blob: BlobUnknown",
        "put blob: done",
        "record blob: BlobUnknown",
        "record blob: done",
        "record blob: kept",
        "record blob: ObjectForeign",
        "put manifest: ConditionFailed",
        "put manifest: done",
        "put manifest: LeavesUnknown",
        "put manifest: RegistryUnknown",
        "put manifest: SizesDiffer",
        "reserve generations: reserved",
        "touch blob: BlobUnknown",
        "touch blob: done",
    ];
    play(0..12, 400, false, &must_happen);
}

#[test]
fn it_agrees_while_crowds_of_tags_are_swept() {
    let must_happen = ["sweep: collected", "sweep: nothing"];
    play(100..102, 80, true, &must_happen);
}
