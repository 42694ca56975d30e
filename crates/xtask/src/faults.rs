//! `cargo xtask faults`: the rows of the fault matrix against a region of several processes, or of several regions.
//!
//! They are the test program `faults` of `/tests`. They need Kafka, one more for each of three regions, and
//! Redis, which are started for them, and networks and clocks of their own; a plain `cargo test` leaves them
//! out. `cargo xtask test` runs some of them: one for each kind of fault, a proof that the checkers notice,
//! and one that regions are apart.

use std::time::Duration;

use anyhow::Result;

use crate::left_out::{LeftOut, Options};
use crate::parts::Part;
use crate::prerequisites::{self, Need};
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_mins(90);

/// What `cargo xtask test` runs.
const SOME: &[&str] = &[
    "a3_all",
    "b1_notices",
    "b2_the",
    "e1_kafka",
    "f5_the",
    "g1_",
    "n2_",
    "nothing_leads",
];

pub(crate) fn run(options: &Options, workspace: &Workspace) -> Result<()> {
    prerequisites::ensure(
        &[
            Need::Root,
            Need::Iproute,
            Need::Iptables,
            Need::Namespaces,
            Need::Faketime,
        ],
        workspace,
    )?;
    // The tests start the program themselves.
    workspace.build()?;
    let tests = LeftOut {
        programs: &["faults"],
        parts: &[Part::Kafka { brokers: 1 }, Part::Regions, Part::Redis],
        arguments: &["--include-ignored", "--test-threads=1"],
        limit: LIMIT,
    };
    tests.run(options, workspace)
}

/// One row of each kind.
pub(crate) fn run_some(workspace: &Workspace) -> Result<()> {
    let arguments = SOME.iter().map(ToString::to_string).collect();
    run(&Options { arguments }, workspace)
}
