//! R2: an image of ten layers of which one is new.
//!
//! The others have come to the far place with the image before it. A client pushes the new layer, a config
//! and a manifest; the latency counts from the 201 of the latter.

use std::time::Duration;

use async_trait::async_trait;

use super::PRODUCTS;
use super::ground::{Ground, Prepared};
use super::image::LayeredImage;
use super::path::Path;
use super::travels::{Travel, travels};
use crate::content::Layer;
use crate::drive::Block;
use crate::metric::{Metric, Target};
use crate::sample::Sample;
use crate::workload::push_layer::mebibytes;
use crate::workload::{
    About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload,
};

const LAYERS: u64 = 10;
const LAYER: u64 = 8 << 20;
/// 1.02 times what is new, and 64 KiB.
const MOST_BYTES: f64 = 1.02 + 65_536.0 / 8_388_608.0;

const TARGETS: &[Target] = &[
    Target::ours("", Metric::WanBytes, MOST_BYTES),
    Target::ours("", Metric::OverFloor, 1.25),
];

pub(in crate::workload) struct Change;

struct Images {
    site: Site,
    ground: Prepared,
    /// Of the image that was pushed last. The newest is the last of them.
    layers: Vec<Layer>,
    pushed: Vec<LayeredImage>,
}

// === impl Change ===

impl Workload for Change {
    fn about(&self) -> About {
        About {
            id: "R2",
            title: "an image of ten layers, of which one is new",
            operation: "image",
            products: PRODUCTS,
            fresh: Fresh::Case,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, _scale: &Scale) -> Vec<Box<dyn Case>> {
        vec![Box::new(Images {
            site: site.clone(),
            ground: Prepared::default(),
            layers: Vec::new(),
            pushed: Vec::new(),
        })]
    }
}

// === impl Images ===

#[async_trait]
impl Case for Images {
    fn name(&self) -> String {
        format!("{} of {LAYERS} at {}", mebibytes(LAYER), Path::FAST.name)
    }

    fn manner(&self) -> Manner {
        Manner {
            limit: Duration::from_secs(300),
            ..Manner::of(Measures::Own)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        let ground = self.ground.open(&self.site, Path::FAST).await?;
        // Numbers of images are far below these.
        let keys = u64::MAX - LAYERS..u64::MAX;
        self.layers = keys
            .map(|key| Layer::new(&self.site.noise, key, LAYER))
            .collect();
        let image = LayeredImage::new(ground.number_beside(), self.layers.clone());
        ground.travel(&image, 0).await?;
        ground.arrivals.close();
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        self.ground.ping().await
    }

    async fn fire(&mut self, block: &Block) -> Result<Sample, LoadError> {
        let ground = self.ground.get()?;
        let (noise, layers) = (&self.site.noise, &mut self.layers);
        let next = |ground: &mut Ground| {
            let number = ground.number_beside();
            layers.remove(0);
            layers.push(Layer::new(noise, number, LAYER));
            Travel {
                image: LayeredImage::new(number, layers.clone()),
                first: layers.len() - 1,
            }
        };
        let (sample, images) = travels(ground, Path::FAST, block, next).await?;
        self.pushed.extend(images);
        Ok(sample)
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        self.ground.get()?.check(&self.pushed).await
    }
}
