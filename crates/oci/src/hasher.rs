//! Hashing a stream.
//!
//! The implementations pick the processor's SHA instructions at run time.

use std::fmt;

use sha2::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};

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

    /// Where it stands, for a copy in another process to go on from. Whoever gives that back decides
    /// what the digest will be, so it is kept where nobody else can write.
    #[must_use]
    pub fn export(&self) -> Vec<u8> {
        match &self.0 {
            State::Sha256(state) => state.serialize().to_vec(),
            State::Sha512(state) => state.serialize().to_vec(),
        }
    }

    /// One that goes on from an exported state; `None` if it is none of this algorithm, as this version
    /// has it.
    #[must_use]
    pub fn import(algorithm: Algorithm, state: &[u8]) -> Option<Self> {
        Some(Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(restored(state)?),
            Algorithm::Sha512 => State::Sha512(restored(state)?),
        }))
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

fn restored<H: SerializableState>(state: &[u8]) -> Option<H> {
    let state = SerializedState::<H>::try_from(state).ok()?;
    H::deserialize(&state).ok()
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.algorithm()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

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
        fn a_state_goes_on_elsewhere(head: Vec<u8>, tail: Vec<u8>) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&head);
                let mut other = Hasher::import(algorithm, &hasher.export()).unwrap();
                prop_assert_eq!(other.algorithm(), algorithm);
                other.update(&tail);
                let whole = [&head[..], &tail[..]].concat();
                prop_assert_eq!(other.finish(), Digest::of(algorithm, &whole));
            }
        }

        #[test]
        fn what_is_no_state_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for (algorithm, len) in [(Algorithm::Sha256, 104), (Algorithm::Sha512, 208)] {
                let imported = Hasher::import(algorithm, &bytes);
                prop_assert!(imported.is_none() || bytes.len() == len);
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

    /// States are read by other processes, perhaps of another version: this one must always be
    /// understood, or what keeps them must say that it is of another form.
    #[test]
    fn the_form_of_a_state_stays() {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(b"abc");
        let state = hasher.export();
        assert_eq!(state.len(), 104);
        // The initial values, no block yet, and what waits for one.
        assert_eq!(&state[..4], 0x6a09_e667_u32.to_le_bytes());
        assert_eq!(&state[28..32], 0x5be0_cd19_u32.to_le_bytes());
        assert_eq!(&state[32..40], [0; 8]);
        assert_eq!(&state[40..44], [3, b'a', b'b', b'c']);
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(&[7; 129]);
        let state = hasher.export();
        assert_eq!(state.len(), 208);
        assert_eq!(
            &state[64..81],
            [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        );
        assert_eq!(state[81], 7);
    }
}
