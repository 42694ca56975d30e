//! Tests of the Kafka body: against the brokers that the client library brings, in this process, and
//! against real ones where `cargo xtask` has started some.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod conformance;
mod faults;
mod mock;
mod opening;
mod publisher;
mod reading;
mod real;
