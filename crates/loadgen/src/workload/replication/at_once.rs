//! R1/pull: pushed here, pulled there at once.
//!
//! A client pushes a small image at the near place; with the 201 of its manifest, another one pulls it at
//! the far place by its tag: the manifest, then all blobs at the same time, as container engines do. The
//! latency counts from the 201 until the last byte has come. Who knows nothing of it yet cannot do with
//! less than two round trips, one for the manifest and one for what it names, and the bytes. The peer
//! pulls through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::ASKED;
use super::ground::{Ground, Prepared};
use super::image::{manifest_path, repository};
use super::path::{Path, approximate};
use super::small;
use crate::client::CallError;
use crate::content::Image;
use crate::drive::Block;
use crate::metric::{Bound, Metric, Target};
use crate::registry::Session;
use crate::sample::{Latencies, Sample};
use crate::server::Product;
use crate::workload::{
    About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload,
};

const TRAVELLERS: usize = 4;
/// In a block: of fewer, the 99th percentile would be the maximum.
const IMAGES: u64 = 200;
/// Those of the peer, which takes seconds for one.
const FEW: u64 = 24;

const TARGETS: &[Target] = &[Target::ratio("", Metric::P50, Bound::AtMost).required(1.0)];

pub(in crate::workload) struct AtOnce;

struct Images {
    site: Site,
    ground: Prepared,
    travellers: Vec<Traveller>,
    pushed: Vec<u64>,
}

/// A client at each place.
struct Traveller {
    near: Session,
    far: Session,
    /// For a blob each.
    more: Vec<Session>,
}

// === impl AtOnce ===

impl Workload for AtOnce {
    fn about(&self) -> About {
        About {
            id: "R1/pull",
            title: "small images, pushed here and pulled 80 ms away at once",
            operation: "image",
            products: ASKED,
            fresh: Fresh::Case,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, _scale: &Scale) -> Vec<Box<dyn Case>> {
        vec![Box::new(Images {
            site: site.clone(),
            ground: Prepared::default(),
            travellers: Vec::new(),
            pushed: Vec::new(),
        })]
    }
}

// === impl Images ===

#[async_trait]
impl Case for Images {
    fn name(&self) -> String {
        format!("c={TRAVELLERS} at {}", Path::FAST.name)
    }

    fn manner(&self) -> Manner {
        Manner {
            pairs: 5,
            ..Manner::of(Measures::Own)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        let ground = self.ground.open(&self.site, Path::FAST).await?;
        for _ in 0..TRAVELLERS {
            let traveller = Traveller::open(&self.site, ground).await?;
            self.travellers.push(traveller);
        }
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        for traveller in &mut self.travellers {
            traveller.ping().await?;
        }
        Ok(())
    }

    async fn fire(&mut self, _block: &Block) -> Result<Sample, LoadError> {
        let ground = self.ground.get()?;
        let start = Instant::now();
        let round_trip = ground.far.wan.round_trip().await;
        let count = match self.site.product {
            Product::PulledThrough => FEW,
            _ => IMAGES,
        };
        let numbers = ground.numbers(count);
        let next = Arc::new(AtomicU64::new(numbers.start));
        let mut tasks = JoinSet::new();
        for mut traveller in self.travellers.drain(..) {
            let (next, end) = (Arc::clone(&next), numbers.end);
            tasks.spawn(async move {
                let mut taken = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return Ok::<_, CallError>((traveller, taken));
                    }
                    taken.push(traveller.travel(number).await?);
                }
            });
        }
        let (mut latencies, mut bytes) = (Latencies::new(), 0);
        while let Some(task) = tasks.join_next().await {
            let (traveller, taken) =
                task.expect("a client is neither aborted nor does it panic")?;
            self.travellers.push(traveller);
            for (latency, size) in taken {
                latencies.record(latency);
                bytes += size;
            }
        }
        self.pushed.extend(numbers);
        let size = approximate(bytes) / approximate(count);
        let floor = 2.0 * round_trip.as_secs_f64() + Path::FAST.floor(Duration::ZERO, size);
        let [p50, p99] = [0.5, 0.99].map(|it| latencies.quantile(it).as_secs_f64());
        let mut figures = vec![(Metric::P50, p50 * 1000.0), (Metric::Floor, floor * 1000.0)];
        if count == IMAGES {
            figures.push((Metric::P99, p99 * 1000.0));
            figures.push((Metric::TailOverFloor, p99 / floor));
        }
        Ok(Sample {
            operations: count,
            bytes,
            elapsed: start.elapsed(),
            figures,
            ..Sample::default()
        })
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        self.ground.get()?.check_small(&self.pushed).await
    }
}

// === impl Traveller ===

impl Traveller {
    async fn open(site: &Site, ground: &Ground) -> Result<Self, CallError> {
        let registry = &ground.far.registry;
        let mut more = Vec::new();
        for _ in &Image::numbered(0).blobs {
            more.push(Session::open(registry).await?);
        }
        Ok(Self {
            near: Session::open(&site.registry).await?,
            far: Session::open(registry).await?,
            more,
        })
    }

    async fn ping(&mut self) -> Result<(), CallError> {
        let sessions = [&mut self.near, &mut self.far].into_iter();
        for session in sessions.chain(&mut self.more) {
            session.ping().await?;
        }
        Ok(())
    }

    /// Pushes an image, and pulls it. Returns how long the pull took, and how much it brought.
    async fn travel(&mut self, number: u64) -> Result<(Duration, u64), CallError> {
        let image = small::push(&mut self.near, number).await?;
        let start = Instant::now();
        let manifest = self.far.get(&manifest_path(number), "GET manifest").await?;
        if manifest != image.manifest.body {
            let what = manifest_path(number);
            return Err(CallError::Content { what });
        }
        let repository = repository(number);
        let mut pulls = JoinSet::new();
        for ((blob, _), mut session) in image.blobs.iter().zip(self.more.drain(..)) {
            let path = format!("/v2/{repository}/blobs/{}", blob.digest);
            pulls.spawn(async move {
                session.get(&path, "GET blob").await?;
                Ok::<_, CallError>(session)
            });
        }
        while let Some(pull) = pulls.join_next().await {
            let session = pull.expect("a pull is neither aborted nor does it panic")?;
            self.more.push(session);
        }
        Ok((start.elapsed(), image.size()))
    }
}
