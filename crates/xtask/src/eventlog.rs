//! `cargo xtask eventlog`: the tests of the event log against Apache Kafka.
//!
//! They are those tests of the programs `kafka` (of `meridian-eventlog`) and `roles` (of `/tests`) that
//! a plain `cargo test` leaves out: some for one broker, and one for three, of which it kills one.

use std::time::Duration;

use anyhow::Result;

use crate::left_out::{LeftOut, Options};
use crate::parts::Part;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_mins(10);

/// Those for three brokers; all others are for one.
const THREE: &str = "real::three::";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    for (brokers, arguments) in [
        (1, &["--ignored", "real::", "events::", "--skip", THREE][..]),
        (3, &["--ignored", THREE][..]),
    ] {
        let tests = LeftOut {
            programs: &["kafka", "roles"],
            parts: &[Part::Kafka { brokers }],
            arguments,
            limit: LIMIT,
        };
        tests.run(&Options::default(), workspace)?;
    }
    Ok(())
}
