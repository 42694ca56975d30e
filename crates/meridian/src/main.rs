#![doc = include_str!("../README.md")]
#![cfg_attr(
    feature = "failpoints",
    allow(clippy::print_stderr, reason = "a crash point is told while it aborts")
)]

mod cli;
mod cluster;
mod config;
#[cfg(feature = "failpoints")]
mod crash;
mod dev;
mod events;
mod exit;
mod health;
mod management;
mod node_config;
mod process;
mod region;
mod remote;
mod replication;
mod role;
mod run;
mod stdout;
mod verbs;
mod webhook;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Verb};
use exit::Exit;

/// Allocates faster than the system's allocator where many threads do, and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _scenario = crash::arm();
    // The kernel clears a huge page as a whole, of which a server of small requests touches little:
    // it costs a tenth of a small push, and memory. Where it is not allowed, it stays as it was.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failed(&error).report(),
    };
    let outcome = runtime.block_on(async {
        match cli.verb.unwrap_or_default() {
            Verb::Dev(options) => dev::run(options).await,
            Verb::Run(options) => run::run(options).await,
            Verb::Events(verb) => events::run(verb).await,
            Verb::Gc(options) => verbs::gc(options).await,
            Verb::Status(options) => verbs::status(options).await,
            Verb::Cluster(options) => cluster::run(options).await,
            Verb::Replication(options) => replication::run(options).await,
            Verb::Region(options) => region::run(options).await,
            Verb::Health(options) => health::run(options).await,
            Verb::NodeConfig(options) => node_config::run(&options),
            Verb::Webhook(options) => webhook::run(*options).await,
            Verb::Check(options) => verbs::check(options).await,
        }
    });
    // Threads that wait for a disk or a client must not hold the exit up.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(),
    }
}
