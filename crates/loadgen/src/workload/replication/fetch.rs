//! R5: a blob is asked for at the far place that is not there yet.
//!
//! A client pushes it at the near place; with the 201, another one asks for it at the far place, where
//! nobody can have heard of it. Both the first and the last byte count from the question. The peer pulls
//! through. Then the image that the blob is a layer of is pushed and arrives, and all that has crossed the
//! network by then is counted: who fetches a second time is seen to.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::{Method, StatusCode};

use super::ASKED;
use super::ground::Prepared;
use super::image::{LayeredImage, repository};
use super::path::{Path, approximate};
use crate::client::{CallError, Payload};
use crate::content::Layer;
use crate::drive::Block;
use crate::metric::{Bound, Metric, Target};
use crate::registry::Session;
use crate::sample::Sample;
use crate::statistics::median;
use crate::workload::push_layer::{compare, mebibytes};
use crate::workload::{
    About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload,
};

const MIB: u64 = 1 << 20;
const SIZES: [u64; 2] = [MIB, 16 * MIB];

const TARGETS: &[Target] = &[
    Target::ours("", Metric::FirstByteTrips, 1.5),
    Target::ours("", Metric::WanBytes, 1.02),
    Target::ratio("", Metric::Total, Bound::AtMost).required(1.0),
];

pub(in crate::workload) struct Fetch;

struct Blobs {
    site: Site,
    size: u64,
    ground: Prepared,
    asker: Option<Session>,
    pushed: Vec<LayeredImage>,
}

/// How long an answer took.
struct Answered {
    first: Duration,
    last: Duration,
}

// === impl Fetch ===

impl Workload for Fetch {
    fn about(&self) -> About {
        About {
            id: "R5",
            title: "a blob that is asked for 80 ms away when it was just pushed",
            operation: "blob",
            products: ASKED,
            fresh: Fresh::Case,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, _scale: &Scale) -> Vec<Box<dyn Case>> {
        let case = |size| -> Box<dyn Case> {
            Box::new(Blobs {
                site: site.clone(),
                size,
                ground: Prepared::default(),
                asker: None,
                pushed: Vec::new(),
            })
        };
        SIZES.into_iter().map(case).collect()
    }
}

// === impl Blobs ===

#[async_trait]
impl Case for Blobs {
    fn name(&self) -> String {
        format!("{} at {}", mebibytes(self.size), Path::FAST.name)
    }

    fn manner(&self) -> Manner {
        Manner::of(Measures::Own)
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        let ground = self.ground.open(&self.site, Path::FAST).await?;
        self.asker = Some(Session::open(&ground.far.registry).await?);
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        if let Some(asker) = &mut self.asker {
            asker.ping().await?;
        }
        self.ground.ping().await
    }

    async fn fire(&mut self, block: &Block) -> Result<Sample, LoadError> {
        let ground = self.ground.get()?;
        let asker = self.asker.as_mut().ok_or(LoadError::NoFarPlace)?;
        let start = Instant::now();
        let round_trip = ground.far.wan.round_trip().await.as_secs_f64();
        let (mut firsts, mut lasts, mut carried) = (Vec::new(), Vec::new(), 0);
        let mut sample = Sample::default();
        while sample.operations == 0 || start.elapsed() < block.length {
            let number = ground.number();
            let layer = Layer::new(&self.site.noise, number, self.size);
            let before = ground.far.wan.carried();
            let payload = Payload::Sized(layer.part(0..layer.size));
            let repository = repository(number);
            let pushed = ground.near.push_blob(&repository, &layer.digest, payload);
            pushed.await?;
            let answered = ask(asker, &repository, &layer).await?;
            firsts.push(answered.first.as_secs_f64());
            lasts.push(answered.last.as_secs_f64());
            let image = LayeredImage::new(number, vec![layer]);
            ground.travel(&image, 1).await?;
            carried += ground.far.wan.carried() - before;
            sample.operations += 1;
            sample.bytes += image.size_from(0);
            self.pushed.push(image);
        }
        sample.elapsed = start.elapsed();
        let first = median(&mut firsts).unwrap_or(f64::NAN);
        let last = median(&mut lasts).unwrap_or(f64::NAN);
        let floor = Path::FAST.floor(Duration::ZERO, approximate(self.size)) + round_trip;
        sample.figures = vec![
            (Metric::FirstByte, first * 1000.0),
            (Metric::FirstByteTrips, (first - 0.01) / round_trip),
            (Metric::Total, last * 1000.0),
            (Metric::Floor, floor * 1000.0),
            (
                Metric::WanBytes,
                approximate(carried) / approximate(sample.bytes),
            ),
        ];
        Ok(sample)
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        let ground = self.ground.get()?;
        let mut session = ground.far_alone().await?;
        for image in &self.pushed {
            // Nobody has asked the peer for more of the image.
            let digest = &image.layers[0].digest;
            compare(&mut session, &repository(image.number), digest).await?;
        }
        ground.far.wan.heal();
        let all = self.pushed.len() as u64;
        Ok(Verified {
            checked: all,
            of: all,
        })
    }
}

/// Pulls a blob. That its bytes are the right ones is looked at afterwards.
async fn ask(
    session: &mut Session,
    repository: &str,
    layer: &Layer,
) -> Result<Answered, CallError> {
    let path = format!("/v2/{repository}/blobs/{}", layer.digest);
    let template = session.registry().template(Method::GET, &path)?;
    let start = Instant::now();
    let what = "GET of a blob from afar";
    let answer = session.send(template.request(), &[StatusCode::OK], what);
    let mut body = answer.await?.into_body();
    let (mut first, mut length) = (None, 0);
    while let Some(data) = session.connection().next(&mut body).await? {
        first.get_or_insert_with(|| start.elapsed());
        length += data.len() as u64;
    }
    match first {
        Some(first) if length == layer.size => Ok(Answered {
            first,
            last: start.elapsed(),
        }),
        _ => Err(CallError::Content { what: path }),
    }
}
