//! `cargo xtask crash`: the tests that kill Meridian and cut its power.
//!
//! They are the test program `crash` of `/tests`. They take minutes and need root and loop devices,
//! so that a plain `cargo test` may leave them out by `#[ignore]`; here they run all the same, one
//! after the other.

use std::time::Duration;

use anyhow::Result;

use crate::left_out::{LeftOut, Options};
use crate::prerequisites::{self, Need};
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_mins(30);

pub(crate) fn run(options: &Options, workspace: &Workspace) -> Result<()> {
    prerequisites::ensure(&[Need::Root, Need::Ext4, Need::LoopDevices], workspace)?;
    // The tests start the program themselves.
    workspace.build()?;
    let tests = LeftOut {
        programs: &["crash"],
        parts: &[],
        arguments: &["--include-ignored", "--test-threads=1"],
        limit: LIMIT,
    };
    tests.run(options, workspace)
}
