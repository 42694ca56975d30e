#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod action;
mod agent;
mod backfill;
mod backoff;
mod config;
mod dice;
mod fetch;
mod freshness;
#[cfg(feature = "testing")]
pub mod guard;
#[cfg(not(feature = "testing"))]
mod guard;
mod named;
mod now;
mod rate;
mod roll;
mod share;
mod status;
mod stream;

pub use action::Action;
pub use agent::{Agent, Load};
pub use backfill::Page;
pub use backoff::BackoffConfig;
pub use config::{BackfillConfig, Config, FetchConfig, FreshnessConfig, StreamConfig};
pub use fetch::{
    Body, Class, End, Finished, Kind, Known, Landing, Order, Part, PeerFailure, TransferId,
    Trouble, Want, WantId,
};
pub use freshness::{Consistency, Freshness, Judgement, Scope};
pub use now::Now;
pub use roll::{Roll, Share};
pub use share::{consumer_of, fetcher_of, owner_of};
pub use status::{ImageFacts, ImageState, PeerStatus, RegistryStatus, StreamStatus};
pub use stream::{
    Arrival, Condition, Cursor, Halt, Offered, Refill, Refilled, ResyncReason, Room, Settled,
    StreamId,
};
