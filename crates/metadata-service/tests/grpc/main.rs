//! The metadata service as other processes reach it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod bodies;
mod conformance;
mod events;
mod harness;
mod hostile;
mod outages;
mod regions;
mod replica;
