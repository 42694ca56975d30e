//! Every hostile request that a registry without accounts can meet, and the answer that it gets.
//!
//! Owns a table for each kind of hostility, against a running server: `MERIDIAN_TEST_ADDR`
//! (`host:port`, plain HTTP) if it is set, else a `meridian dev` of its own. Requests are written
//! byte by byte, because no well-meaning client would send them; every wait has a deadline. After
//! each table the server must still serve. The limits under test are the defaults.
//!
//! Not here: caps on connections, which by default do not bind on loopback, a client that does not
//! read its answer, and TLS handshakes that stall. Those are tested beside the listener, which owns
//! them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod data;
mod digests;
mod framing;
mod graph;
mod http2;
mod limits;
mod lists;
mod manifests;
mod names;
mod reads;
mod slow;
mod target;
mod uploads;
mod wire;
