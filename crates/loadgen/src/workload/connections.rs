//! X1: what one more connection costs the server in memory.
//!
//! Resident memory is read with a tenth of the connections open and again with all of them; the
//! figure is the slope between the two. Every block has a fresh server, because a process seldom
//! gives memory back. An idle connection has answered one request; a slow push sends 64 KiB every
//! 100 ms without an end, a slow pull takes what has come every 100 ms and no more.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until};

use super::{
    About, Case, Fresh, LoadError, Manner, Measures, REGISTRIES, Scale, Site, Verified, Workload,
};
use crate::client::{CallError, Paced, Payload};
use crate::content::Layer;
use crate::drive::Block;
use crate::gauge::Gauge;
use crate::metric::{Metric, Target};
use crate::registry::{Session, Template};
use crate::sample::Sample;

const REPOSITORY: &str = "load/slow";
const PACE: Duration = Duration::from_millis(100);
const CHUNK: usize = 64 << 10;
const PULLED: u64 = 64 << 20;

const TARGETS: &[Target] = &[
    Target::ours("idle", Metric::MemoryPerConnection, 12.0),
    Target::ours("slow push", Metric::MemoryPerConnection, 700.0),
    Target::ours("slow pull", Metric::MemoryPerConnection, 300.0),
];

pub(super) struct Connections;

#[derive(Debug, Clone)]
enum Occupation {
    Idle,
    Push { chunk: Bytes },
    Pull { blob: Option<Template> },
}

struct Crowd {
    site: Site,
    occupation: Occupation,
    count: u32,
}

// === impl Connections ===

impl Workload for Connections {
    fn about(&self) -> About {
        About {
            id: "X1",
            title: "resident memory per connection",
            operation: "connection",
            products: REGISTRIES,
            fresh: Fresh::Block,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        let case = |occupation, count| -> Box<dyn Case> {
            Box::new(Crowd {
                site: site.clone(),
                occupation,
                count,
            })
        };
        let chunk = site.noise.bytes().slice(..CHUNK);
        vec![
            case(Occupation::Idle, affordable(scale.idle)),
            case(Occupation::Push { chunk }, affordable(scale.slow)),
            case(Occupation::Pull { blob: None }, affordable(scale.slow)),
        ]
    }
}

/// No more connections than half of the files that a process may open: the peer's process has to
/// hold as many, with its own files beside them.
fn affordable(wanted: u32) -> u32 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = limit.map_or(u32::MAX, |it| u32::try_from(it).unwrap_or(u32::MAX));
    wanted.min(files / 2).max(10)
}

// === impl Crowd ===

#[async_trait]
impl Case for Crowd {
    fn name(&self) -> String {
        let occupation = match self.occupation {
            Occupation::Idle => "idle",
            Occupation::Push { .. } => "slow push",
            Occupation::Pull { .. } => "slow pull",
        };
        format!("{occupation}, {} connections", self.count)
    }

    fn manner(&self) -> Manner {
        Manner {
            warm_up: false,
            pairs: 5,
            ..Manner::of(Measures::Own)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        if let Occupation::Pull { blob } = &mut self.occupation {
            let layer = Layer::new(&self.site.noise, 0, PULLED);
            let mut session = Session::open(&self.site.registry).await?;
            let payload = Payload::Sized(layer.part(0..layer.size));
            session
                .push_blob(REPOSITORY, &layer.digest, payload)
                .await?;
            let path = format!("/v2/{REPOSITORY}/blobs/{}", layer.digest);
            *blob = Some(self.site.registry.template(Method::GET, &path)?);
        }
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        Ok(())
    }

    async fn fire(&mut self, block: &Block) -> Result<Sample, LoadError> {
        let gauge = self.site.gauge.as_ref().ok_or(LoadError::NoGauge)?;
        let few = self.count / 10;
        let mut members = JoinSet::new();
        self.grow(&mut members, few).await?;
        let low = settled(gauge, &mut members, block.length).await?;
        self.grow(&mut members, self.count - few).await?;
        let high = settled(gauge, &mut members, block.length).await?;
        let mut sample = Sample {
            operations: self.count.into(),
            elapsed: 2 * block.length,
            ..Sample::default()
        };
        let slope = (high - low) / f64::from(self.count - few);
        sample.figures.push((Metric::MemoryPerConnection, slope));
        Ok(sample)
    }

    /// Nothing is put there that could be read back.
    async fn verify(&mut self) -> Result<Verified, LoadError> {
        Ok(Verified::default())
    }
}

impl Crowd {
    /// Adds connections, one after the other, each of which has been answered before the next.
    async fn grow(
        &self,
        members: &mut JoinSet<Result<(), CallError>>,
        count: u32,
    ) -> Result<(), CallError> {
        for _ in 0..count {
            let mut session = Session::open(&self.site.registry).await?;
            session.ping().await?;
            members.spawn(self.occupation.clone().keep(session));
        }
        Ok(())
    }
}

// === impl Occupation ===

impl Occupation {
    /// Keeps a connection occupied until the task is aborted or the registry fails.
    async fn keep(self, mut session: Session) -> Result<(), CallError> {
        match self {
            Self::Idle => std::future::pending().await,
            Self::Push { chunk } => push_slowly(&mut session, chunk).await,
            Self::Pull { blob: Some(blob) } => pull_slowly(&mut session, &blob).await,
            Self::Pull { blob: None } => Ok(()),
        }
    }
}

async fn push_slowly(session: &mut Session, chunk: Bytes) -> Result<(), CallError> {
    let location = session.begin(REPOSITORY).await?;
    let payload = Payload::Paced(Paced::new(chunk, interval(PACE)));
    session.append(&location, None, payload).await.map(drop)
}

async fn pull_slowly(session: &mut Session, blob: &Template) -> Result<(), CallError> {
    let wanted = [http::StatusCode::OK];
    let answer = session.send(blob.request(), &wanted, "slow GET").await?;
    let mut body = answer.into_body();
    let mut pace = interval(PACE);
    while session.connection().next(&mut body).await?.is_some() {
        pace.tick().await;
    }
    Ok(())
}

/// Resident memory, KiB, after all members have been at work for `time`. A member that ended is
/// a failure.
async fn settled(
    gauge: &Gauge,
    members: &mut JoinSet<Result<(), CallError>>,
    time: Duration,
) -> Result<f64, LoadError> {
    let until = Instant::now() + time;
    tokio::select! {
        () = sleep_until(until) => {}
        Some(ended) = members.join_next() => {
            ended.expect("a member is aborted only with the whole set")?;
            return Err(CallError::Ended.into());
        }
    }
    let kib = gauge.resident()?;
    Ok(f64::from(u32::try_from(kib).unwrap_or(u32::MAX)))
}

/// Raises the limit of open files as far as the user may; children inherit it.
pub(crate) fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused, fewer connections are opened.
    let _refused = setrlimit(Resource::Nofile, limit);
}
