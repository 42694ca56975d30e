//! The gRPC clients, against peers that do what a good service never does.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod connections;
mod downloads;
mod harness;
mod peers;
mod retries;
mod uploads;
