//! R1: from the answer to a push until the image can be pulled at the far place.
//!
//! An image is a config and one layer. Its latency counts from the 201 of its manifest. What arrives
//! earlier than the answer does, as blobs may that are fetched while the client goes on, is a gain of
//! whoever does it. The floor is what a network takes that has nothing else to do: half a round trip, and
//! the bytes by the bandwidth. The round trip is measured in each block.

use std::time::Duration;

use async_trait::async_trait;

use super::PRODUCTS;
use super::ground::{Ground, Prepared};
use super::image::LayeredImage;
use super::path::Path;
use super::travels::{Travel, travels};
use crate::drive::Block;
use crate::metric::{Bound, Metric, Target};
use crate::sample::Sample;
use crate::workload::push_layer::mebibytes;
use crate::workload::{
    About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload,
};

const MIB: u64 = 1 << 20;
/// From here on a block is one image, and few blocks say enough.
const LARGE: u64 = 128 * MIB;

const TARGETS: &[Target] = &[
    Target::ratio("1 MiB at 100 Mbit/s", Metric::P50, Bound::AtMost).required(0.35),
    Target::ratio("1 MiB at 1 Gbit/s", Metric::P50, Bound::AtMost).required(0.35),
    Target::ratio("128 MiB at 1 Gbit/s", Metric::P50, Bound::AtMost).required(0.5),
    Target::ratio("1024 MiB at 1 Gbit/s", Metric::P50, Bound::AtMost).required(0.5),
    Target::ours("", Metric::OverFloor, 1.25),
    TRIPS_AT_MOST,
    Target {
        case: "1 MiB at 1 Gbit/s",
        ..TRIPS_AT_MOST
    },
    Target::ours("", Metric::WanBytes, 1.02),
];
const TRIPS_AT_MOST: Target = Target {
    required: None,
    ..Target::ours("1 MiB at 100 Mbit/s", Metric::RoundTrips, 3.0).ambitious(3.0)
};

pub(in crate::workload) struct Lag {
    id: &'static str,
    title: &'static str,
    cells: &'static [(u64, Path)],
    targets: &'static [Target],
    is_long: bool,
}

struct Images {
    site: Site,
    size: u64,
    path: Path,
    ground: Prepared,
    pushed: Vec<LayeredImage>,
}

// === impl Lag ===

impl Lag {
    pub(in crate::workload) const USUAL: Self = Self {
        id: "R1",
        title: "from a push until it can be pulled 80 ms away",
        cells: &[
            (MIB, Path::SLOW),
            (MIB, Path::FAST),
            (16 * MIB, Path::SLOW),
            (16 * MIB, Path::FAST),
            (128 * MIB, Path::SLOW),
            (128 * MIB, Path::FAST),
            (1024 * MIB, Path::FAST),
        ],
        targets: TARGETS,
        is_long: false,
    };
    /// The one that takes a minute and a half for each image.
    pub(in crate::workload) const LONG: Self = Self {
        id: "R1/long",
        title: "the same, 1 GiB over a slow network",
        cells: &[(1024 * MIB, Path::SLOW)],
        targets: &[
            Target::ours("", Metric::OverFloor, 1.25),
            Target::ours("", Metric::WanBytes, 1.02),
        ],
        is_long: true,
    };
}

impl Workload for Lag {
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

    fn is_long(&self) -> bool {
        self.is_long
    }

    fn cases(&self, site: &Site, _scale: &Scale) -> Vec<Box<dyn Case>> {
        let case = |(size, path): &(u64, Path)| -> Box<dyn Case> {
            Box::new(Images {
                site: site.clone(),
                size: *size,
                path: *path,
                ground: Prepared::default(),
                pushed: Vec::new(),
            })
        };
        self.cells.iter().map(case).collect()
    }
}

// === impl Images ===

#[async_trait]
impl Case for Images {
    fn name(&self) -> String {
        format!("{} at {}", mebibytes(self.size), self.path.name)
    }

    fn manner(&self) -> Manner {
        let is_large = self.size >= LARGE;
        Manner {
            pairs: if is_large { 3 } else { usize::MAX },
            // At either place.
            leaves: if is_large { 2 * self.size } else { 0 },
            limit: Duration::from_secs(600),
            ..Manner::of(Measures::Own)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        self.ground.open(&self.site, self.path).await?;
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        self.ground.ping().await
    }

    async fn fire(&mut self, block: &Block) -> Result<Sample, LoadError> {
        let ground = self.ground.get()?;
        let (noise, size) = (&self.site.noise, self.size);
        let next = |ground: &mut Ground| Travel {
            image: ground.image(noise, size),
            first: 0,
        };
        let (sample, images) = travels(ground, self.path, block, next).await?;
        self.pushed.extend(images);
        Ok(sample)
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        self.ground.get()?.check(&self.pushed).await
    }
}
