//! The engine in a simulated world: a log, metadata that fail, receivers that are down, slow or busy,
//! dispatchers that crash, all on virtual time and from a seed. And its requests, as others see them.

#![allow(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, and helpers are no tests to the lint"
)]

mod golden;
mod histories;
mod meanings;
mod mutations;
mod scenarios;
mod verifier;
mod world;
