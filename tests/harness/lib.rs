//! Starts Meridian for a test, talks to it, breaks it, and looks at what is left.
//!
//! Owns the child processes of tests and their ends: nothing outlives the value that started it.
//! Waiting is always for a condition with a deadline, never for a time.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "a panic is how a test fails, and its log goes to standard error"
)]

mod authority;
mod cluster;
mod collector;
mod content;
mod dev;
mod disk;
mod dns;
mod events;
mod namespace;
mod network;
mod parts;
mod receiver;
mod region;
mod regions;
mod registry;
mod rotary;
pub mod s3;
mod wait;
mod wire;
mod world;

pub use authority::{Authority, IdentityFiles, Leaf};
pub use cluster::{cluster, leader_of, replication, webhook};
pub use collector::{Collector, SeenMetric, SeenSpan};
pub use content::{Content, Image, digest};
pub use dev::{Dev, DevBuilder, Ended, Starting, binary};
pub use disk::{Backing, Filler, LoopDisk, can_mount, cut_power};
pub use dns::Dns;
pub use events::{NO_EVENT, events};
pub use namespace::{Door, Namespace};
pub use network::Network;
pub use parts::{Kafka, Parts, Redis};
pub use receiver::{Manner, Receiver, SeenRequest};
pub use region::{FRONTS, MEMBERS, Neighbour, Plan, Region};
pub use regions::Regions;
pub use registry::{Answer, Client, with_digest};
pub use rotary::Rotary;
pub use s3::S3Server;
pub use wait::{eventually, left_out, seed};
pub use wire::Wire;
pub use world::{REGIONS, World};
