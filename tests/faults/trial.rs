//! One run of a row: a region, clients, the fault, and the verdict.

use std::time::Duration;

use harness::{Plan, Region, seed};
use meridian_eventlog::{EventLog, KafkaConfig, KafkaEventLog, Topic};

use crate::check::{self, Breach, End};
use crate::history::{History, Op};
use crate::work::{Work, client};

/// How long a region may take until it serves again, after a fault is over.
pub(crate) const HEAL: Duration = Duration::from_secs(30);

/// How long anything may take that is waited for besides.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// How many calls a failure tells of.
const LAST_CALLS: usize = 20;

/// A run under way.
pub(crate) struct Trial {
    row: &'static str,
    pub(crate) region: Region,
    pub(crate) work: Work,
}

/// What came of it.
pub(crate) struct Verdict {
    row: &'static str,
    history: History,
    breaches: Vec<Breach>,
}

// === impl Trial ===

impl Trial {
    /// Starts a region and its clients, and waits until they do what they should.
    pub(crate) async fn begin(row: &'static str, plan: Plan) -> Self {
        let region = Region::start(plan);
        let number: u64 = row.bytes().map(u64::from).sum();
        let work = Work::begin(seed(700 + number), &region.bases());
        let trial = Self { row, region, work };
        trial.works().await;
        trial
    }

    /// Waits until pushes and pulls succeed again through every frontend.
    pub(crate) async fn works(&self) {
        for front in 0..harness::FRONTS {
            self.until("pushes succeed", |op| {
                op.front == front && op.call.is_write()
            })
            .await;
            self.until("pulls succeed", |op| {
                op.front == front && !op.call.is_write()
            })
            .await;
        }
    }

    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Op) -> bool) {
        let works = self.work.works_within(HEAL, wanted).await;
        assert!(works, "{what}: not within {HEAL:?}\n{}", self.situation());
    }

    /// Whether somebody has read what nobody may read, until now.
    pub(crate) fn is_out_of_order(&self) -> bool {
        !check::out_of_order(&self.work.history.ops()).is_empty()
    }

    /// What the members say, and what became of the last calls.
    fn situation(&self) -> String {
        let members = (0..harness::MEMBERS).map(|member| {
            let said = self.region.status(member);
            said.map_or_else(|| "does not answer".to_owned(), |it| it.to_string())
        });
        let members = (0..).zip(members);
        let members = members.map(|(member, said)| format!("member {member}: {said}"));
        let ops = self.work.history.ops();
        let last = ops.iter().rev().take(LAST_CALLS);
        let calls = last.map(|op| format!("{op:?}"));
        members.chain(calls).collect::<Vec<_>>().join("\n")
    }

    /// Lets clients work for a while.
    pub(crate) async fn go_on(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Waits until all works, and enough was done to say anything; stops the clients, and looks.
    pub(crate) async fn end(self) -> Verdict {
        self.works().await;
        let history = &self.work.history;
        harness::eventually("enough calls succeed", SOON, || {
            let few = check::covered(&history.ops());
            std::future::ready(few.is_empty().then_some(()))
        })
        .await;
        self.judge().await
    }

    /// Stops the clients, and looks.
    pub(crate) async fn judge(self) -> Verdict {
        let (history, images) = self.work.end().await;
        let bases = self.region.bases();
        let clients: Vec<_> = bases.iter().map(|base| client(base)).collect();
        let (log, topic) = (
            events(&self.region).await,
            Topic::events(self.region.name()),
        );
        let end = End {
            clients: &clients,
            images: &images,
            events: log.as_ref().map(|log| (log as &dyn EventLog, &topic)),
        };
        let breaches = check::breaches(&history.ops(), &end).await;
        Verdict::new(self.row, history, breaches)
    }
}

/// The log in Kafka, if events go there.
pub(crate) async fn events(region: &Region) -> Option<KafkaEventLog> {
    if region.plan.brokers.is_empty() {
        return None;
    }
    let config = KafkaConfig {
        brokers: region.plan.brokers.clone(),
        single_broker: true,
        ..KafkaConfig::default()
    };
    Some(KafkaEventLog::open(config).await.unwrap())
}

// === impl Verdict ===

impl Verdict {
    pub(crate) const fn new(row: &'static str, history: History, breaches: Vec<Breach>) -> Self {
        Self {
            row,
            history,
            breaches,
        }
    }

    /// Everything that was asked.
    pub(crate) fn ops(&self) -> Vec<Op> {
        self.history.ops()
    }

    /// Keeps the history; says where.
    pub(crate) fn keep(&self) -> String {
        let kept = self.history.keep(self.row);
        format!("every call is in {}", kept.display())
    }

    /// Fails unless every invariant was kept.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        if self.breaches.is_empty() {
            eprintln!("{}: {} calls, nothing broken", self.row, self.ops().len());
            return;
        }
        let lines: Vec<_> = self.breaches.iter().map(ToString::to_string).collect();
        panic!("{}\n{}", lines.join("\n"), self.keep());
    }

    /// Fails unless this invariant was broken, and no other one: all else held without it.
    #[track_caller]
    pub(crate) fn has_only_broken(&self, invariant: &str) {
        self.has_broken(invariant);
        let others = self.breaches.iter().filter(|it| it.invariant != invariant);
        let others: Vec<_> = others.map(ToString::to_string).collect();
        assert!(others.is_empty(), "{}\n{}", others.join("\n"), self.keep());
    }

    /// Fails unless an invariant was broken: the mechanism that is switched off was needed, and its
    /// lack is noticed.
    #[track_caller]
    pub(crate) fn has_broken(&self, invariant: &str) {
        let broken = self.breaches.iter().filter(|it| it.invariant == invariant);
        let broken: Vec<_> = broken.map(ToString::to_string).collect();
        assert!(
            !broken.is_empty(),
            "nothing broke {invariant}: {:?}",
            self.breaches
        );
        eprintln!(
            "{}: {} breaches, the first {}",
            self.row,
            broken.len(),
            broken[0]
        );
    }
}
