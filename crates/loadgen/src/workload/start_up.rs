//! S1: from the start of the process to the first 200.
//!
//! Every block ends the server, puts what it keeps out of the page cache, and starts it again; the
//! figures are the time until a manifest was read, and what was resident then. Until then a
//! connection is tried every millisecond. The peer looks at nothing when it starts, so that one
//! size is enough beside it. How ours grows is seen beside ours: many manifests and few, in turn.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

use super::stock::{push_blobs, small_manifest};
use super::{
    About, Case, Fresh, LoadError, Manner, Measures, REGISTRIES, Scale, Site, Verified, Workload,
};
use crate::bench::{Side, Sides};
use crate::client::CallError;
use crate::drive::Block;
use crate::metric::{Bound, Metric, Target};
use crate::registry::{Chore, Session, spread};
use crate::sample::Sample;
use crate::server::Product;

const POLL: Duration = Duration::from_millis(1);
const REPOSITORIES: u32 = 100;
const SET_UP_CONNECTIONS: u32 = 64;
const CHECKS: usize = 500;

const TARGETS: &[Target] = &[Target::ours("", Metric::Start, 2.0)];
const GROWTH: &[Target] = &[
    Target::ours("", Metric::Start, 2.0),
    Target::ratio("", Metric::Start, Bound::AtMost).required(1.5),
];

/// Beside distribution.
pub(super) struct StartUp;

/// Beside itself with fewer manifests.
pub(super) struct Growth;

struct Starts {
    site: Site,
    name: String,
    manifests: u32,
}

#[derive(Clone)]
struct Fill;

// === impl StartUp ===

impl Workload for StartUp {
    fn about(&self) -> About {
        About {
            id: "S1",
            title: "start, cold, until a manifest is read",
            operation: "start",
            products: REGISTRIES,
            fresh: Fresh::Start,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        vec![Box::new(Starts {
            site: site.clone(),
            name: format!("{} manifests", scale.manifests),
            manifests: scale.manifests,
        })]
    }
}

// === impl Growth ===

impl Workload for Growth {
    fn about(&self) -> About {
        About {
            id: "S1/growth",
            title: "start, cold, with many manifests (ours) and with few (peer)",
            operation: "start",
            products: Sides {
                ours: Product::Meridian,
                peer: Product::Meridian,
            },
            fresh: Fresh::Start,
            targets: GROWTH,
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        let (few, many) = (scale.manifests, scale.many_manifests);
        vec![Box::new(Starts {
            site: site.clone(),
            name: format!("{many} manifests beside {few}"),
            manifests: match site.side {
                Side::Ours => many,
                Side::Peer => few,
            },
        })]
    }
}

// === impl Starts ===

#[async_trait]
impl Case for Starts {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn manner(&self) -> Manner {
        Manner {
            warm_up: false,
            pairs: 5,
            limit: Duration::from_secs(3600),
            ..Manner::of(Measures::Own)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        let registry = &self.site.registry;
        let mut session = Session::open(registry).await?;
        for number in 0..REPOSITORIES {
            push_blobs(&mut session, &repository(number)).await?;
        }
        spread(registry, SET_UP_CONNECTIONS, self.manifests, Fill).await?;
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        Ok(())
    }

    async fn fire(&mut self, _block: &Block) -> Result<Sample, LoadError> {
        let gauge = self.site.gauge.as_ref().ok_or(LoadError::NoGauge)?;
        let start = Instant::now();
        while read(&self.site, 0).await.is_err() {
            tokio::time::sleep(POLL).await;
        }
        let elapsed = start.elapsed();
        let resident = u32::try_from(gauge.resident()?).unwrap_or(u32::MAX);
        Ok(Sample {
            operations: 1,
            elapsed,
            figures: vec![
                (Metric::Start, elapsed.as_secs_f64()),
                (Metric::Resident, f64::from(resident) / 1024.0),
            ],
            ..Sample::default()
        })
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        let stride = (self.manifests as usize).div_ceil(CHECKS).max(1);
        let mut checked = 0;
        for number in (0..self.manifests).step_by(stride) {
            if read(&self.site, number).await? != small_manifest(number.into()).body {
                return Err(CallError::Content { what: path(number) }.into());
            }
            checked += 1;
        }
        Ok(Verified {
            checked,
            of: self.manifests.into(),
        })
    }
}

/// Reads a manifest over a connection of its own.
async fn read(site: &Site, number: u32) -> Result<Bytes, CallError> {
    let mut session = Session::open(&site.registry).await?;
    session.get(&path(number), "GET manifest").await
}

fn path(number: u32) -> String {
    format!("/v2/{}/manifests/{}", repository(number), tag(number))
}

fn repository(number: u32) -> String {
    format!("load/start-{}", number % REPOSITORIES)
}

fn tag(number: u32) -> String {
    format!("s{number}")
}

// === impl Fill ===

impl Chore for Fill {
    async fn act(&self, session: &mut Session, number: u32) -> Result<(), CallError> {
        let manifest = small_manifest(number.into());
        session
            .put_manifest(&repository(number), &tag(number), &manifest)
            .await
    }
}
