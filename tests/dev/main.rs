//! `meridian dev` as its user meets it: the command line, the data directory, the ends.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for the tasks it spawns"
)]

mod collection;
mod endings;
mod events;
mod faults;
mod full;
mod limits;
mod losses;
mod receivers;
mod sessions;

use std::path::Path;
use std::process::Command;

/// What a verb of the command line answers, as JSON.
fn verb(data_dir: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = Command::new(harness::binary())
        .args(arguments)
        .arg("--json")
        .arg("--data-dir")
        .arg(data_dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}
