//! The two servers of a row, and the cases on them.
//!
//! Keeps the invariant that whatever was started is ended: by [`Stage::close`], or when the stage
//! is dropped, in which case data directories stay behind.

use std::time::Duration;

use super::record::{BlockRecord, Readings};
use super::step::{StepError, limited};
use super::{Bench, Side, Sides};
use crate::content::Noise;
use crate::drive::Block;
use crate::server::{Ground, Product, Programs, Server};
use crate::workload::{Case, Fresh, Manner, Scale, Site, Verified, Workload};

/// Ours and the peer with one workload.
pub(super) struct Stage {
    pub(super) sides: Sides<Wing>,
}

/// One side of the stage.
pub(super) struct Wing {
    side: Side,
    workload: &'static dyn Workload,
    product: Product,
    programs: Programs,
    ground: Ground,
    noise: Noise,
    scale: Scale,
    server: Option<Server>,
    cases: Vec<Option<Box<dyn Case>>>,
}

// === impl Stage ===

impl Stage {
    /// A stage without servers.
    pub(super) fn new(bench: &Bench, workload: &'static dyn Workload) -> Self {
        let wing = |side| Wing {
            side,
            workload,
            product: *bench.plan.products(workload).of(side),
            programs: bench.plan.programs.clone(),
            ground: bench.ground.clone(),
            noise: bench.noise.clone(),
            scale: bench.plan.scale.clone(),
            server: None,
            cases: Vec::new(),
        };
        Self {
            sides: Sides {
                ours: wing(Side::Ours),
                peer: wing(Side::Peer),
            },
        }
    }

    /// Starts both servers.
    pub(super) async fn open(&mut self) -> Result<(), StepError> {
        for side in Side::BOTH {
            self.sides.of_mut(side).open().await?;
        }
        Ok(())
    }

    /// Ends both servers and removes their data. Tells the first thing that went wrong.
    pub(super) async fn close(mut self) -> Result<(), StepError> {
        let ours = self.sides.ours.close().await;
        let peer = self.sides.peer.close().await;
        ours.and(peer)
    }

    /// CPU time that the servers have used so far, as far as it can be read.
    pub(super) fn cpu(&self) -> Duration {
        let of = |side| {
            let server = self.sides.of(side).server.as_ref();
            server.and_then(|it| it.gauge.cpu().ok())
        };
        Side::BOTH.into_iter().filter_map(of).sum()
    }

    pub(super) fn manner(&self, case: usize) -> Option<Manner> {
        let case = self.sides.ours.cases.get(case)?.as_ref()?;
        Some(case.manner())
    }

    /// Lets go of a case's connections; what it put there stays.
    pub(super) fn retire(&mut self, case: usize) {
        for side in Side::BOTH {
            if let Some(slot) = self.sides.of_mut(side).cases.get_mut(case) {
                *slot = None;
            }
        }
    }
}

// === impl Wing ===

impl Wing {
    pub(super) async fn open(&mut self) -> Result<(), StepError> {
        self.close().await?;
        let name = self.side.name();
        let server = Server::start(self.product, &self.programs, name, &self.ground).await?;
        self.cases = cases(self.workload, self.side, &server, &self.noise, &self.scale);
        self.server = Some(server);
        Ok(())
    }

    pub(super) async fn close(&mut self) -> Result<(), StepError> {
        self.cases.clear();
        match self.server.take() {
            Some(server) => Ok(server.stop().await?),
            None => Ok(()),
        }
    }

    pub(super) async fn prepare(&mut self, case: usize) -> Result<(), StepError> {
        let step = format!("prepare {}", self.side.name());
        let case = self.case(case)?;
        let limit = case.manner().limit;
        limited(step, limit, case.prepare()).await
    }

    pub(super) async fn verify(&mut self, case: usize) -> Result<Verified, StepError> {
        let step = format!("verify {}", self.side.name());
        if let Some(server) = &self.server {
            server.keeps_its_leader().await?;
        }
        let case = self.case(case)?;
        let limit = case.manner().limit;
        limited(step, limit, case.verify()).await
    }

    /// Arms a case, fires it and reads what the server used meanwhile: since its start, if that is
    /// what is measured.
    pub(super) async fn block(
        &mut self,
        case: usize,
        block: &Block,
    ) -> Result<BlockRecord, StepError> {
        let name = self.side.name();
        let starts = self.workload.about().fresh == Fresh::Start;
        let armed = self.case(case)?;
        let manner = armed.manner();
        limited(format!("arm {name}"), manner.limit, armed.arm()).await?;
        let server = self.server.as_mut().ok_or(StepError::NoServer)?;
        if starts {
            server.freeze().await?;
        }
        let gauge = server.gauge.clone();
        gauge.forget_peak();
        let before = Readings::take(&gauge)?;
        if starts {
            server.thaw()?;
        }
        let limit = manner.limit + block.length;
        let sample = limited(format!("fire {name}"), limit, self.case(case)?.fire(block)).await?;
        let after = Readings::take(&gauge)?;
        Ok(after.since(&before, &sample, manner.measures, gauge.peak()?))
    }

    pub(super) fn case(&mut self, case: usize) -> Result<&mut Box<dyn Case>, StepError> {
        let slot = self.cases.get_mut(case).and_then(Option::as_mut);
        slot.ok_or(StepError::NoServer)
    }
}

/// The cases of a workload on a server that runs.
pub(super) fn cases(
    workload: &dyn Workload,
    side: Side,
    server: &Server,
    noise: &Noise,
    scale: &Scale,
) -> Vec<Option<Box<dyn Case>>> {
    let site = Site {
        side,
        product: server.product,
        registry: server.registry(),
        leader: server.leader,
        stream: server.stream().cloned(),
        far: server.far().cloned(),
        hooks: server.hooks(),
        gauge: Some(server.gauge.clone()),
        noise: noise.clone(),
    };
    workload.cases(&site, scale).into_iter().map(Some).collect()
}
