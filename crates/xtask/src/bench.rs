//! `cargo xtask bench`: Meridian beside distribution, measured by `loadgen`.
//!
//! Builds all three as they are meant to be run; what is measured, and how, is `loadgen`'s.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::prerequisites::{self, Need};
use crate::process::Program;
use crate::tools::Tools;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_hours(4);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// For `loadgen bench`; without `--out`, reports go to `bench` in the target folder
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options, workspace: &Workspace) -> Result<()> {
    prerequisites::ensure(&[Need::CCompiler, Need::Go], workspace)?;
    let tools = Tools::ensure(workspace)?;
    // One by one: what is measured is built exactly as `cargo run --release` builds it.
    for package in ["meridian", "loadgen"] {
        let build = workspace.cargo("build");
        build.args(["--release", "--package", package]).run()?;
    }
    let program = Program::new(workspace.release_program("loadgen"))
        .arg("bench")
        .arg("--ours")
        .arg(workspace.release_program("meridian"))
        .arg("--peer")
        .arg(tools.path("registry"))
        .limit(LIMIT);
    let program = if options.arguments.iter().any(|it| it.starts_with("--out")) {
        program
    } else {
        program.arg("--out").arg(workspace.target().join("bench"))
    };
    program.args(&options.arguments).run()
}
