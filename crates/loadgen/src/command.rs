//! What the commands do.

mod bench;
mod list;
mod run;

use std::time::Duration;

pub(crate) use bench::bench;
pub(crate) use list::list;
pub(crate) use run::run;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("there is no workload {0}; `loadgen list` names them")]
    UnknownWorkload(String),
    #[error("no case is called so; `loadgen list` names them")]
    NoCase,
    #[error(transparent)]
    Load(#[from] crate::workload::LoadError),
    #[error("{0} starts its server itself, which `loadgen bench` has in its hands")]
    Starts(&'static str),
    #[error("cannot find Kafka")]
    Parts(#[from] crate::kafka::PartsError),
    #[error("not done within {} s", .0.as_secs())]
    Deadline(Duration),
    #[error("cannot write the report")]
    Output(#[from] std::io::Error),
    #[error("at least one row failed")]
    Incomplete,
    #[error("interrupted; data may be left in the data folder")]
    Interrupted,
}

/// The length of a block.
fn block_length(wanted: Option<f64>, quick: bool) -> Duration {
    let seconds = wanted.unwrap_or(if quick { 1.0 } else { 3.0 });
    Duration::from_secs_f64(seconds.min(3600.0))
}
