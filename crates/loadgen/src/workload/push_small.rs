//! P1: small images, each new.
//!
//! One operation is one image: POST and monolithic PUT for the config and for each of three layers
//! of 1–10 kB, then the manifest by tag; nine requests in sequence on one connection. Making and
//! hashing the image (some 50 µs) is part of the operation on either side. Every worker has its
//! own repository, every image its own tag.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::{
    About, Case, Fresh, LoadError, Manner, Measures, REGIONS, REGISTRIES, Scale, Site, Verified,
    Workload,
};
use crate::bench::Sides;
use crate::client::{CallError, Payload};
use crate::content::Image;
use crate::digest::Digest;
use crate::drive::{Block, Worker, drive};
use crate::metric::{Bound, Metric, Target};
use crate::registry::Session;
use crate::sample::Sample;
use crate::server::Product;

const CONNECTIONS: &[u32] = &[1, 16, 64, 256];
/// As many images are read back, evenly spread over all that were pushed.
const CHECKS: usize = 500;

const TARGETS: &[Target] = &[
    Target::ratio("c=1", Metric::Rate, Bound::AtLeast).required(5.0),
    Target::ratio("c=64", Metric::Rate, Bound::AtLeast).ambitious(12.0),
    Target::ratio("", Metric::CpuPerOperation, Bound::AtMost).required(0.15),
    Target::ours("c=1", Metric::SyncsPerOperation, 6.0),
    Target::ours("c=64", Metric::SyncsPerOperation, 0.2),
];

pub(super) struct PushSmall {
    id: &'static str,
    title: &'static str,
    products: Sides<Product>,
    connections: &'static [u32],
    targets: &'static [Target],
}

struct Pushes {
    site: Site,
    connections: u32,
    counter: Arc<AtomicU64>,
    pushers: Vec<Pusher>,
}

struct Pusher {
    session: Session,
    repository: String,
    counter: Arc<AtomicU64>,
    pushed: Vec<u64>,
}

// === impl PushSmall ===

impl PushSmall {
    pub(super) const DEV: Self = Self {
        id: "P1",
        title: "push small images (config, 3 layers of 1-10 kB, manifest), durable",
        products: REGISTRIES,
        connections: CONNECTIONS,
        targets: TARGETS,
    };
    pub(super) const REGION: Self = Self {
        id: "P1/region",
        title: "push small images through the frontends of a region",
        products: REGIONS,
        connections: CONNECTIONS,
        targets: TARGETS,
    };
    /// What events cost those who push.
    pub(super) const EVENTS: Self = Self {
        id: "E1/push",
        title: "push small images, with events in Kafka and with events on disk",
        products: Sides {
            ours: Product::RegionWithKafka,
            peer: Product::Region,
        },
        connections: &[1, 16],
        targets: &[Target::ratio("", Metric::P50, Bound::AtMost).required(1.03)],
    };
}

impl Workload for PushSmall {
    fn about(&self) -> About {
        About {
            id: self.id,
            title: self.title,
            operation: "image",
            products: self.products,
            fresh: Fresh::Case,
            targets: self.targets,
        }
    }

    fn cases(&self, site: &Site, _scale: &Scale) -> Vec<Box<dyn Case>> {
        let case = |connections: &u32| -> Box<dyn Case> {
            Box::new(Pushes {
                site: site.clone(),
                connections: *connections,
                counter: Arc::default(),
                pushers: Vec::new(),
            })
        };
        self.connections.iter().map(case).collect()
    }
}

// === impl Pushes ===

#[async_trait]
impl Case for Pushes {
    fn name(&self) -> String {
        format!("c={}", self.connections)
    }

    fn manner(&self) -> Manner {
        Manner {
            open_loop: self.connections == 64,
            count_syncs: matches!(self.connections, 1 | 64),
            ..Manner::of(Measures::Operations)
        }
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        for number in self.pushers.len()..self.connections as usize {
            self.pushers.push(Pusher {
                session: Session::open(&self.site.registry).await?,
                repository: format!("load/push-{number}"),
                counter: Arc::clone(&self.counter),
                pushed: Vec::new(),
            });
        }
        for pusher in &mut self.pushers {
            pusher.session.ping().await?;
        }
        Ok(())
    }

    async fn fire(&mut self, block: &Block) -> Result<Sample, LoadError> {
        Ok(drive(&mut self.pushers, block).await?)
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        let all: usize = self.pushers.iter().map(|it| it.pushed.len()).sum();
        let mut verified = Verified {
            checked: 0,
            of: all as u64,
        };
        let stride = all.div_ceil(CHECKS).max(1);
        for pusher in &mut self.pushers {
            for number in pusher.pushed.clone() {
                if number.is_multiple_of(stride as u64) {
                    pusher.check(number).await?;
                    verified.checked += 1;
                }
            }
        }
        Ok(verified)
    }
}

// === impl Pusher ===

impl Worker for Pusher {
    async fn step(&mut self) -> Result<u64, CallError> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let image = Image::numbered(number);
        for (blob, content) in &image.blobs {
            let payload = Payload::Whole(content.clone());
            self.session
                .push_blob(&self.repository, &blob.digest, payload)
                .await?;
        }
        self.session
            .put_manifest(&self.repository, &tag(number), &image.manifest)
            .await?;
        self.pushed.push(number);
        Ok(image.size())
    }
}

impl Pusher {
    async fn check(&mut self, number: u64) -> Result<(), CallError> {
        let image = Image::numbered(number);
        let repository = self.repository.clone();
        let path = format!("/v2/{repository}/manifests/{}", tag(number));
        self.compare(&path, &image.manifest.digest).await?;
        for (blob, _) in &image.blobs {
            let path = format!("/v2/{repository}/blobs/{}", blob.digest);
            self.compare(&path, &blob.digest).await?;
        }
        Ok(())
    }

    async fn compare(&mut self, path: &str, wanted: &Digest) -> Result<(), CallError> {
        let content = self.session.get(path, "GET of a pushed image").await?;
        if Digest::of(&content) == *wanted {
            return Ok(());
        }
        Err(CallError::Content {
            what: path.to_owned(),
        })
    }
}

fn tag(number: u64) -> String {
    format!("i{number}")
}
