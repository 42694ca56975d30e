#![doc = include_str!("../README.md")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

mod bench;
mod clients;
mod conformance;
mod content;
mod crash;
mod layout;
mod lint;
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
    Crash(crash::Options),
    /// Measure Meridian beside distribution
    Bench(bench::Options),
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
        Command::Bench(options) => bench::run(options, &workspace),
        Command::Tools => tools::run(&workspace),
    }
}
