//! Faults, one row of the fault matrix each, under clients whose every call is on record.
//!
//! ```text
//! work ──── clients that push, pull and delete; every call goes to the history
//! rows ──── one fault each: what is done to the region, and what is seen only there
//! world ─── the same for two regions that replicate each other
//! apart ─── that these reach each other over the network between them, and not otherwise
//! check ─── whether the history, and what is there in the end, break an invariant
//! ```
//!
//! A row that follows is an entry of `rows`: its fault, and nothing else. A mechanism is proven to be
//! needed by a test that runs its row with the mechanism switched off, and fails unless the checkers
//! find something.
//!
//! They take minutes, and some need root, Kafka or Redis: `cargo xtask faults` runs them, one after
//! the other.

#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, and what it tells besides goes to standard error"
)]

mod apart;
mod check;
mod history;
mod rows;
mod trial;
mod work;
mod world;
