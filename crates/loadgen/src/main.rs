#![doc = include_str!("../README.md")]

mod affinity;
mod bench;
mod canary;
mod cli;
mod client;
mod command;
mod content;
mod digest;
mod drive;
mod etcd;
mod gauge;
mod kafka;
mod metric;
mod progress;
mod receiver;
mod registry;
mod report;
mod sample;
mod server;
mod statistics;
mod workload;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use cli::{Cli, Command};
use command::CommandError;

/// One thread does everything: it is pinned, and servers inherit their CPU from it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    workload::raise_file_limit();
    let finished = tokio::select! {
        finished = execute(cli.command) => finished,
        () = interrupted() => Err(CommandError::Interrupted),
    };
    match finished {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _lost = writeln!(std::io::stderr(), "loadgen: {}", bench::chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn execute(command: Command) -> Result<(), CommandError> {
    match command {
        Command::List(arguments) => command::list(&arguments),
        Command::Run(arguments) => command::run(&arguments).await,
        Command::Bench(arguments) => command::bench(arguments, command_line()).await,
    }
}

/// The command as it was given, for the report, without the folders of this machine.
fn command_line() -> String {
    let without_folders = |word: String| {
        let path = Path::new(&word);
        match path.file_name() {
            Some(name) if path.is_absolute() => name.to_string_lossy().into_owned(),
            _ => word,
        }
    };
    let words: Vec<String> = std::env::args().map(without_folders).collect();
    words.join(" ")
}

/// Waits for SIGINT or SIGTERM. Servers are children that die with their handles.
async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
