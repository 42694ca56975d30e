//! W4: what messages cost that wait to be told again.
//!
//! A hundred receivers take one request in four, and answer the others that something is wrong with them: often enough
//! that none of them is left alone, so that each message has its first attempt, and three of four wait for the next.
//! That is hours away, so that those which failed do not come again while others are told. Of the peer's, none takes
//! anything, and all wait in its memory. One block, without a warm-up: there is no way back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::in_order;
use super::pushers::Pushers;
use crate::bench::Sides;
use crate::drive::Block;
use crate::gauge::{Gauge, GaugeError};
use crate::metric::Metric;
use crate::receiver::{Book, Manners, Receivers, Told};
use crate::sample::Sample;
use crate::server::Product;
use crate::workload::{
    About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload,
};

const RECEIVERS: u32 = 100;
const TAKES_ONE_IN: u32 = 4;
const LOOK: Duration = Duration::from_millis(100);

pub(in crate::workload) struct Pending;

struct Waiting {
    site: Site,
    /// Messages that are to wait.
    count: u32,
    told: Arc<Book>,
    stage: Option<(Receivers, Pushers)>,
    pushed: u64,
}

// === impl Pending ===

impl Workload for Pending {
    fn about(&self) -> About {
        About {
            id: "W4",
            title: "memory with messages that wait to be told again",
            operation: "message",
            products: Sides {
                ours: Product::RegionTelling(RECEIVERS),
                peer: Product::DistributionTelling(RECEIVERS),
            },
            fresh: Fresh::Case,
            targets: &[],
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        vec![Box::new(Waiting {
            site: site.clone(),
            count: scale.pending,
            told: Arc::default(),
            stage: None,
            pushed: 0,
        })]
    }

    fn is_long(&self) -> bool {
        true
    }
}

// === impl Waiting ===

impl Waiting {
    fn is_peer(&self) -> bool {
        matches!(self.site.product, Product::DistributionTelling(_))
    }

    /// So that as many messages wait as are to.
    fn pushes(&self) -> u64 {
        let messages = match self.is_peer() {
            true => u64::from(self.count),
            false => u64::from(self.count) * u64::from(TAKES_ONE_IN) / u64::from(TAKES_ONE_IN - 1),
        };
        messages.div_ceil(RECEIVERS.into())
    }

    /// Of all its processes; of its dispatcher; of a member.
    fn resident(&self) -> Result<[f64; 3], LoadError> {
        let hooks = self.site.hooks.as_ref().ok_or(LoadError::NoHooks)?;
        let gauge = self.site.gauge.as_ref().ok_or(LoadError::NoGauge)?;
        let members = u32::try_from(hooks.members.len().max(1)).unwrap_or(u32::MAX);
        Ok([
            mebibytes(gauge.resident()?),
            sum(&hooks.dispatcher)?,
            sum(&hooks.members)? / f64::from(members),
        ])
    }
}

#[async_trait]
impl Case for Waiting {
    fn name(&self) -> String {
        format!("{} messages wait", self.count)
    }

    fn manner(&self) -> Manner {
        Manner {
            warm_up: false,
            pairs: 1,
            limit: Duration::from_secs(3600),
            ..Manner::of(Measures::Own)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        let hooks = self.site.hooks.as_ref().ok_or(LoadError::NoHooks)?;
        let book = Arc::clone(&self.told);
        let note = move |told: Told| {
            book.note(&told);
        };
        let manners = Manners {
            takes_one_in: if self.is_peer() {
                u32::MAX
            } else {
                TAKES_ONE_IN
            },
            ..Manners::after(Duration::ZERO)
        };
        let receivers = Receivers::open(&hooks.doors, manners, note);
        let receivers = receivers.map_err(LoadError::Receivers)?;
        let pushers = Pushers::open(&self.site.registry).await?;
        hooks.create().await?;
        self.stage = Some((receivers, pushers));
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        Ok(())
    }

    async fn fire(&mut self, _block: &Block) -> Result<Sample, LoadError> {
        let pushes = self.pushes();
        let [_, _, member_before] = self.resident()?;
        let start = Instant::now();
        let (_, pushers) = self.stage.as_mut().ok_or(LoadError::NoHooks)?;
        pushers.push(pushes).await?;
        self.pushed += pushes;
        while !self.is_peer() && self.told.firsts().0 < self.due() {
            tokio::time::sleep(LOOK).await;
        }
        let elapsed = start.elapsed();
        let [all, dispatcher, member] = self.resident()?;
        let mut figures = vec![(Metric::Resident, all)];
        if !self.is_peer() {
            let waiting = f64::from(self.count);
            let more = (member - member_before) * f64::from(1 << 20);
            figures.extend([
                (Metric::Rate, waiting / elapsed.as_secs_f64()),
                (Metric::DispatcherMemory, dispatcher),
                (Metric::MemberMemory, member),
                (Metric::MemoryPerMessage, more / waiting),
            ]);
        }
        Ok(Sample {
            operations: self.count.into(),
            elapsed,
            figures,
            ..Sample::default()
        })
    }

    /// What was told once and not taken waits.
    async fn verify(&mut self) -> Result<Verified, LoadError> {
        in_order(&self.told)?;
        let (receivers, _) = self.stage.as_ref().ok_or(LoadError::NoHooks)?;
        let told = match self.is_peer() {
            true => self.due(),
            false => self.told.firsts().0,
        };
        Ok(Verified {
            checked: told.saturating_sub(receivers.taken()),
            of: self.due(),
        })
    }
}

impl Waiting {
    /// How many deliveries there are.
    fn due(&self) -> u64 {
        self.pushed * u64::from(RECEIVERS)
    }
}

fn sum(pids: &[u32]) -> Result<f64, GaugeError> {
    let each = pids.iter().map(|pid| Gauge::of(*pid).resident());
    Ok(mebibytes(each.sum::<Result<u64, _>>()?))
}

fn mebibytes(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}
