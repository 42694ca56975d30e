//! What an upload id says, and how it is told from a guess.
//!
//! ```text
//! format 1 | algorithm 1 | epoch 8 | generation 8 | created 8 | nonce 16 | tag 16      base64url
//! ```
//!
//! The tag is HMAC-SHA256, truncated to 128 bits, over the rest and the repository. So a session
//! costs nothing until it has bytes, any process that holds the secret can go on with it, and an id
//! that was altered, or is used under another repository, is as unknown as a random one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use meridian_clients::{RepositoryPath, RequestId, StorageKey};
use meridian_oci::{Algorithm, Digest, UploadId};
use sha2::Sha256;

const FORMAT: u8 = 1;
const BODY: usize = 42;
const TAG: usize = 16;

/// The content of an upload id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The algorithm of the digest that the session will be held against, as far as is known.
    pub(crate) algorithm: Algorithm,
    /// The epoch of `generation`.
    pub(crate) epoch: u64,
    /// Under which the session's bytes are stored, and stay.
    pub(crate) generation: u64,
    /// When the session was opened, in milliseconds.
    pub(crate) created: u64,
    /// 128 random bits.
    pub(crate) nonce: [u8; 16],
}

/// Makes and recognises upload ids.
#[derive(Clone)]
pub(crate) struct Stamp {
    keyed: Hmac<Sha256>,
}

// === impl Ticket ===

impl Ticket {
    pub(crate) fn to_bytes(self) -> [u8; BODY] {
        let mut bytes = [0; BODY];
        bytes[0] = FORMAT;
        bytes[1] = match self.algorithm {
            Algorithm::Sha256 => 1,
            Algorithm::Sha512 => 2,
        };
        bytes[2..10].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[10..18].copy_from_slice(&self.generation.to_be_bytes());
        bytes[18..26].copy_from_slice(&self.created.to_be_bytes());
        bytes[26..].copy_from_slice(&self.nonce);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[FORMAT, algorithm], rest) = bytes.split_first_chunk()? else {
            return None;
        };
        let (epoch, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (created, rest) = rest.split_first_chunk()?;
        Some(Self {
            algorithm: match algorithm {
                1 => Algorithm::Sha256,
                2 => Algorithm::Sha512,
                _ => return None,
            },
            epoch: u64::from_be_bytes(*epoch),
            generation: u64::from_be_bytes(*generation),
            created: u64::from_be_bytes(*created),
            nonce: rest.try_into().ok()?,
        })
    }
}

// === impl Stamp ===

