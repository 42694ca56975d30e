//! P2: one large layer at a time.
//!
//! A block is one upload, from the POST to the 201. The layer is made and hashed before the clock
//! starts and is sent from memory that is never copied in user space (see [`Layer`]). "finish" is
//! what the closing PUT takes when all bytes went before it.

use std::ops::Range;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{
    About, Case, Fresh, LoadError, Manner, Measures, REGISTRIES, Scale, Site, Verified, Workload,
};
use crate::client::{CallError, Payload};
use crate::content::Layer;
use crate::digest::{Digest, Hasher};
use crate::drive::Block;
use crate::metric::{Bound, Metric, Target};
use crate::registry::Session;
use crate::sample::Sample;

const REPOSITORY: &str = "load/layer";

const TARGETS: &[Target] = &[
    Target::ratio("", Metric::Throughput, Bound::AtLeast)
        .required(1.6)
        .ambitious(1.9),
    Target::ratio("", Metric::CpuPerGigabyte, Bound::AtMost)
        .required(0.75)
        .ambitious(0.66),
    Target::ours("", Metric::Finish, 5.0),
];

pub(super) struct PushLayer;

/// How the bytes go out.
#[derive(Debug, Clone, Copy)]
enum Flow {
    /// One PATCH of unannounced length, then PUT.
    Stream,
    /// One PUT with everything.
    Monolithic,
    /// PATCH after PATCH of this many bytes, then PUT.
    Chunks(u64),
}

struct Uploads {
    site: Site,
    flow: Flow,
    size: u64,
    session: Option<Session>,
    next: Option<Layer>,
    made: u64,
    pushed: Vec<Layer>,
}

// === impl PushLayer ===

impl Workload for PushLayer {
    fn about(&self) -> About {
        About {
            id: "P2",
            title: "push one large layer, durable",
            operation: "layer",
            products: REGISTRIES,
            fresh: Fresh::Case,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        let case = |flow| -> Box<dyn Case> {
            Box::new(Uploads {
                site: site.clone(),
                flow,
                size: scale.layer,
                session: None,
                next: None,
                made: 0,
                pushed: Vec::new(),
            })
        };
        let flows = [Flow::Stream, Flow::Monolithic, Flow::Chunks(scale.chunk)];
        flows.into_iter().map(case).collect()
    }
}

// === impl Uploads ===

#[async_trait]
impl Case for Uploads {
    fn name(&self) -> String {
        let size = mebibytes(self.size);
        match self.flow {
            Flow::Stream => format!("{size}, PATCH stream"),
            Flow::Monolithic => format!("{size}, monolithic PUT"),
            Flow::Chunks(chunk) => format!("{size}, chunks of {}", mebibytes(chunk)),
        }
    }

    fn manner(&self) -> Manner {
        Manner {
            leaves: self.size,
            limit: Duration::from_secs(600),
            ..Manner::of(Measures::Bytes)
        }
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        self.made += 1;
        self.next = Some(Layer::new(&self.site.noise, self.made, self.size));
        let session = match self.session.take() {
            Some(session) => session,
            None => Session::open(&self.site.registry).await?,
        };
        self.session.insert(session).ping().await?;
        Ok(())
    }

    async fn fire(&mut self, _block: &Block) -> Result<Sample, LoadError> {
        let (Some(session), Some(layer)) = (&mut self.session, self.next.take()) else {
            return Ok(Sample::default());
        };
        let start = Instant::now();
        let finish = self.flow.push(session, &layer).await?;
        let mut sample = Sample {
            operations: 1,
            bytes: layer.size,
            elapsed: start.elapsed(),
            ..Sample::default()
        };
        if let Some(finish) = finish {
            let millis = finish.as_secs_f64() * 1000.0;
            sample.figures.push((Metric::Finish, millis));
        }
        self.pushed.push(layer);
        Ok(sample)
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        let mut session = Session::open(&self.site.registry).await?;
        for layer in &self.pushed {
            compare(&mut session, REPOSITORY, &layer.digest).await?;
        }
        let all = self.pushed.len() as u64;
        Ok(Verified {
            checked: all,
            of: all,
        })
    }
}

// === impl Flow ===

impl Flow {
    /// Pushes the layer; returns how long the closing PUT took if it carried no bytes.
    async fn push(
        self,
        session: &mut Session,
        layer: &Layer,
    ) -> Result<Option<Duration>, CallError> {
        let mut location = session.begin(REPOSITORY).await?;
        match self {
            Self::Monolithic => {
                let payload = Payload::Sized(layer.part(0..layer.size));
                session.finish(&location, &layer.digest, payload).await?;
                return Ok(None);
            }
            Self::Stream => {
                let payload = Payload::Streamed(layer.part(0..layer.size));
                location = session.append(&location, None, payload).await?;
            }
            Self::Chunks(chunk) => {
                for range in chunks(layer.size, chunk) {
                    let payload = Payload::Sized(layer.part(range.clone()));
                    location = session.append(&location, Some(range), payload).await?;
                }
            }
        }
        let closing = Instant::now();
        session
            .finish(&location, &layer.digest, Payload::Empty)
            .await?;
        Ok(Some(closing.elapsed()))
    }
}

fn chunks(size: u64, chunk: u64) -> impl Iterator<Item = Range<u64>> {
    (0..size.div_ceil(chunk)).map(move |n| n * chunk..size.min((n + 1) * chunk))
}

/// Pulls a blob and compares its digest, without holding it.
pub(super) async fn compare(
    session: &mut Session,
    repository: &str,
    digest: &Digest,
) -> Result<(), CallError> {
    let path = format!("/v2/{repository}/blobs/{digest}");
    let template = session.registry().template(http::Method::GET, &path)?;
    let wanted = [http::StatusCode::OK];
    let answer = session
        .send(template.request(), &wanted, "GET of a pushed blob")
        .await?;
    let mut body = answer.into_body();
    let mut hasher = Hasher::default();
    while let Some(data) = session.connection().next(&mut body).await? {
        hasher.update(&data);
    }
    if hasher.finish() == *digest {
        return Ok(());
    }
    Err(CallError::Content { what: path })
}

pub(super) fn mebibytes(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{bytes} bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_the_layer_without_gaps_and_the_last_is_shorter() {
        let ranges: Vec<_> = chunks(25, 10).collect();
        assert_eq!(ranges, [0..10, 10..20, 20..25]);
        assert_eq!(chunks(20, 10).count(), 2);
    }
}
