#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod attempt;
mod call;
mod config;
mod consume;
mod control;
mod credentials;
mod crew;
mod engine;
mod history;
mod known;
mod readers;
mod shell;
#[cfg(test)]
mod stage;
mod start;
mod trouble;

pub use call::CallError;
pub use config::Config;
pub use control::{
    ControlError, Controls, Deliveries, Delivery, Delta, NewWebhook, ReplayFilter, Shown, Tried,
};
pub use credentials::{Credentials, CredentialsError};
pub use history::{Attempted, Exchange};
pub use start::{Ports, StartError, start};
