//! The command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::workload::ScaleArgs;

/// Load generator and benchmark harness for OCI registries.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the table of workloads with their cases and targets.
    List(ListArgs),
    /// Drive one registry that already runs.
    Run(RunArgs),
    /// Start our registry and its peer, run the same workloads against both, and compare.
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) scale: ScaleArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A workload of `loadgen list`, such as P1.
    pub(crate) workload: String,
    /// The registry, without TLS or authentication.
    #[arg(long, value_name = "URL", value_parser = address)]
    pub(crate) target: SocketAddr,
    /// Process of the registry, to read its CPU time and memory from /proc.
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Only these cases, separated by `;`: a whole name, or a part of it such as `c=64`.
    #[arg(long, value_name = "PART", value_delimiter = ';')]
    pub(crate) cases: Vec<String>,
    /// How many blocks to run of each case.
    #[arg(long, default_value_t = 3)]
    pub(crate) blocks: u32,
    /// Length of a block in seconds (3; 1 with --quick).
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub(crate) block: Option<f64>,
    /// Operations per second, instead of as many as possible.
    #[arg(long, value_name = "PER SECOND", value_parser = positive)]
    pub(crate) rate: Option<f64>,
    #[command(flatten)]
    pub(crate) scale: ScaleArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Our binary.
    #[arg(long, value_name = "FILE")]
    pub(crate) ours: PathBuf,
    /// The peer's binary, a distribution registry.
    #[arg(long, value_name = "FILE")]
    pub(crate) peer: PathBuf,
    /// The peer's binary where that is etcd.
    #[arg(long, value_name = "FILE", default_value = "etcd")]
    pub(crate) etcd: PathBuf,
    /// What copies images from one registry to another, for peers that do not.
    #[arg(long, value_name = "FILE", default_value = "skopeo")]
    pub(crate) skopeo: PathBuf,
    /// What `cargo xtask parts` has written: where Kafka is.
    #[arg(long, value_name = "FILE", env = "XTASK_PARTS")]
    pub(crate) parts: Option<PathBuf>,
    /// Compares each peer with itself: every interval should hold 1.
    #[arg(long)]
    pub(crate) null: bool,
    /// Workloads to run; all of them by default.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) workloads: Vec<String>,
    /// Only these cases, separated by `;`: a whole name, or a part of it such as `c=64`.
    #[arg(long, value_name = "PART", value_delimiter = ';')]
    pub(crate) cases: Vec<String>,
    /// Pairs of blocks to keep for each case (11; 3 with --quick).
    #[arg(long)]
    pub(crate) pairs: Option<usize>,
    /// Pairs to try at most, when the gate drops some (twice the pairs).
    #[arg(long)]
    pub(crate) attempts: Option<usize>,
    /// Length of a block in seconds (3; 1 with --quick).
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub(crate) block: Option<f64>,
    /// Count every pair, however disturbed the machine was.
    #[arg(long)]
    pub(crate) no_gate: bool,
    /// Folder for bench.json, bench.md and the servers' logs.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Folder for the servers' data, on the disk to be measured (<out>/data).
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) scale: ScaleArgs,
}

fn address(url: &str) -> Result<SocketAddr, String> {
    let authority = url
        .strip_prefix("http://")
        .ok_or("only http:// is spoken")?
        .trim_end_matches('/');
    let mut addresses = authority.to_socket_addrs().map_err(|it| it.to_string())?;
    addresses.next().ok_or_else(|| "no address".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("must be a number above 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_target_is_an_address_behind_plain_http() {
        assert_eq!(
            address("http://127.0.0.1:5000/"),
            Ok(([127, 0, 0, 1], 5000).into())
        );
        assert!(address("https://127.0.0.1:5000").is_err());
        assert!(address("http://127.0.0.1").is_err());
    }

    #[test]
    fn a_block_takes_some_time() {
        assert_eq!(positive("0.5"), Ok(0.5));
        assert!(positive("0").is_err() && positive("inf").is_err());
    }
}
