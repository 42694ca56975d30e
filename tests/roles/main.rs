//! `meridian run`: a registry of three processes, as its operator meets it. And HTTPS, which is the
//! same for all of them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod data;
mod drain;
mod events;
mod first;
mod https;
mod instances;
mod intruder;
mod kills;
mod mutual;
mod rates;
mod region;
mod registry;
mod rotation;
mod s3;
mod secure;
mod settings;
mod telemetry;
