//! `cargo xtask cache`: the tests of the cache against Redis.
//!
//! They are those tests of the programs `redis` (of `meridian-cache`) and `roles` (of `/tests`) that a plain
//! `cargo test` leaves out.

use std::time::Duration;

use anyhow::Result;

use crate::left_out::{LeftOut, Options};
use crate::parts::Part;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_mins(10);

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tests = LeftOut {
        programs: &["redis", "roles"],
        parts: &[Part::Redis],
        arguments: &["--ignored", "real::", "instances::", "rates::"],
        limit: LIMIT,
    };
    tests.run(&Options::default(), workspace)
}
