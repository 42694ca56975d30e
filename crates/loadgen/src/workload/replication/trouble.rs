//! R4: networks that lose or are cut, and an agent that is killed.
//!
//! How long it takes counts from the 201 where segments are lost, else from the end of the trouble: when the
//! network is mended, or when the agent is killed, which is started again at once. It is compared with what
//! the network alone takes for the bytes that had not crossed it by then. Whatever crosses the network
//! beyond the image was sent again; not so what the network itself has to send again, which it does not
//! count. The peer's agent is skopeo, which is killed, and started again, in the same way.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::arrivals::Arrivals;
use super::ground::Prepared;
use super::image::LayeredImage;
use super::path::{Path, approximate};
use crate::bench::Sides;
use crate::drive::Block;
use crate::metric::{Metric, Target};
use crate::sample::Sample;
use crate::server::{Agent, Product, Wan};
use crate::workload::push_layer::mebibytes;
use crate::workload::{
    About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload,
};

const MIB: u64 = 1 << 20;
const CUT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(1);
/// A piece of 8 MiB for each of the eight that are under way at once.
const MOST_RESENT: f64 = 64.0;

const TARGETS: &[Target] = &[
    Target::ours("", Metric::ConvergeOverFloor, 2.0),
    Target::ours("", Metric::Resent, MOST_RESENT),
];

pub(in crate::workload) struct Trouble;

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Loss,
    /// For [`CUT`], when half of the image has come.
    Cut,
    /// When half of it has come.
    Kill,
}

struct Images {
    site: Site,
    kind: Kind,
    size: u64,
    path: Path,
    ground: Prepared,
    agent: Option<Agent>,
    pushed: Vec<LayeredImage>,
}

/// From when it counts, and how many bytes had crossed the network by then.
struct End {
    at: Instant,
    carried: u64,
}

// === impl Trouble ===

impl Workload for Trouble {
    fn about(&self) -> About {
        About {
            id: "R4",
            title: "an image, and a network or an agent that fails",
            operation: "image",
            products: Sides {
                ours: Product::RegionsApart,
                peer: Product::Copied,
            },
            fresh: Fresh::Case,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, _scale: &Scale) -> Vec<Box<dyn Case>> {
        let kinds = [
            (Kind::Loss, 4 * MIB, Path::LOSING),
            (Kind::Loss, 4 * MIB, Path::LOSING_MORE),
            (Kind::Cut, 256 * MIB, Path::FAST),
            (Kind::Kill, 256 * MIB, Path::FAST),
        ];
        let case = |(kind, size, path)| -> Box<dyn Case> {
            Box::new(Images {
                site: site.clone(),
                kind,
                size,
                path,
                ground: Prepared::default(),
                agent: None,
                pushed: Vec::new(),
            })
        };
        kinds.into_iter().map(case).collect()
    }
}

// === impl Images ===

#[async_trait]
impl Case for Images {
    fn name(&self) -> String {
        let image = format!("{} at {}", mebibytes(self.size), self.path.name);
        match self.kind {
            Kind::Loss => image,
            Kind::Cut => format!("{image}, cut for {} s", CUT.as_secs()),
            Kind::Kill => format!("{image}, agent killed"),
        }
    }

    fn manner(&self) -> Manner {
        Manner {
            warm_up: matches!(self.kind, Kind::Loss),
            pairs: 3,
            // At either place.
            leaves: 2 * self.size,
            limit: Duration::from_secs(600),
            ..Manner::of(Measures::Own)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        self.start_agent()?;
        self.ground.open(&self.site, self.path).await?;
        Ok(())
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        self.ground.ping().await
    }

    async fn fire(&mut self, _block: &Block) -> Result<Sample, LoadError> {
        let ground = self.ground.get()?;
        let image = ground.image(&self.site.noise, self.size);
        let start = Instant::now();
        let round_trip = ground.far.wan.round_trip().await;
        let (before, bytes) = (ground.far.wan.carried(), image.size_from(0));
        let number = ground.push_from(0, &image).await?;
        self.pushed.push(image);
        let half = before + bytes / 2;
        let end = self.trouble(number, half).await?;
        let ground = self.ground.get()?;
        let arrived = ground.arrivals.close().last.unwrap_or(end.at);
        let left = bytes.saturating_sub(end.carried - before);
        let floor = self.path.floor(round_trip, approximate(left));
        let converged = arrived.saturating_duration_since(end.at).as_secs_f64();
        let carried = ground.far.wan.carried() - before;
        let resent = approximate(carried) - approximate(bytes);
        Ok(Sample {
            operations: 1,
            bytes,
            elapsed: start.elapsed(),
            figures: vec![
                (Metric::Converge, converged),
                (Metric::ConvergeOverFloor, converged / floor),
                (Metric::Resent, resent / approximate(MIB)),
            ],
            ..Sample::default()
        })
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        self.ground.get()?.check(&self.pushed).await
    }
}

impl Images {
    /// Of ours; the peer's is started for each image.
    fn start_agent(&mut self) -> Result<(), LoadError> {
        let far = self.site.far.as_ref().ok_or(LoadError::NoFarPlace)?;
        self.agent = far.start_agent()?;
        let pid = self.agent.as_ref().and_then(Agent::id);
        if let Some((gauge, pid)) = self.site.gauge.as_ref().zip(pid) {
            gauge.stand_on(pid);
        }
        Ok(())
    }

    fn arrivals(&mut self) -> Result<&mut Arrivals, LoadError> {
        let ground = self.ground.get()?;
        Ok(&mut ground.arrivals)
    }

    /// Has what goes wrong go wrong once `half` bytes have crossed the network, and returns when the image
    /// has arrived.
    async fn trouble(&mut self, number: u64, half: u64) -> Result<End, LoadError> {
        let far = self.site.far.clone().ok_or(LoadError::NoFarPlace)?;
        let (wan, numbers) = (&far.wan, number..number + 1);
        let kind = self.kind;
        let arrivals = self.arrivals()?;
        match kind {
            Kind::Loss => {
                let end = End::now(wan);
                arrivals.complete(numbers).await?;
                Ok(end)
            }
            Kind::Cut => {
                let cut = async {
                    crossed(wan, half).await;
                    wan.cut();
                    tokio::time::sleep(CUT).await;
                    wan.heal();
                    Ok(End::now(wan))
                };
                let (complete, end) = tokio::join!(arrivals.complete(numbers), cut);
                complete?;
                end
            }
            Kind::Kill => {
                tokio::select! {
                    complete = arrivals.complete(numbers.clone()) => complete?,
                    () = crossed(wan, half) => {}
                }
                let end = End::now(wan);
                if let Some(agent) = self.agent.take() {
                    let gauge = self.site.gauge.as_ref().zip(agent.id());
                    gauge.inspect(|(gauge, pid)| gauge.stand_without(*pid));
                    agent.kill().await?;
                }
                self.start_agent()?;
                let arrivals = self.arrivals()?;
                arrivals.complete(numbers).await?;
                Ok(end)
            }
        }
    }
}

// === impl End ===

impl End {
    fn now(wan: &Wan) -> Self {
        Self {
            at: Instant::now(),
            carried: wan.carried(),
        }
    }
}

/// Returns when so many bytes have entered the network.
async fn crossed(wan: &Wan, bytes: u64) {
    while wan.carried() < bytes {
        tokio::time::sleep(LOOK).await;
    }
}
