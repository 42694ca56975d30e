#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod config;
pub mod grpc;
pub mod health;
pub mod http;
pub mod identity;
pub mod metrics;
pub mod panic_hook;
pub mod probes;
mod reserve;
pub mod seal;
mod signals;
pub mod status;
mod supervisor;
pub mod telemetry;
pub mod tls;
pub mod token;

pub use reserve::{Reserve, Room};
pub use signals::signals;
pub use supervisor::{Spawner, Supervisor, TaskFailed, TaskName, TaskResult};
