//! E1: from a push to its event, beside a record that goes through Kafka alone.
//!
//! One operation of ours is the PUT of a manifest under a tag of its own, through a frontend of a
//! region whose events go to Kafka; its latency counts from the answer to the client until a reader
//! of the topic has the event, and is 0 where the reader was faster. The peer is the floor: a record
//! as large as such an event is appended by the client library that ours uses, and its latency
//! counts from the call. Both are read by a reader of ours for each shard, and the brokers of a run
//! are the same, in turn.
//!
//! W3 is the same, seen by a receiver of a webhook: its latency counts until the first attempt has come whole. One more
//! case has fifty operations a second, so that what waits for the one CPU of all services is not all that is seen.

mod record;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use meridian_event::SHARDS;
use meridian_eventlog::{EventLog, KafkaEventLog};

use super::ledger::Ledger;
use super::stock::{push_blobs, small_manifest};
use super::tail::Tail;
use super::webhooks::in_order;
use super::{About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload};
use crate::bench::Sides;
use crate::client::CallError;
use crate::drive::{Block, Pacing, Worker, drive};
use crate::kafka::Stream;
use crate::metric::{Metric, Target};
use crate::receiver::{Book, Manners, Receivers, Told};
use crate::registry::Session;
use crate::sample::Sample;
use crate::server::Product;

const MAKERS: &[u32] = &[1, 64];
/// In the case that is paced.
const A_SECOND: u32 = 50;
const POLL: Duration = Duration::from_millis(1);

pub(super) struct Events {
    id: &'static str,
    title: &'static str,
    ours: Product,
    is_paced_too: bool,
    targets: &'static [Target],
}

struct Lag {
    site: Site,
    count: u32,
    is_paced: bool,
    counter: Arc<AtomicU64>,
    ledger: Arc<Ledger>,
    tail: Option<Tail>,
    receivers: Option<Receivers>,
    book: Arc<Book>,
    makers: Vec<Maker>,
}

/// One client after whose operations a record stands in the topic.
struct Maker {
    way: Way,
    repository: String,
    counter: Arc<AtomicU64>,
    ledger: Arc<Ledger>,
}

enum Way {
    Push(Box<Session>),
    Append {
        log: Arc<KafkaEventLog>,
        stream: Stream,
        shard: u16,
    },
}

// === impl Events ===

impl Events {
    pub(super) const LOG: Self = Self {
        id: "E1",
        title: "from a push to its event in Kafka, beside a record of the same size",
        ours: Product::RegionWithKafka,
        is_paced_too: false,
        targets: &[Target::excess("c=1", Metric::P99, 2.0)],
    };
    pub(super) const FIRST_ATTEMPTS: Self = Self {
        id: "W3",
        title: "from a push to the first attempt at a receiver, beside a record in Kafka",
        ours: Product::RegionTelling(1),
        is_paced_too: true,
        targets: &[
            Target::excess("c=1", Metric::P99, 10.0),
            Target::excess("50 a second", Metric::P99, 10.0),
        ],
    };
}

impl Workload for Events {
    fn about(&self) -> About {
        About {
            id: self.id,
            title: self.title,
            operation: "event",
            products: Sides {
                ours: self.ours,
                peer: Product::Kafka,
            },
            fresh: Fresh::Case,
            targets: self.targets,
        }
    }

    fn cases(&self, site: &Site, _scale: &Scale) -> Vec<Box<dyn Case>> {
        let case = |(count, is_paced)| -> Box<dyn Case> {
            Box::new(Lag {
                site: site.clone(),
                count,
                is_paced,
                counter: Arc::default(),
                ledger: Arc::default(),
                tail: None,
                receivers: None,
                book: Arc::default(),
                makers: Vec::new(),
            })
        };
        let saturating = MAKERS.iter().map(|count| (*count, false));
        let paced = self.is_paced_too.then_some((4, true));
        saturating.chain(paced).map(case).collect()
    }
}

// === impl Lag ===

#[async_trait]
impl Case for Lag {
    fn name(&self) -> String {
        match self.is_paced {
            true => format!("{A_SECOND} a second"),
            false => format!("c={}", self.count),
        }
    }

