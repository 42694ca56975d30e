//! W2: whether receivers that are not well cost the others anything.
//!
//! Manifests are pushed at a fixed rate, and a hundred receivers are told of them. On one side one of them is away and
//! another one takes five seconds; on the other side, of the same product, all are well. A latency counts from the answer
//! to the push until the first attempt has come whole at one of the 98 that are well on either side. Of the two that are
//! not, nothing is asked here: that what they did not take is told later is for tests, since it takes minutes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::time::interval;

use super::in_order;
use super::pushers::Pushers;
use crate::bench::{Side, Sides};
use crate::drive::Block;
use crate::metric::{Bound, Metric, Target};
use crate::receiver::{Book, Manners, Receivers, SICK, Told};
use crate::sample::{Latencies, Sample};
use crate::server::Product;
use crate::workload::{
    About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload,
};

const RECEIVERS: u32 = 100;
/// Between two pushes.
const EVERY: Duration = Duration::from_millis(100);
/// Longer than other blocks: the slow one takes five seconds for each.
const LENGTH: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(1);

pub(in crate::workload) struct Neighbours {
    id: &'static str,
    title: &'static str,
    product: Product,
    targets: &'static [Target],
}

struct Healthy {
    site: Site,
    length: Duration,
    told: Arc<Book>,
    stage: Option<(Receivers, Pushers)>,
    pushed: u64,
}

// === impl Neighbours ===

impl Neighbours {
    pub(in crate::workload) const OURS: Self = Self {
        id: "W2",
        title: "100 receivers, of which two are not well (ours) and all are (peer)",
        product: Product::MeridianTelling(RECEIVERS),
        targets: &[Target::ratio("", Metric::P99, Bound::AtMost).required(1.1)],
    };
    pub(in crate::workload) const PEER: Self = Self {
        id: "W2/peer",
        title: "the same of distribution",
        product: Product::DistributionTelling(RECEIVERS),
        targets: &[],
    };
}

impl Workload for Neighbours {
    fn about(&self) -> About {
        About {
            id: self.id,
            title: self.title,
            operation: "notice",
            products: Sides {
                ours: self.product,
                peer: self.product,
            },
            fresh: Fresh::Case,
            targets: self.targets,
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        vec![Box::new(Healthy {
            site: site.clone(),
            length: LENGTH.min(EVERY * scale.notices / 10),
            told: Arc::default(),
            stage: None,
            pushed: 0,
        })]
    }
}

// === impl Healthy ===

#[async_trait]
impl Case for Healthy {
    fn name(&self) -> String {
        let millis = EVERY.as_millis();
        format!("one away and one that takes 5 s, a push each {millis} ms")
    }

    fn manner(&self) -> Manner {
        Manner {
            pairs: 5,
            ..Manner::of(Measures::Operations)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        let hooks = self.site.hooks.as_ref().ok_or(LoadError::NoHooks)?;
        let book = Arc::clone(&self.told);
        let note = move |told: Told| {
            if told.endpoint >= SICK {
                book.note(&told);
            }
        };
        let manners = Manners {
            are_two_sick: self.site.side == Side::Ours,
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
        let (_, pushers) = self.stage.as_mut().ok_or(LoadError::NoHooks)?;
        let start = Instant::now();
        let mut pushes = BTreeMap::new();
        let mut due = interval(EVERY);
        while start.elapsed() < self.length {
            due.tick().await;
            let number = pushers.push_one().await?;
            pushes.insert(number, Instant::now());
        }
        self.pushed += pushes.len() as u64;
        while self.told.firsts().0 < self.due() {
            tokio::time::sleep(LOOK).await;
        }
        let mut latencies = Latencies::new();
        for (number, pushed) in &pushes {
            for endpoint in SICK..RECEIVERS {
                if let Some(told) = self.told.told_at(endpoint, *number) {
                    latencies.record(told.saturating_duration_since(*pushed));
                }
            }
        }
        Ok(Sample {
            operations: pushes.len() as u64 * u64::from(RECEIVERS - SICK),
            elapsed: start.elapsed(),
            latencies,
            ..Sample::default()
        })
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        in_order(&self.told)?;
        Ok(Verified {
            checked: self.told.firsts().0,
            of: self.due(),
        })
    }
}

impl Healthy {
    /// How many deliveries there are to be.
    fn due(&self) -> u64 {
        self.pushed * u64::from(RECEIVERS - SICK)
    }
}
