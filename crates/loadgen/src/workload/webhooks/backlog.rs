//! W1: how fast receivers are told of what happened.
//!
//! Receivers do not answer until all manifests of a block are pushed, so that a rate says nothing of pushes; nor do the
//! CPU figures. It counts from when they answer until the last of them has the last delivery. Distribution tells each
//! receiver of one event after the other, which makes no difference to its rate when there are fewer: where receivers
//! take their time it has a hundred pushes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::in_order;
use super::pushers::Pushers;
use crate::bench::Sides;
use crate::drive::Block;
use crate::metric::{Bound, Metric, Target};
use crate::receiver::{Book, Manners, Receivers, Told};
use crate::sample::Sample;
use crate::server::Product;
use crate::workload::{
    About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload,
};

const DELAYS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(50)];
/// What the peer has of a backlog, where receivers take their time.
const ONE_BY_ONE: u64 = 100;
const LOOK: Duration = Duration::from_millis(1);

const TARGETS: &[Target] = &[
    Target::ratio("0 ms", Metric::Rate, Bound::AtLeast).required(5.0),
    Target::ratio("50 ms", Metric::Rate, Bound::AtLeast).required(50.0),
];

pub(in crate::workload) struct Backlog {
    id: &'static str,
    title: &'static str,
    receivers: u32,
    pushes: fn(&Scale) -> u32,
}

struct Deliveries {
    site: Site,
    receivers: u32,
    delay: Duration,
    pushes: u32,
    told: Arc<Book>,
    stage: Option<(Receivers, Pushers)>,
    /// How many deliveries there are to be.
    due: u64,
}

// === impl Backlog ===

impl Backlog {
    pub(in crate::workload) const ONE: Self = Self {
        id: "W1",
        title: "a backlog of pushes that a receiver is told of",
        receivers: 1,
        pushes: |scale| scale.notices,
    };
    pub(in crate::workload) const MANY: Self = Self {
        id: "W1/100",
        title: "a backlog of pushes that 100 receivers are told of",
        receivers: 100,
        pushes: |scale| (scale.notices / 10).max(1),
    };
}

impl Workload for Backlog {
    fn about(&self) -> About {
        About {
            id: self.id,
            title: self.title,
            operation: "notice",
            products: Sides {
                ours: Product::MeridianTelling(self.receivers),
                peer: Product::DistributionTelling(self.receivers),
            },
            fresh: Fresh::Case,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        let case = |delay| -> Box<dyn Case> {
            Box::new(Deliveries {
                site: site.clone(),
                receivers: self.receivers,
                delay,
                pushes: (self.pushes)(scale),
                told: Arc::default(),
                stage: None,
                due: 0,
            })
        };
        DELAYS.into_iter().map(case).collect()
    }
}

// === impl Deliveries ===

impl Deliveries {
    /// In one block.
    fn pushes(&self) -> u64 {
        let pushes = self.pushes.into();
        match self.site.product {
            Product::DistributionTelling(_) if !self.delay.is_zero() => ONE_BY_ONE.min(pushes),
            _ => pushes,
        }
    }
}

#[async_trait]
impl Case for Deliveries {
    fn name(&self) -> String {
        format!("{} pushes, {} ms", self.pushes, self.delay.as_millis())
    }

    fn manner(&self) -> Manner {
        Manner {
            pairs: 5,
            limit: Duration::from_secs(280),
            ..Manner::of(Measures::Operations)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        let hooks = self.site.hooks.as_ref().ok_or(LoadError::NoHooks)?;
        let book = Arc::clone(&self.told);
        let note = move |told: Told| {
            book.note(&told);
        };
        let receivers = Receivers::open(&hooks.doors, Manners::after(self.delay), note);
        let receivers = receivers.map_err(LoadError::Receivers)?;
        let pushers = Pushers::open(&self.site.registry).await?;
        hooks.create().await?;
        self.stage = Some((receivers, pushers));
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        let pushes = self.pushes();
        let (receivers, pushers) = self.stage.as_mut().ok_or(LoadError::NoHooks)?;
        receivers.hold();
        pushers.push(pushes).await?;
        self.due += pushes * u64::from(self.receivers);
        Ok(())
    }

    async fn fire(&mut self, _block: &Block) -> Result<Sample, LoadError> {
        let (receivers, _) = self.stage.as_ref().ok_or(LoadError::NoHooks)?;
        let start = Instant::now();
        receivers.answer();
        let last = loop {
            let (firsts, last) = self.told.firsts();
            if firsts >= self.due {
                break last.unwrap_or(start);
            }
            tokio::time::sleep(LOOK).await;
        };
        Ok(Sample {
            operations: self.pushes() * u64::from(self.receivers),
            elapsed: last.saturating_duration_since(start),
            ..Sample::default()
        })
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        in_order(&self.told)?;
        Ok(Verified {
            checked: self.told.firsts().0,
            of: self.due,
        })
    }
}
