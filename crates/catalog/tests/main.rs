//! The catalog, from outside: each rule by example, and long histories against a reference model.

#![allow(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, and helpers are no tests to the lint"
)]

mod cost;
mod histories;
mod model;
mod peer;
mod rules;
mod stage;
