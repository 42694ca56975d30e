//! The blob service, over stores in memory and on disk.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod collection;
mod crash_points;
mod data;
mod downloads;
mod faults;
mod full;
mod grpc;
mod harness;
mod ingest;
mod instances;
mod losses;
mod metadata;
mod model;
mod race;
mod restart;
mod turns;
mod uploads;
