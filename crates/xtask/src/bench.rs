//! `cargo xtask bench`: Meridian beside distribution and etcd, measured by `loadgen`.
//!
//! Builds ours, distribution and `loadgen` as they are meant to be run, and brings here what the
//! chosen rows need besides; what is measured, and how, is `loadgen`'s.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::parts::{Part, Parts};
use crate::prerequisites::{self, Need};
use crate::process::Program;
use crate::tools::Tools;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_hours(4);

/// The rows of two regions, each with a broker of its own, beside registries between which skopeo copies.
const REGIONS: [&str; 5] = ["R1", "R2", "R3", "R4", "R5"];

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
    let mut needs = vec![Need::CCompiler, Need::Go];
    if chooses(&options.arguments, "C1") {
        needs.push(Need::Etcd);
    }
    if REGIONS.iter().any(|row| chooses(&options.arguments, row)) {
        needs.push(Need::Skopeo);
    }
    prerequisites::ensure(&needs, workspace)?;
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
    // They end when this does.
    let parts = match parts(&options.arguments) {
        [] => None,
        parts => Some(Parts::start(parts, workspace)?),
    };
    let program = match &parts {
        Some(parts) => program.env(parts.variable(), parts.file()),
        None => program,
    };
    let program = if options.arguments.iter().any(|it| it.starts_with("--out")) {
        program
    } else {
        program.arg("--out").arg(workspace.target().join("bench"))
    };
    program.args(&options.arguments).run()
}

/// What the chosen rows stand on.
fn parts(arguments: &[String]) -> &'static [Part] {
    if REGIONS.iter().any(|row| chooses(arguments, row)) {
        &[Part::Kafka { brokers: 1 }, Part::OtherKafka]
    } else if ["E1", "W3", "W4"].iter().any(|row| chooses(arguments, row)) {
        &[Part::Kafka { brokers: 1 }]
    } else {
        &[]
    }
}

/// Whether these arguments have `loadgen` run a row, or a variant of it: `C1` is the row of `C1/x`.
fn chooses(arguments: &[String], row: &str) -> bool {
    let mut chosen = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let list = match word.strip_prefix("--workloads") {
            Some("") => words.next().map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        chosen.extend(list.into_iter().flat_map(|list| list.split(',')));
    }
    let is_row = |id: &&str| {
        let (id, _variant) = id.split_once('/').unwrap_or((id, ""));
        id.eq_ignore_ascii_case(row)
    };
    chosen.is_empty() || chosen.iter().any(is_row)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_row_is_chosen_by_name_by_a_variant_or_by_choosing_none() {
        let chooses = |words: &[&str], row| {
            let words: Vec<_> = words.iter().map(ToString::to_string).collect();
            super::chooses(&words, row)
        };
        assert!(chooses(&[], "C1"));
        assert!(chooses(&["--quick", "--workloads", "P1,c1"], "C1"));
        assert!(chooses(&["--workloads=E1/push", "--quick"], "E1"));
        assert!(!chooses(&["--workloads=P1", "--cases", "c=1"], "C1"));
        assert!(!chooses(&["--workloads", "P1/region"], "C1"));
    }
}
