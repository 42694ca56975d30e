//! Tests that a plain `cargo test` leaves out, because they need more than a compiler.
//!
//! Owns how they are run: with the parts that they stand on, whose words are kept when a test fails.
//! Leaves to each command which tests these are. `tests/architecture` sees to it that each test that is
//! left out names the command that runs it.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::parts::{Part, Parts};
use crate::workspace::{WHOLE, Workspace};

#[derive(Args, Debug, Default)]
pub(crate) struct Options {
    /// For the test program: names of tests, or its flags
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    pub(crate) arguments: Vec<String>,
}

/// Test programs, and what they are run with.
pub(crate) struct LeftOut<'a> {
    pub(crate) programs: &'a [&'a str],
    pub(crate) parts: &'a [Part],
    pub(crate) arguments: &'a [&'a str],
    pub(crate) limit: Duration,
}

impl LeftOut<'_> {
    /// Runs them; what comes from the command line comes last.
    pub(crate) fn run(&self, options: &Options, workspace: &Workspace) -> Result<()> {
        let programs = self.programs.iter().flat_map(|name| ["--test", name]);
        let mut tests = workspace
            .cargo("test")
            .args(WHOLE)
            .args(programs)
            .arg("--")
            .args(self.arguments)
            .args(&options.arguments)
            .limit(self.limit);
        if self.parts.is_empty() {
            return tests.run();
        }
        let mut parts = Parts::start(self.parts, workspace)?;
        tests = tests.env(parts.variable(), parts.file());
        let tested = tests.run();
        if tested.is_err() {
            let logs = parts.keep_logs(workspace)?;
            let logs = logs.display();
            return tested.with_context(|| format!("what the parts said is in {logs}"));
        }
        Ok(())
    }
}
