//! `cargo xtask test`: everything that has to pass, in the order in which it fails soonest.
//!
//! Everything is compiled in the first steps, once; what follows finds it there.

use anyhow::Result;

use crate::prerequisites::{self, Need};
use crate::steps::Steps;
use crate::tools::Tools;
use crate::workspace::{WHOLE, Workspace};
use crate::{cache, chart, clients, conformance, crash, eventlog, faults, left_out, lint};

/// Prints what each step took, also when one fails: then it was the last.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut steps = Steps::default();
    let outcome = take(&mut steps, workspace);
    println!("\n{steps}");
    outcome
}

fn take(steps: &mut Steps, workspace: &Workspace) -> Result<()> {
    steps.take("prerequisites", || {
        prerequisites::ensure(Need::ALL, workspace)
    })?;
    steps.take("compile", || workspace.build())?;
    steps.take("lint", || lint::run(workspace))?;
    steps.take("cargo test", || workspace.cargo("test").args(WHOLE).run())?;
    steps.take("event log", || eventlog::run(workspace))?;
    steps.take("cache", || cache::run(workspace))?;
    steps.take("tools", || Tools::ensure(workspace))?;
    steps.take("chart", || chart::run(workspace))?;
    steps.take("conformance", || {
        conformance::run(&conformance::Options::default(), workspace)
    })?;
    steps.take("clients", || {
        clients::run(&clients::Options::default(), workspace)
    })?;
    steps.take("crash", || {
        crash::run(&left_out::Options::default(), workspace)
    })?;
    steps.take("faults", || faults::run_some(workspace))
}
