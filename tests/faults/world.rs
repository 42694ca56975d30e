//! One run of a row over several regions: their processes, clients in both, the fault, and the verdict.

use std::time::Duration;

use futures::future::join_all;
use harness::{Client, Dev, FRONTS, Plan, REGIONS, World, seed};
use meridian_clock::Region;
use meridian_eventlog::{EventLog, KafkaEventLog, Topic};
use serde_json::Value;

use crate::check::{self, End, SHARED};
use crate::history::{History, Op, Outcome};
use crate::trial::{HEAL, SOON, Verdict, events};
use crate::work::{Site, Work, client, tags};

/// What lies between regions, unless a row says.
pub(crate) const WAN: &str = "20ms,50MB/s";

/// Has a process serve its metrics.
pub(crate) const ADMIN: (&str, &str) = ("MERIDIAN_ADMIN__LISTEN", "[\"127.0.0.1:0\"]");

/// A client of what a process of a region that does so tells.
pub(crate) fn admin(region: &harness::Region, process: &Dev) -> Client {
    let line: Value = serde_json::from_str(&process.log_line("serving probes")).unwrap();
    let address = region.way_to(line["address"].as_str().unwrap());
    Client::new(format!("http://{address}"))
}

/// How many calls a failure tells of.
const LAST_CALLS: usize = 30;

/// A run under way.
pub(crate) struct WorldTrial<const N: usize = REGIONS> {
    row: &'static str,
    pub(crate) world: World<N>,
    pub(crate) history: History,
    works: Vec<Work>,
    /// The region that is lost for ever, and since when what it acknowledged may be lost with it.
    lost: Option<(usize, Duration)>,
}

/// What is left of a region.
struct Left {
    region: usize,
    clients: Vec<Client>,
    log: Option<KafkaEventLog>,
    topic: Topic,
}

// === impl WorldTrial ===

impl<const N: usize> WorldTrial<N> {
    /// Starts regions and clients in all, and waits until they do what they should.
    pub(crate) async fn begin(row: &'static str, plans: [Plan; N]) -> Self {
        let world = World::start(plans, WAN);
        let number: u64 = row.bytes().map(u64::from).sum();
        let (seed, history) = (seed(700 + number), History::new());
        let sites = (0..N).map(|region| site(&world, region));
        let works = sites.zip(seed..);
        let works = works.map(|(site, seed)| Work::begin_at(&site, seed, history.clone()));
        let trial = Self {
            row,
            works: works.collect(),
            world,
            history,
            lost: None,
        };
        trial.work().await;
        trial
    }

    fn left(&self) -> impl Iterator<Item = usize> {
        let lost = self.lost.map(|(region, _)| region);
        (0..N).filter(move |region| Some(*region) != lost)
    }

    /// Waits until pushes and pulls succeed again through every frontend of every region.
    pub(crate) async fn work(&self) {
        join_all(self.left().map(|region| self.works_in(region))).await;
    }

    /// The same in one region.
    pub(crate) async fn works_in(&self, region: usize) {
        for front in region * FRONTS..(region + 1) * FRONTS {
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

    /// Waits until such a call succeeds that begins after now.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Op) -> bool) {
        let works = self.works[0].works_within(HEAL, wanted).await;
        assert!(works, "{what}: not within {HEAL:?}\n{}", self.last_calls());
    }

    fn last_calls(&self) -> String {
        let ops = self.history.ops();
        let last = ops.iter().rev().take(LAST_CALLS);
        let calls: Vec<_> = last.map(|op| format!("{op:?}")).collect();
        calls.join("\n")
    }

    /// Lets clients work for a while.
    pub(crate) async fn go_on(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Kills all of a region at once, for ever. What it acknowledged after `since` may be lost.
    pub(crate) fn lose(&mut self, region: usize, since: Duration) {
        self.world.part();
        self.world.regions[region].lose();
        self.lost = Some((region, since));
    }

    /// Waits until all works, and enough was done to say anything; stops the clients, and looks.
    pub(crate) async fn end(self) -> Verdict {
        self.work().await;
        for region in self.left() {
            harness::eventually("enough calls succeed", SOON, || {
                let ops = self.history.ops().into_iter();
                let here: Vec<_> = ops.filter(|op| op.region() == region).collect();
                let few = check::covered(&here);
                std::future::ready(few.is_empty().then_some(()))
            })
            .await;
        }
        self.judge().await
    }

    /// Stops the clients, and looks.
    async fn judge(mut self) -> Verdict {
        let mut images = Vec::new();
        for work in std::mem::take(&mut self.works) {
            images.extend(work.end().await.1);
        }
        let left = join_all(self.left().map(|region| Left::of(&self.world, region))).await;
        let ends: Vec<_> = left
            .iter()
            .map(|left| {
                let end = End {
                    clients: &left.clients,
                    images: &images,
                    events: { left.log.as_ref() }.map(|log| (log as &dyn EventLog, &left.topic)),
                };
                (left.region, end)
            })
            .collect();
        let breaches = check::breaches_between(&self.ops(), &ends).await;
        Verdict::new(self.row, self.history, breaches)
    }

    /// Everything that was asked, as whoever is left has to take it: nobody knows what became of the
    /// last writes of a region that is lost.
    fn ops(&self) -> Vec<Op> {
        let mut ops = self.history.ops();
        if let Some((region, since)) = self.lost {
            for op in &mut ops {
                let is_done = matches!(op.outcome, Outcome::Done(_));
                if is_done && op.region() == region && op.ended > since {
                    op.outcome = Outcome::Unknown("its region is lost".to_owned());
                }
            }
        }
        ops
    }
}

/// Where clients of a region work: with tags of its own, and such as all regions write.
fn site<const N: usize>(world: &World<N>, region: usize) -> Site {
    let own = format!("own-{region}-");
    Site {
        bases: world.regions[region].bases(),
        first_front: region * FRONTS,
        tags: tags(SHARED).chain(tags(&own)).collect(),
        pulls: true,
    }
}

// === impl Left ===

impl Left {
    async fn of<const N: usize>(world: &World<N>, number: usize) -> Self {
        let region = &world.regions[number];
        let name: Region = region.name();
        Self {
            region: number,
            clients: region.bases().iter().map(|base| client(base)).collect(),
            log: events(region).await,
            topic: Topic::events(name),
        }
    }
}
