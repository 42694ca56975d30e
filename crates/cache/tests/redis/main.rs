//! Tests of the Redis body: against a server that fails as planned, and against a real Redis where
//! `cargo xtask` has started one.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod away;
mod parts;
mod real;
mod scripted;