    fn manner(&self) -> Manner {
        Manner::of(Measures::Own)
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        let stream = self.site.stream.clone().ok_or(LoadError::NoBrokers)?;
        let log = stream.open().await.map_err(CallError::of("Kafka"))?;
        let log = Arc::new(log);
        let created = log.create_topic(&stream.topic(), SHARDS).await;
        created.map_err(CallError::of("a topic"))?;
        for number in 0..self.count {
            let maker = self.maker(number, &log, &stream).await?;
            self.makers.push(maker);
        }
        if let Some(hooks) = &self.site.hooks {
            let (book, ledger) = (Arc::clone(&self.book), Arc::clone(&self.ledger));
            let note = move |told: Told| {
                if book.note(&told) {
                    ledger.seen(told.number, told.at);
                }
            };
            let manners = Manners::after(Duration::ZERO);
            let receivers = Receivers::open(&hooks.doors, manners, note);
            self.receivers = Some(receivers.map_err(LoadError::Receivers)?);
            hooks.create().await?;
        } else {
            let topic = stream.topic();
            self.tail = Some(Tail::begin(&log, &topic, &self.ledger, record::number_in).await?);
        }
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        for maker in &mut self.makers {
            if let Way::Push(session) = &mut maker.way {
                session.ping().await?;
            }
        }
        Ok(())
    }

    async fn fire(&mut self, block: &Block) -> Result<Sample, LoadError> {
        let start = Instant::now();
        let block = match self.is_paced {
            true => Block {
                // So that a percentile is more than the worst of few.
                length: block.length.max(Duration::from_secs(10)),
                pacing: Pacing::Open(A_SECOND.into()),
            },
            false => *block,
        };
        let mut sample = drive(&mut self.makers, &block).await?;
        self.all_seen().await?;
        let seen = self.ledger.close();
        if let Some(last) = seen.last {
            sample.elapsed = sample.elapsed.max(last - start);
        }
        sample.figures = seen.figures(sample.elapsed);
        Ok(sample)
    }

    /// Each block has waited for all of its events; what they say was read with them.
    async fn verify(&mut self) -> Result<Verified, LoadError> {
        in_order(&self.book)?;
        Ok(Verified {
            checked: self.ledger.all_seen(),
            of: self.counter.load(Ordering::Relaxed),
        })
    }
}

impl Lag {
    async fn maker(
        &self,
        number: u32,
        log: &Arc<KafkaEventLog>,
        stream: &Stream,
    ) -> Result<Maker, CallError> {
        let repository = format!("load/events-{number}");
        let way = if self.site.product == Product::Kafka {
            let shard = number % u32::from(SHARDS);
            Way::Append {
                log: Arc::clone(log),
                stream: stream.clone(),
                shard: u16::try_from(shard).unwrap_or_default(),
            }
        } else {
            let mut session = Session::open(&self.site.registry).await?;
            push_blobs(&mut session, &repository).await?;
            Way::Push(Box::new(session))
        };
        Ok(Maker {
            way,
            repository,
            counter: Arc::clone(&self.counter),
            ledger: Arc::clone(&self.ledger),
        })
    }

    /// Waits until every record of the block was read. The caller has a deadline.
    async fn all_seen(&mut self) -> Result<(), CallError> {
        while self.ledger.has_waiting() {
            if let Some(tail) = &mut self.tail {
                tail.still_reads()?;
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

// === impl Maker ===

impl Worker for Maker {
    async fn step(&mut self) -> Result<u64, CallError> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        match &mut self.way {
            Way::Push(session) => {
                let manifest = small_manifest(number);
                let tag = record::tag(number);
                session
                    .put_manifest(&self.repository, &tag, &manifest)
                    .await?;
                self.ledger.sent(number, Instant::now());
                Ok(manifest.body.len() as u64)
            }
            Way::Append { log, stream, shard } => {
                let record = record::like_ours(number, &self.repository, *shard, stream)?;
                let size = record.size() as u64;
                self.ledger.sent(number, Instant::now());
                let appended = log.append(&stream.topic(), *shard, vec![record]).await;
                appended.map_err(CallError::of("an append"))?;
                Ok(size)
            }
        }
    }
}
