//! The engine in a simulated world: origins with logs that lose and repeat, peers that are slow,
//! dead or lie, agents that crash, all on virtual time and from a seed.

#![allow(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, and helpers are no tests to the lint"
)]

mod histories;
mod mutations;
mod scenarios;
mod world;
