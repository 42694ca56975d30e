//! A metadata group of several members, each a process of its own.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod changes;
mod failures;
mod founding;
mod members;
mod snapshots;
