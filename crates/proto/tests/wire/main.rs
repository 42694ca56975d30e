//! The wire, as others see it: bytes that must stay what they are, and messages that come back.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod arbitrary;
mod golden;
mod refused;
mod round_trip;
