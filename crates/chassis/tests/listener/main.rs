//! Plays the hostile requests that concern a listener against a real one.
#![allow(
    clippy::unwrap_used,
    reason = "clippy's exception for tests does not reach helper functions"
)]

mod framing;
mod grpc;
mod harness;
mod http2;
mod lifecycle;
mod refusals;
mod timing;
