//! `cargo xtask crash`: the tests that kill Meridian and cut its power.
//!
//! They are the test program `crash` of `/tests`. They take minutes and need root and loop devices,
//! so that a plain `cargo test` may leave them out by `#[ignore]`; here they run all the same, one
//! after the other.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::prerequisites::{self, Need};
use crate::workspace::{WHOLE, Workspace};

const LIMIT: Duration = Duration::from_mins(30);

#[derive(Args, Debug, Default)]
pub(crate) struct Options {
    /// For the test program: names of tests, or its flags
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options, workspace: &Workspace) -> Result<()> {
    prerequisites::ensure(&[Need::Root, Need::Ext4, Need::LoopDevices], workspace)?;
    // The tests start the program themselves.
    workspace.build()?;
    workspace
        .cargo("test")
        .args(WHOLE)
        .args([
            "--test",
            "crash",
            "--",
            "--include-ignored",
            "--test-threads=1",
        ])
        .args(&options.arguments)
        .limit(LIMIT)
        .run()
}
