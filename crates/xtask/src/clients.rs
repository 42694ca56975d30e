//! `cargo xtask clients`: real clients push to a registry and pull from it, and the bytes are compared.
//!
//! Owns the matrix: which clients, and how the outcome is told, in the words of Rust's own test
//! runner. What a client does stands in its own file; what they all stand on, in `ground`.

mod crane;
mod ctr;
mod docker;
mod engine;
mod ground;
mod helm;
mod oras;
mod podman;
mod regions;
mod skopeo;

use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::prerequisites::{self, Need};
use crate::registry::Subject;
use crate::workspace::Workspace;
use ground::Ground;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// What to test: `meridian`, `redirecting`, `region` or `distribution`, started fresh, or
    /// HOST:PORT, which runs already
    #[arg(long, default_value = "meridian", value_name = "REGISTRY")]
    registry: Subject,
    /// Run these clients only
    #[arg(long, value_name = "CLIENT", value_parser = clap::builder::PossibleValuesParser::new(CLIENTS.iter().map(|client| client.name)))]
    only: Vec<String>,
    /// Other seeds give other content
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// All clients, the builds of this workspace and its tools.
impl Default for Options {
    fn default() -> Self {
        Self {
            registry: Subject::Meridian,
            only: Vec::new(),
            seed: 1,
        }
    }
}

struct Client {
    name: &'static str,
    needs: &'static [Need],
    cases: &'static [Case],
}

struct Case {
    name: &'static str,
    check: fn(&Ground) -> Result<()>,
}

const CLIENTS: &[Client] = &[
    skopeo::CLIENT,
    podman::CLIENT,
    docker::CLIENT,
    ctr::CLIENT,
    crane::CLIENT,
    oras::CLIENT,
    helm::CLIENT,
];

/// Fails when a client fails; every other has run by then.
pub(crate) fn run(options: &Options, workspace: &Workspace) -> Result<()> {
    let chosen: Vec<&Client> = CLIENTS
        .iter()
        .filter(|client| {
            options.only.is_empty() || options.only.iter().any(|only| only == client.name)
        })
        .collect();
    let mut needs = vec![Need::Go];
    needs.extend(chosen.iter().flat_map(|client| client.needs));
    needs.sort_unstable();
    needs.dedup();
    prerequisites::ensure(&needs, workspace)?;
    let ground = Ground::lay(&options.registry, options.seed, workspace)?;
    let cases: Vec<(&str, &Case)> = chosen
        .iter()
        .flat_map(|client| client.cases.iter().map(|case| (client.name, case)))
        .collect();
    let begun = Instant::now();
    println!("\nrunning {} tests", cases.len());
    let mut failures = Vec::new();
    for (client, case) in &cases {
        let name = format!("clients::{client}::{}", case.name);
        let started = Instant::now();
        let outcome = (case.check)(&ground);
        let told = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!(
            "test {name} ... {told} <{:.1}s>",
            started.elapsed().as_secs_f64()
        );
        failures.extend(outcome.err().map(|error| (name, error)));
        if crate::process::interrupt::struck() {
            bail!("interrupted");
        }
    }
    tell(&failures, &ground, cases.len(), begun)
}

fn tell(
    failures: &[(String, anyhow::Error)],
    ground: &Ground,
    cases: usize,
    begun: Instant,
) -> Result<()> {
    if !failures.is_empty() {
        println!("\nfailures:");
        for (name, error) in failures {
            println!("\n---- {name} ----\n{error:#}");
        }
        if let Some(log) = ground.registry().log_end() {
            println!("\n---- the registry ----\n{log}");
        }
    }
    let told = if failures.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {told}. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2}s",
        cases - failures.len(),
        failures.len(),
        begun.elapsed().as_secs_f64()
    );
    match failures {
        [] => Ok(()),
        failures => bail!("{} of {cases} failed", failures.len()),
    }
}
