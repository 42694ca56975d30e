//! `meridian run`: a registry of three processes, as its operator meets it. And HTTPS, which is the
//! same for all of them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod drain;
mod first;
mod intruder;
mod kills;
mod mutual;
mod region;
mod registry;
mod rotation;
mod secure;
mod settings;
mod telemetry;
