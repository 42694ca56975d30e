//! What a registry answers, rule by rule: OCI distribution-spec 1.1 with what the next version
//! adds, RFC 9110 where that leaves gaps, and the customs of Docker's registry.
//!
//! Owns one table for each part of the protocol, against a running `meridian dev` that the tables
//! share; each has repositories of its own. `MERIDIAN_TEST_ADDR` (`host:port`, plain HTTP) names
//! another server to ask instead. A row is one rule: a request and everything that its answer must
//! be. A table tells all rows that differ, not the first one, with the rule and where it stands.
//! Beside what a row says, every answer is held to the rules that all answers keep
//! ([`expected::universal`]).
//!
//! Here well-meant requests get the right answer, to the header. Requests that mean harm are the
//! `hostile` tests'; what survives a kill is the `crash` tests'.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod base;
mod blobs;
mod catalog;
mod conditions;
mod content;
mod datasets;
mod deletion;
mod expected;
mod heads;
mod leaves;
mod manifests;
mod mounts;
mod names;
mod ranges;
mod referrers;
mod server;
mod sessions;
mod table;
mod tagging;
mod tags;
mod uploads;
mod versions;
mod wire;
mod writes;
