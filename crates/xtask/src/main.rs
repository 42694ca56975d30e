#![doc = include_str!("../README.md")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

mod bench;
mod cache;
mod chart;
mod clients;
mod conformance;
mod content;
mod crash;
mod eventlog;
mod faults;
mod layout;
mod left_out;
mod lint;
mod parts;
mod prerequisites;
mod process;
mod registry;
mod scratch;
mod steps;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use process::interrupt;
use workspace::Workspace;

/// What the shell makes of a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Builds, tests and measures Meridian.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything that has to pass: all tests, conformance, clients and crashes
    Test,
    /// Check formatting and lints
    Lint,
    /// Run the OCI distribution conformance suite
    Conformance(conformance::Options),
    /// Push and pull with real clients, and compare the bytes
    Clients(clients::Options),
    /// Kill Meridian and cut its power, again and again
    Crash(left_out::Options),
    /// Break a region of several processes under load, and check what its clients were told
    Faults(left_out::Options),
    /// Measure Meridian beside distribution
    Bench(bench::Options),
    /// Run the tests of the event log against Apache Kafka, one broker and three
    Eventlog,
    /// Run the tests of the cache, and of what several processes share by it, against Redis
    Cache,
    /// Check the Helm chart: rendering, schema, refusals, settings, alerts and dashboards
    Chart,
    /// Start or end Apache Kafka, Redis and an S3 server, for tests run by hand
    #[command(subcommand)]
    Parts(parts::Verb),
    /// Build the Go programs that the others use, and say where they are
    Tools,
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if interrupt::struck() => {
            eprintln!("interrupted");
            INTERRUPTED.into()
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    interrupt::heed()?;
    let workspace = Workspace::find()?;
    match command {
        Command::Test => test::run(&workspace),
        Command::Lint => lint::run(&workspace),
        Command::Conformance(options) => conformance::run(options, &workspace),
        Command::Clients(options) => clients::run(options, &workspace),
        Command::Crash(options) => crash::run(options, &workspace),
        Command::Faults(options) => faults::run(options, &workspace),
        Command::Bench(options) => bench::run(options, &workspace),
        Command::Eventlog => eventlog::run(&workspace),
        Command::Cache => cache::run(&workspace),
        Command::Chart => chart::run(&workspace),
        Command::Parts(verb) => parts::run(verb, &workspace),
        Command::Tools => tools::run(&workspace),
    }
}
