//! What instances tell each other of a session.
//!
//! Owns the form in which it is kept in the cache, which only grows. It is signed with the upload key,
//! so that only an instance decides what a digest will be. Keeps the invariant that nothing rests on
//! it alone: what is durable is the store's to say, and bytes whose hash was not handed on are hashed
//! when they are complete.

use meridian_blobstore::WriterState;
use meridian_oci::{Algorithm, Digest, Hasher};
use serde::{Deserialize, Serialize};

use super::session::Sealed;
use crate::ticket::{Stamp, Ticket};

/// The form, and with it that of the states of hashes.
const FORM: u8 = 1;

/// A session as the request that had it last left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Memo {
    /// It was opened, and has no bytes.
    Fresh,
    /// It goes by another ticket.
    Moved(Vec<u8>),
    /// It takes bytes.
    Open(Open),
    /// It has all its bytes in a finished object.
    Sealed(Finished),
    /// It was finished, was cancelled, or was lost.
    Over,
}

/// A session that takes bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open {
    /// Where its object was synced last. The rest is about exactly these bytes.
    pub(crate) state: WriterState,
    hash: Option<Hash>,
    /// All bytes, if they are few.
    pub(crate) head: Option<Vec<u8>>,
}

/// An object that waits to be recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finished {
    size: u64,
    digest: Option<Digest>,
    proposed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Hash {
    algorithm: String,
    state: Vec<u8>,
}

// === impl Memo ===

impl Memo {
    pub(crate) fn moved(to: Ticket) -> Self {
        Self::Moved(to.to_bytes().to_vec())
    }

    /// As it is kept for the session of `ticket`.
    pub(crate) fn encode(&self, ticket: Ticket, stamp: &Stamp) -> Vec<u8> {
        let bytes = postcard::to_extend(self, vec![FORM]);
        let bytes = bytes.expect("numbers, texts and bytes are written to memory");
        stamp.sign((ticket.epoch, ticket.generation), bytes)
    }

    /// What was kept for the session of `ticket`; `None` if it is not ours, or of another form.
    pub(crate) fn decode(kept: &[u8], ticket: Ticket, stamp: &Stamp) -> Option<Self> {
        let bytes = stamp.verify((ticket.epoch, ticket.generation), kept)?;
        match bytes.split_first()? {
            (&FORM, bytes) => postcard::from_bytes(bytes).ok(),
            _ => None,
        }
    }
}

// === impl Open ===

impl Open {
    pub(crate) fn new(state: WriterState, hasher: Option<&Hasher>, head: Option<&[u8]>) -> Self {
        Self {
            state,
            hash: hasher.map(|hasher| Hash {
                algorithm: hasher.algorithm().to_string(),
                state: hasher.export(),
            }),
            head: head.map(<[u8]>::to_vec),
        }
    }

    /// The hash of its bytes, to go on with.
    pub(crate) fn hasher(&self) -> Option<Hasher> {
        let hash = self.hash.as_ref()?;
        let algorithm: Algorithm = hash.algorithm.parse().ok()?;
        Hasher::import(algorithm, &hash.state)
    }
}

// === impl Finished ===

impl Finished {
    pub(crate) const fn of(sealed: &Sealed, is_trusted: bool) -> Self {
        Self {
            size: sealed.size,
            digest: if is_trusted { sealed.digest } else { None },
            proposed: sealed.proposed,
        }
    }

    pub(crate) const fn under(&self, ticket: Ticket, key: meridian_clients::StorageKey) -> Sealed {
        Sealed {
            ticket,
            key,
            size: self.size,
            digest: self.digest,
            proposed: self.proposed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(generation: u64) -> Ticket {
        Ticket {
            algorithm: Algorithm::Sha256,
            epoch: 1,
            generation,
            created: 5,
            nonce: [3; 16],
        }
    }

    fn memos() -> Vec<Memo> {
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(b"abc");
        let state = WriterState {
            len: 3,
            detail: "mark".to_owned(),
        };
        vec![
            Memo::Fresh,
            Memo::moved(ticket(9)),
            Memo::Open(Open::new(state.clone(), Some(&hasher), Some(b"abc"))),
            Memo::Open(Open::new(state, None, None)),
            Memo::Sealed(Finished {
                size: 3,
                digest: Some(Digest::of(Algorithm::Sha256, b"abc")),
                proposed: true,
            }),
            Memo::Over,
        ]
    }

    #[test]
    fn a_memo_is_read_as_it_was_written_and_for_its_session_only() {
        let stamp = Stamp::new(&[7; 32]);
        for memo in memos() {
            let kept = memo.encode(ticket(1), &stamp);
            assert_eq!(Memo::decode(&kept, ticket(1), &stamp), Some(memo));
            assert_eq!(Memo::decode(&kept, ticket(2), &stamp), None);
            assert_eq!(Memo::decode(&kept, ticket(1), &Stamp::new(&[8; 32])), None);
            assert_eq!(Memo::decode(&kept[1..], ticket(1), &stamp), None);
        }
        assert_eq!(Memo::decode(b"", ticket(1), &stamp), None);
    }

    #[test]
    fn memos_of_this_form_are_read_by_all_later_versions() {
        let texts: Vec<String> = memos()
            .iter()
            .map(|memo| postcard::to_allocvec(memo).unwrap())
            .map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            .collect();
        assert_eq!(texts[0], "00");
        assert_eq!(texts[1].len(), 2 * (1 + 1 + 42));
        assert!(texts[2].starts_with("0203046d61726b0106736861353132d001"));
        assert!(texts[2].ends_with("0103616263"));
        assert_eq!(texts[3], "0203046d61726b0000");
        assert!(texts[4].starts_with("03030147"), "{}", texts[4]);
        assert_eq!(texts[5], "04");
    }

    #[test]
    fn a_hash_goes_on() {
        for memo in memos() {
            if let Memo::Open(open) = memo
                && let Some(mut hasher) = open.hasher()
            {
                hasher.update(b"def");
                assert_eq!(hasher.finish(), Digest::of(Algorithm::Sha512, b"abcdef"));
            }
        }
    }
}
