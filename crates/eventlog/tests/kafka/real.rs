//! Tests that need Apache Kafka. `cargo xtask eventlog` starts it and runs them; by hand it takes
//! `cargo xtask parts up` and its file in `XTASK_PARTS`.

mod one;
mod parts;
mod three;