impl Stamp {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self {
            keyed: Hmac::new_from_slice(key).expect("HMAC takes keys of any length"),
        }
    }

    /// The id of a session in this repository.
    pub(crate) fn seal(&self, repository: &RepositoryPath, ticket: Ticket) -> UploadId {
        let body = ticket.to_bytes();
        let tag = self.over(repository, &body).finalize().into_bytes();
        let mut bytes = [0; BODY + TAG];
        bytes[..BODY].copy_from_slice(&body);
        bytes[BODY..].copy_from_slice(&tag[..TAG]);
        let text = URL_SAFE_NO_PAD.encode(bytes);
        text.parse().expect("base64url of 58 bytes is an upload id")
    }

    /// What an id says, if it was made here for this repository.
    pub(crate) fn open(&self, repository: &RepositoryPath, id: &UploadId) -> Option<Ticket> {
        let bytes = URL_SAFE_NO_PAD.decode(id.as_str()).ok()?;
        let (body, tag) = bytes.split_at_checked(BODY)?;
        if tag.len() != TAG {
            return None;
        }
        self.over(repository, body)
            .verify_truncated_left(tag)
            .ok()?;
        Ticket::from_bytes(body)
    }

    /// The id of the request that records the session's bytes under `digest`: the same each time
    /// the session is finished with it, in any process. What it is to replace makes it another
    /// request, because it would be answered otherwise.
    pub(crate) fn request(
        &self,
        ticket: Ticket,
        digest: Digest,
        instead_of: Option<StorageKey>,
    ) -> RequestId {
        let mut mac = self.keyed.clone();
        mac.update(b"request");
        mac.update(&ticket.to_bytes());
        mac.update(digest.algorithm().as_str().as_bytes());
        mac.update(digest.as_bytes());
        if let Some(lost) = instead_of {
            mac.update(&lost.epoch.to_be_bytes());
            mac.update(&lost.generation.to_be_bytes());
        }
        let tag = mac.finalize().into_bytes();
        let mut id = [0; 16];
        id.copy_from_slice(&tag[..16]);
        RequestId(id)
    }

    /// Writes under `bytes`, which are kept where others may write, whose they are and that they are
    /// ours.
    pub(crate) fn sign(&self, session: (u64, u64), mut bytes: Vec<u8>) -> Vec<u8> {
        let tag = self.over_memo(session, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag[..TAG]);
        bytes
    }

    /// What was signed for this session; `None` if it was not, or was changed since.
    pub(crate) fn verify<'b>(&self, session: (u64, u64), signed: &'b [u8]) -> Option<&'b [u8]> {
        let (bytes, tag) = signed.split_at_checked(signed.len().checked_sub(TAG)?)?;
        let over = self.over_memo(session, bytes);
        over.verify_truncated_left(tag).ok()?;
        Some(bytes)
    }

    fn over_memo(&self, (epoch, generation): (u64, u64), bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(b"memo\0");
        mac.update(&epoch.to_be_bytes());
        mac.update(&generation.to_be_bytes());
        mac.update(bytes);
        mac
    }

    fn over(&self, repository: &RepositoryPath, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        // Neither name can hold the separator, so no two pairs of names read the same.
        mac.update(b"upload\0");
        mac.update(repository.registry.as_str().as_bytes());
        mac.update(b"\0");
        mac.update(repository.name.as_str().as_bytes());
        mac.update(b"\0");
        mac.update(body);
        mac
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    fn stamp() -> Stamp {
        Stamp::new(&[7; 32])
    }

    fn repository(registry: &str, name: &str) -> RepositoryPath {
        RepositoryPath {
            registry: registry.parse().unwrap(),
            name: name.parse().unwrap(),
        }
    }

    fn ticket(generation: u64) -> Ticket {
        Ticket {
            algorithm: Algorithm::Sha512,
            epoch: u64::MAX,
            generation,
            created: 1 << 63,
            nonce: [3; 16],
        }
    }

    proptest! {
        #[test]
        fn an_id_says_what_was_put_into_it(epoch: u64, generation: u64, created: u64, nonce: [u8; 16], long: bool) {
            let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let ticket = Ticket { algorithm, epoch, generation, created, nonce };
            let repository = repository("default", "a/b");
            let id = stamp().seal(&repository, ticket);
            prop_assert_eq!(stamp().open(&repository, &id), Some(ticket));
        }

        #[test]
        fn any_other_character_anywhere_makes_it_unknown(at in 0..78_usize, to in any::<proptest::sample::Index>()) {
            let repository = repository("default", "a");
            let mut text = stamp().seal(&repository, ticket(5)).as_str().as_bytes().to_vec();
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let others: Vec<u8> = alphabet.iter().copied().filter(|c| *c != text[at]).collect();
            text[at] = *to.get(&others);
            let id: UploadId = String::from_utf8(text).unwrap().parse().unwrap();
            prop_assert_eq!(stamp().open(&repository, &id), None);
        }

        #[test]
        fn no_id_makes_it_panic(text in "[A-Za-z0-9_-]{16,128}") {
            let id: UploadId = text.parse().unwrap();
            prop_assert_eq!(stamp().open(&repository("default", "a"), &id), None);
        }
    }

    #[test]
    fn an_id_is_unknown_elsewhere_and_under_another_secret() {
        let here = repository("default", "a/b");
        let id = stamp().seal(&here, ticket(1));
        assert!(stamp().open(&here, &id).is_some());
        for other in [
            ("default", "a"),
            ("default", "a/b/c"),
            ("other", "a/b"),
            ("defaulta", "b"),
        ] {
            assert_eq!(stamp().open(&repository(other.0, other.1), &id), None);
        }
        let other = Stamp::new(&[8; 32]);
        assert_eq!(other.open(&here, &id), None);
    }

    #[test]
    fn what_was_signed_is_known_again_and_nothing_else() {
        let signed = stamp().sign((1, 2), b"what is kept".to_vec());
        assert_eq!(stamp().verify((1, 2), &signed), Some(&b"what is kept"[..]));
        assert_eq!(stamp().verify((1, 3), &signed), None);
        assert_eq!(stamp().verify((2, 2), &signed), None);
        assert_eq!(Stamp::new(&[8; 32]).verify((1, 2), &signed), None);
        for at in 0..signed.len() {
            let mut changed = signed.clone();
            changed[at] ^= 1;
            assert_eq!(stamp().verify((1, 2), &changed), None, "{at}");
            assert_eq!(stamp().verify((1, 2), &signed[..at]), None, "{at}");
        }
    }

    #[test]
    fn a_request_is_one_for_each_session_and_digest() {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let id = stamp().request(ticket(1), digest, None);
        assert_eq!(stamp().request(ticket(1), digest, None), id);
        assert_ne!(stamp().request(ticket(2), digest, None), id);
        assert_ne!(
            stamp().request(ticket(1), Digest::of(Algorithm::Sha256, b"y"), None),
            id
        );
    }
}
