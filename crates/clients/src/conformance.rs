//! What every body of the traits must do, as suites that each of them runs: the service itself, and
//! the gRPC client in front of it. A caller cannot tell which one it holds.
//!
//! Owns the cases, one function each, which are the contract in executable form. Leaves to a
//! fixture how a body is made and how time passes for it, and to each body what only it can test:
//! crashes, broken connections, faults of a store.
#![allow(
    clippy::unwrap_used,
    reason = "a suite for tests: its failures are panics"
)]

pub mod blob;
pub mod ingest;
pub mod metadata;
pub mod replica;

use bytes::Bytes;
use meridian_oci::{Algorithm, Digest};

use crate::{RepositoryPath, RequestId};

/// A repository of the registry that every fixture has.
fn repository(name: &str) -> RepositoryPath {
    RepositoryPath {
        registry: "default".parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

fn fresh() -> RequestId {
    RequestId(rand::random())
}

/// Bytes without a period that a message or a buffer could have.
fn content(seed: u32, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    std::iter::repeat_with(next).take(length).collect()
}
