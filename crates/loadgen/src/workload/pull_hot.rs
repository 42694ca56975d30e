//! G1: a large blob that lies in the page cache.
//!
//! Before the first block the blob is pushed and read twice, which also compares its digest. A
//! worker pulls it again and again; what it receives is dropped unread.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, StatusCode};
use tokio::sync::OnceCell;

use super::push_layer::{compare, mebibytes};
use super::{
    About, Case, Fresh, LoadError, Manner, Measures, REGISTRIES, Scale, Site, Verified, Workload,
};
use crate::client::{CallError, Payload};
use crate::content::Layer;
use crate::digest::Digest;
use crate::drive::{Block, Worker, drive};
use crate::metric::{Bound, Metric, Target};
use crate::registry::{Session, Template};
use crate::sample::Sample;

const REPOSITORY: &str = "load/hot";
const CONNECTIONS: &[u32] = &[1, 8];

const TARGETS: &[Target] = &[
    Target::ratio("", Metric::CpuPerGigabyte, Bound::AtMost)
        .required(0.85)
        .ambitious(0.65),
    Target::ratio("", Metric::Throughput, Bound::AtLeast).required(1.15),
];

pub(super) struct PullHot;

/// The blob, pushed once for all cases of a server.
type HotBlob = Arc<OnceCell<Arc<Digest>>>;

struct Pulls {
    site: Site,
    size: u64,
    connections: u32,
    blob: HotBlob,
    pullers: Vec<Puller>,
}

struct Puller {
    session: Session,
    blob: Template,
}

// === impl PullHot ===

impl Workload for PullHot {
    fn about(&self) -> About {
        About {
            id: "G1",
            title: "pull a large blob that is in the page cache",
            operation: "pull",
            products: REGISTRIES,
            fresh: Fresh::Workload,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        let blob = HotBlob::default();
        let case = |connections: &u32| -> Box<dyn Case> {
            Box::new(Pulls {
                site: site.clone(),
                size: scale.hot_blob,
                connections: *connections,
                blob: Arc::clone(&blob),
                pullers: Vec::new(),
            })
        };
        CONNECTIONS.iter().map(case).collect()
    }
}

// === impl Pulls ===

impl Pulls {
    /// Pushes the blob and reads it twice.
    async fn heat(&self) -> Result<Arc<Digest>, CallError> {
        let layer = Layer::new(&self.site.noise, 0, self.size);
        let mut session = Session::open(&self.site.registry).await?;
        let payload = Payload::Sized(layer.part(0..layer.size));
        session
            .push_blob(REPOSITORY, &layer.digest, payload)
            .await?;
        for _ in 0..2 {
            compare(&mut session, REPOSITORY, &layer.digest).await?;
        }
        Ok(layer.digest)
    }

    async fn digest(&self) -> Result<Arc<Digest>, CallError> {
        let blob = Arc::clone(&self.blob);
        blob.get_or_try_init(|| self.heat()).await.cloned()
    }
}

#[async_trait]
impl Case for Pulls {
    fn name(&self) -> String {
        format!("{}, c={}", mebibytes(self.size), self.connections)
    }

    fn manner(&self) -> Manner {
        Manner {
            limit: Duration::from_secs(300),
            ..Manner::of(Measures::Bytes)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        self.digest().await?;
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        let path = format!("/v2/{REPOSITORY}/blobs/{}", self.digest().await?);
        while self.pullers.len() < self.connections as usize {
            self.pullers.push(Puller {
                session: Session::open(&self.site.registry).await?,
                blob: self.site.registry.template(Method::GET, &path)?,
            });
        }
        for puller in &mut self.pullers {
            puller.session.ping().await?;
        }
        Ok(())
    }

    async fn fire(&mut self, block: &Block) -> Result<Sample, LoadError> {
        Ok(drive(&mut self.pullers, block).await?)
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        let digest = self.digest().await?;
        let mut session = Session::open(&self.site.registry).await?;
        compare(&mut session, REPOSITORY, &digest).await?;
        Ok(Verified { checked: 1, of: 1 })
    }
}

// === impl Puller ===

impl Worker for Puller {
    async fn step(&mut self) -> Result<u64, CallError> {
        self.session
            .repeat(&self.blob, StatusCode::OK, "GET blob")
            .await
    }
}
