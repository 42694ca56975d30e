//! Regions beside each other, as clients of a registry meet them: what is pushed to one is had from all.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod alone;
mod apart;
mod at_once;
mod budget;
mod crew;
mod joining;
mod locks;
mod notices;
mod scatter;
mod secure;
mod shared;
mod status;
mod steering;
mod thin;
mod webhooks;
