//! Ours and the peer, side by side.
//!
//! Owns the order of things: for each workload the servers are started on fresh data, each case is
//! prepared on both sides, then blocks run interleaved (A B B A …) with a canary between any two,
//! until enough pairs have passed the gate. Every step has a deadline. A case that fails leaves an
//! error in its row and the rest goes on. Leaves figures to [`record`], judgement of the machine
//! to [`gate`], and the summary to the report.

mod gate;
mod record;
mod row;
mod run;
mod stage;
mod step;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

pub(crate) use gate::Gate;
#[cfg(test)]
pub(crate) use gate::Reason;
pub(crate) use record::{BlockRecord, PairRecord, Usage, figures};
pub(crate) use row::{Outcome, Row};

use crate::affinity::Pinning;
use crate::canary::Canary;
use crate::content::Noise;
use crate::progress::Progress;
use crate::server::{Ground, Product, Programs, Tracer};
use crate::workload::{Fresh, Scale, Site, Workload, is_selected};
use run::Run;
use stage::Stage;
pub(crate) use step::chain;

/// One of the two that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Ours,
    Peer,
}

/// A value for each side.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sides<T> {
    pub(crate) ours: T,
    pub(crate) peer: T,
}

/// What to compare, and how thoroughly.
pub(crate) struct Plan {
    pub(crate) programs: Programs,
    /// Whether peers are compared with themselves.
    pub(crate) null: bool,
    pub(crate) workloads: Vec<&'static dyn Workload>,
    /// Only cases with one of these among the parts of their name; all for none.
    pub(crate) cases: Vec<String>,
    pub(crate) scale: Scale,
    /// Pairs to keep.
    pub(crate) pairs: usize,
    /// Pairs to try at most.
    pub(crate) attempts: usize,
    pub(crate) block: Duration,
    pub(crate) gate: Gate,
    /// Where servers keep their data.
    pub(crate) data: PathBuf,
    /// Where logs and reports go.
    pub(crate) out: PathBuf,
}

/// What all rows of a bench use.
pub(crate) struct Bench {
    plan: Plan,
    ground: Ground,
    noise: Noise,
    canary: Canary,
    tracer: Option<Tracer>,
    progress: Progress,
}

// === impl Plan ===

impl Plan {
    /// What stands on either side of a row.
    pub(crate) fn products(&self, workload: &dyn Workload) -> Sides<Product> {
        let Sides { ours, peer } = workload.about().products;
        Sides {
            ours: if self.null { peer } else { ours },
            peer,
        }
    }
}

// === impl Sides ===

impl<T> Sides<T> {
    pub(crate) fn of(&self, side: Side) -> &T {
        match side {
            Side::Ours => &self.ours,
            Side::Peer => &self.peer,
        }
    }

    pub(crate) fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Ours => &mut self.ours,
            Side::Peer => &mut self.peer,
        }
    }
}

// === impl Side ===

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Ours, Self::Peer];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Peer => "peer",
        }
    }

    /// The order within a pair: A B, then B A, so that a drift hits both alike.
    pub(crate) fn order(pair: usize) -> [Self; 2] {
        if pair.is_multiple_of(2) {
            [Self::Ours, Self::Peer]
        } else {
            [Self::Peer, Self::Ours]
        }
    }
}

// === impl Bench ===

impl Bench {
    pub(crate) async fn new(plan: Plan, progress: Progress) -> io::Result<Self> {
        let pinning = Pinning::establish();
        let logs = plan.out.join("logs");
        for folder in [&plan.data, &logs] {
            std::fs::create_dir_all(folder)?;
        }
        let noise = Noise::new();
        let canary = Canary::new(&noise, &plan.data, pinning)?;
        let tracer = Tracer::find(plan.out.join("strace")).await;
        let ground = Ground {
            data: plan.data.clone(),
            logs,
            pinning,
        };
        Ok(Self {
            plan,
            ground,
            noise,
            canary,
            tracer,
            progress,
        })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn pinning(&self) -> Option<Pinning> {
        self.ground.pinning
    }

    pub(crate) fn can_count_syncs(&self) -> bool {
        self.tracer.is_some()
    }

    /// Runs all workloads of the plan; `each` is given every row as soon as it is there.
    pub(crate) async fn run(&mut self, each: &mut (dyn FnMut(Row) + Send)) {
        for workload in self.plan.workloads.clone() {
            for cases in self.groups(workload) {
                self.group(workload, cases, each).await;
            }
        }
    }

    /// The selected cases of a workload, those together that share servers.
    fn groups(&self, workload: &dyn Workload) -> Vec<Vec<(usize, String)>> {
        let nowhere = Site::nowhere(&self.noise);
        let cases = workload.cases(&nowhere, &self.plan.scale);
        let names = cases.iter().map(|case| case.name()).enumerate();
        let selected: Vec<_> = names
            .filter(|(_, name)| is_selected(name, &self.plan.cases))
            .collect();
        match workload.about().fresh {
            _ if selected.is_empty() => Vec::new(),
            Fresh::Workload => vec![selected],
            Fresh::Case | Fresh::Block | Fresh::Start => {
                selected.into_iter().map(|case| vec![case]).collect()
            }
        }
    }

    /// Runs cases on the same servers.
    async fn group(
        &mut self,
        workload: &'static dyn Workload,
        cases: Vec<(usize, String)>,
        each: &mut (dyn FnMut(Row) + Send),
    ) {
        let mut stage = Stage::new(self, workload);
        let opened = stage.open().await;
        for (case, name) in cases {
            let id = workload.about().id;
            self.progress.say(format_args!("{id}: {name}"));
            let measured = match opened.as_ref().map(|()| stage.manner(case)) {
                Ok(Some(manner)) => {
                    let run = Run {
                        bench: self,
                        stage: &mut stage,
                        workload,
                        case,
                        manner,
                    };
                    run.rows(&name).await
                }
                Ok(None) => Vec::new(),
                Err(error) => vec![self.failed(workload, &name, &chain(error))],
            };
            stage.retire(case);
            measured.into_iter().for_each(&mut *each);
        }
        if let Err(error) = stage.close().await {
            self.progress.say(format_args!("  {}", chain(&error)));
        }
        self.settle();
    }

    fn failed(&self, workload: &dyn Workload, case: &str, error: &str) -> Row {
        self.progress.say(format_args!("  failed: {error}"));
        let mut row = Row::new(workload, self.plan.products(workload), case, None);
        row.outcome = Outcome::Failed(error.to_owned());
        row
    }

    /// Writes back what the last servers left dirty, so that it does not burden the next ones.
    fn settle(&self) {
        let synced = File::open(&self.plan.data).and_then(|it| Ok(rustix::fs::syncfs(it)?));
        if let Err(error) = synced {
            self.progress.say(format_args!("  cannot sync: {error}"));
        }
    }
}
