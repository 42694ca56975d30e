//! Hashing a stream.
//!
//! The implementations pick the processor's SHA instructions at run time.

use std::fmt;

use sha2::Digest as _;

use crate::{Algorithm, Digest};

/// Computes a digest piece by piece. A clone goes on from where the original is, so a copy can be
/// finished while the stream continues.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Of nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// The hash function in use.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(piece),
            State::Sha512(state) => state.update(piece),
        }
    }

    /// The digest of all pieces in order.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(state) => Digest::Sha256(state.finalize().into()),
            State::Sha512(state) => Digest::Sha512(state.finalize().into()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.algorithm()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(content: Vec<u8>, sizes in proptest::collection::vec(1..9_usize, 0..64)) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let mut hasher = Hasher::new(algorithm);
                let mut rest = content.as_slice();
                for size in &sizes {
                    let (piece, tail) = rest.split_at((*size).min(rest.len()));
                    hasher.update(piece);
                    rest = tail;
                }
                hasher.update(rest);
                prop_assert_eq!(hasher.finish(), Digest::of(algorithm, &content));
            }
        }

        #[test]
        fn a_clone_is_independent(head: Vec<u8>, tail in proptest::collection::vec(any::<u8>(), 1..64)) {
            let mut hasher = Hasher::new(Algorithm::Sha256);
            hasher.update(&head);
            let early = hasher.clone();
            hasher.update(&tail);
            prop_assert_eq!(early.finish(), Digest::of(Algorithm::Sha256, &head));
            prop_assert_eq!(hasher.finish(), Digest::of(Algorithm::Sha256, &[head, tail].concat()));
        }
    }
}
