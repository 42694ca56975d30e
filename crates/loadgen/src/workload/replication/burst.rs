//! R3: many small images.
//!
//! A burst is pushed by several clients, and its images come to the far place meanwhile; the rate counts
//! from the first push to the last arrival. A backlog is pushed while the network is cut, and counts from
//! when it is mended; the peer then has one program for all of it, `skopeo sync`. The peer has fewer images,
//! which makes no difference to one that copies them one after the other. Images are those of P1, of some
//! 22 kB.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::PRODUCTS;
use super::ground::Prepared;
use super::path::{Path, approximate};
use super::small::push_all;
use super::usage::Usage;
use crate::drive::Block;
use crate::metric::{Bound, Metric, Target};
use crate::sample::Sample;
use crate::server::Product;
use crate::workload::{
    About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload,
};

/// What the peer has of a burst, or of a backlog.
const COPIED: u32 = 15;

pub(in crate::workload) struct Burst {
    id: &'static str,
    title: &'static str,
    images: fn(&Scale) -> u32,
    is_backlog: bool,
    targets: &'static [Target],
}

struct Images {
    site: Site,
    /// As many as ours has.
    count: u32,
    is_backlog: bool,
    ground: Prepared,
    pushed: Vec<u64>,
}

// === impl Burst ===

impl Burst {
    pub(in crate::workload) const TAGS: Self = Self {
        id: "R3",
        title: "a burst of small images, until all can be pulled 80 ms away",
        images: |scale| scale.burst,
        is_backlog: false,
        targets: &[Target::ratio("", Metric::Rate, Bound::AtLeast).required(20.0)],
    };
    pub(in crate::workload) const BACKLOG: Self = Self {
        id: "R3/backlog",
        title: "small images that were pushed while the network was cut",
        images: |scale| scale.backlog,
        is_backlog: true,
        targets: &[],
    };
}

impl Workload for Burst {
    fn about(&self) -> About {
        About {
            id: self.id,
            title: self.title,
            operation: "image",
            products: PRODUCTS,
            fresh: Fresh::Case,
            targets: self.targets,
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        vec![Box::new(Images {
            site: site.clone(),
            count: (self.images)(scale),
            is_backlog: self.is_backlog,
            ground: Prepared::default(),
            pushed: Vec::new(),
        })]
    }
}

// === impl Images ===

#[async_trait]
impl Case for Images {
    fn name(&self) -> String {
        format!("{} images at {}", self.count, Path::FAST.name)
    }

    fn manner(&self) -> Manner {
        Manner {
            warm_up: !self.is_backlog,
            pairs: if self.is_backlog { 3 } else { 5 },
            limit: Duration::from_secs(600),
            ..Manner::of(Measures::Own)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        self.ground.open(&self.site, Path::FAST).await?;
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        self.ground.ping().await
    }

    async fn fire(&mut self, _block: &Block) -> Result<Sample, LoadError> {
        let ground = self.ground.get()?;
        let count = match self.site.product {
            Product::Copied => COPIED,
            _ => self.count,
        };
        let numbers = ground.numbers(count.into());
        let mut begun = (Instant::now(), Usage::take(&self.site)?);
        if self.is_backlog {
            ground.far.wan.cut();
        }
        push_all(
            &self.site.registry,
            ground.arrivals.pushes(),
            numbers.clone(),
        )
        .await?;
        self.pushed.extend(numbers.clone());
        if self.is_backlog {
            ground.far.wan.heal();
            begun = (Instant::now(), Usage::take(&self.site)?);
        }
        match self.is_backlog {
            true => ground.arrivals.complete_at_once(numbers).await?,
            false => ground.arrivals.complete(numbers).await?,
        }
        let seen = ground.arrivals.close();
        let elapsed = seen.last.unwrap_or(begun.0) - begun.0;
        let used = Usage::take(&self.site)?.since(&begun.1);
        let mut figures = seen.figures(elapsed);
        if self.is_backlog {
            // How long one waited that was pushed while nothing could come is no finding.
            figures.retain(|(metric, _)| *metric == Metric::Rate);
        }
        let micros = used.cpu.as_secs_f64() * 1e6;
        figures.push((Metric::CpuPerOperation, micros / f64::from(count)));
        let carried = approximate(used.carried);
        figures.push((Metric::WanKilobytes, carried / 1000.0 / f64::from(count)));
        Ok(Sample {
            operations: count.into(),
            elapsed,
            figures,
            ..Sample::default()
        })
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        self.ground.get()?.check_small(&self.pushed).await
    }
}
