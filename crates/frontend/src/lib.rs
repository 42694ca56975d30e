#![doc = include_str!("../README.md")]

mod access;
mod api;
mod body;
mod config;
mod delivery;
mod error;
mod extract;
mod limits;
mod location;
mod metrics;
mod pages;
mod query;
mod rates;
mod respond;
mod route;
mod router;
mod start;
mod state;

pub use config::{Config, LimitsConfig};
pub use delivery::{BlobsConfig, DataUrl, DeliveryFault, LinkMaker, ParseDataUrlError, Rule, Way};
pub use rates::{Counters, Rate, RatesConfig};
pub use router::Frontend;
pub use start::{StartError, Started, check, start, start_on};
pub use state::Backends;
