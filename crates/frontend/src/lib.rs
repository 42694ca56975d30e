#![doc = include_str!("../README.md")]

mod access;
mod api;
mod body;
mod config;
mod delivery;
mod error;
mod extract;
mod find;
mod limits;
mod location;
mod metrics;
mod pages;
mod query;
mod rates;
mod regions;
mod respond;
mod route;
mod router;
mod session;
mod start;
mod state;
mod steering;

pub use config::{Config, LimitsConfig};
pub use delivery::{BlobsConfig, DataUrl, DeliveryFault, LinkMaker, ParseDataUrlError, Rule, Way};
pub use rates::{Counters, Rate, RatesConfig};
pub use regions::{Consistency, Regions};
pub use router::Frontend;
pub use start::{StartError, Started, check, start, start_on};
pub use state::Backends;
pub use steering::SteeringConfig;
