//! What survives: processes killed at random and at chosen points, power cuts, and syncs that fail.
//!
//! Owns the ledger of what was acknowledged, deletions included, and the verdict over what is there
//! afterwards. Each test prints its seed; `SEED=…` repeats it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and it says what it does"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for the tasks it spawns"
)]

mod events;
mod kills;
mod ledger;
mod points;
mod power;
mod syncs;
mod verdict;
mod webhooks;
mod workload;
