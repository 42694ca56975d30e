//! R1/effort: what it costs to bring a large image to the far place.
//!
//! The image is pushed while the network is cut, so that the push is in nobody's account; then the network
//! is mended, and what both places use until the image has arrived is what replication costs. The network
//! is as wide as anybody can make use of.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::PRODUCTS;
use super::ground::Prepared;
use super::image::LayeredImage;
use super::path::{Path, approximate};
use super::usage::Usage;
use crate::drive::Block;
use crate::metric::Metric;
use crate::sample::Sample;
use crate::workload::push_layer::mebibytes;
use crate::workload::{
    About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload,
};

const SIZES: [u64; 2] = [128 << 20, 1 << 30];

pub(in crate::workload) struct Effort;

struct Images {
    site: Site,
    size: u64,
    ground: Prepared,
    pushed: Vec<LayeredImage>,
}

// === impl Effort ===

impl Workload for Effort {
    fn about(&self) -> About {
        About {
            id: "R1/effort",
            title: "what both places use to bring an image from one to the other",
            operation: "image",
            products: PRODUCTS,
            fresh: Fresh::Case,
            targets: &[],
        }
    }

    fn cases(&self, site: &Site, _scale: &Scale) -> Vec<Box<dyn Case>> {
        let case = |size| -> Box<dyn Case> {
            Box::new(Images {
                site: site.clone(),
                size,
                ground: Prepared::default(),
                pushed: Vec::new(),
            })
        };
        SIZES.into_iter().map(case).collect()
    }
}

// === impl Images ===

#[async_trait]
impl Case for Images {
    fn name(&self) -> String {
        mebibytes(self.size)
    }

    fn manner(&self) -> Manner {
        Manner {
            pairs: 3,
            // At either place.
            leaves: 2 * self.size,
            limit: Duration::from_secs(600),
            ..Manner::of(Measures::Own)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        self.ground.open(&self.site, Path::WIDE).await?;
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        self.ground.ping().await
    }

    async fn fire(&mut self, _block: &Block) -> Result<Sample, LoadError> {
        let ground = self.ground.get()?;
        let image = ground.image(&self.site.noise, self.size);
        ground.far.wan.cut();
        let number = ground.push_from(0, &image).await?;
        let (begun, before) = (Instant::now(), Usage::take(&self.site)?);
        ground.far.wan.heal();
        ground.arrivals.complete(number..number + 1).await?;
        let elapsed = begun.elapsed();
        ground.arrivals.give_up();
        let used = Usage::take(&self.site)?.since(&before);
        let bytes = image.size_from(0);
        self.pushed.push(image);
        let gigabytes = approximate(bytes) / 1e9;
        let carried = approximate(used.carried) / approximate(bytes);
        Ok(Sample {
            operations: 1,
            bytes,
            elapsed,
            figures: vec![
                (Metric::Throughput, gigabytes / elapsed.as_secs_f64()),
                (Metric::CpuPerGigabyte, used.cpu.as_secs_f64() / gigabytes),
                (Metric::WanBytes, carried),
            ],
            ..Sample::default()
        })
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        self.ground.get()?.check(&self.pushed).await
    }
}
