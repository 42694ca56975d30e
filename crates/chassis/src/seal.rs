//! What only those can read who have the key.
//!
//! Owns the form of what is sealed, and which keys are in use. Keeps these invariants: what is sealed for one purpose
//! opens for no other; the first key of the file seals, and each of them opens, so that a key is replaced by writing
//! the new one before the old one, sealing anew, and taking the old one away. All regions have the same keys: what one
//! of them sealed, the others are to open. Leaves the file to `seal/file.rs`; to whoever seals, what the purpose is,
//! and when to seal anew.
//!
//! ```text
//! 1 byte       8 bytes                12 bytes   n bytes      16 bytes
//! version 1    name of the key        nonce      ciphertext   tag
//! ```
//!
//! AES-256-GCM (NIST SP 800-38D); the purpose, and what stands before the ciphertext, are its associated data. A
//! nonce is random: with one key no more than 2^32 may be sealed, which is more than anybody registers.

mod file;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use meridian_error::{Classify, Code};
use rand::RngExt;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub use self::file::KeyRingError;
use crate::tls::{Stamp, Watched, watch};

const VERSION: u8 = 1;
const NAME: usize = 8;
const HEADER: usize = 1 + NAME + NONCE_LEN;
const TAG: usize = 16;
const KEY: usize = 32;

/// The keys in use. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<RwLock<Vec<Key>>>,
    first: Stamp,
    file: PathBuf,
    every: Duration,
}

struct Key {
    name: [u8; NAME],
    key: LessSafeKey,
}

/// Why something cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was sealed with a key that is not here.
    #[error(
        "it was sealed with the key {0}, which is not in the key file here; all regions need the same keys, those \
         from before a rotation too, until everything is sealed anew"
    )]
    KeyUnknown(KeyName),
    /// It was changed, or sealed for something else.
    #[error("it is not what was sealed")]
    Damaged,
}

/// By what a key is known: nothing that helps to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyName([u8; NAME]);

struct Renewal {
    ring: KeyRing,
    tried: Stamp,
}

// === impl KeyRing ===

impl KeyRing {
    /// Reads the keys of a file, one on each line, in 64 hexadecimal digits. The file is looked at `every` so
    /// often.
    ///
    /// # Errors
    ///
    /// When others than its owner may read it, or something else stands in it.
    pub fn load(file: &Path, every: Duration) -> Result<Self, KeyRingError> {
        let first = Stamp::of([file]);
        Ok(Self {
            keys: Arc::new(RwLock::new(file::read(file)?)),
            first,
            file: file.to_owned(),
            every,
        })
    }

    /// The same; a file that is not there is made, with a new key in it.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), or if it cannot be made.
    pub fn load_or_make(file: &Path, every: Duration) -> Result<Self, KeyRingError> {
        if !file.exists() {
            file::make(file).map_err(|source| KeyRingError::Write {
                path: file.to_owned(),
                source,
            })?;
        }
        Self::load(file, every)
    }

    /// Seals for a purpose.
    ///
    /// # Panics
    ///
    /// Never: what is sealed fits into memory.
    #[must_use]
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        let keys = self.keys();
        let key = keys.first().expect("a file without keys is refused");
        let nonce: [u8; NONCE_LEN] = rand::rng().random();
        let mut sealed = Vec::with_capacity(HEADER + plain.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.name);
        sealed.extend_from_slice(&nonce);
        let data = associated(purpose, &sealed);
        let mut text = plain.to_vec();
        key.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(data),
                &mut text,
            )
            .expect("it fits");
        sealed.append(&mut text);
        sealed
    }

    /// Opens what was sealed for that purpose.
    ///
    /// # Errors
    ///
    /// When the key is not here, or it is something else.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (header, text) = sealed.split_at_checked(HEADER).ok_or(OpenError::Damaged)?;
        let name = name_in(header).ok_or(OpenError::Damaged)?;
        let keys = self.keys();
        let key = keys.iter().find(|key| key.name == name);
        let key = key.ok_or(OpenError::KeyUnknown(KeyName(name)))?;
        let nonce = Nonce::try_assume_unique_for_key(&header[1 + NAME..]);
        let nonce = nonce.map_err(|_| OpenError::Damaged)?;
        let mut text = Zeroizing::new(text.to_vec());
        let data = Aad::from(associated(purpose, header));
        let length = match key.key.open_in_place(nonce, data, &mut text) {
            Ok(plain) => plain.len(),
            Err(_) => return Err(OpenError::Damaged),
        };
        text.truncate(length);
        Ok(text)
    }

    /// Whether it was sealed with the key that seals now.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        let name = sealed.get(..HEADER).and_then(name_in);
        self.keys().first().map(|key| key.name) == name
    }

    /// Reads the file again, whether it looks renewed or not. Returns how many keys are in it.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load); then the keys stay in use that were.
    pub fn reload(&self) -> Result<usize, KeyRingError> {
        let keys = file::read(&self.file)?;
        let count = keys.len();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(count)
    }

    /// Puts renewed keys into use until `stop` is cancelled.
    pub fn renew(&self, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
        let renewal = Renewal {
            tried: self.first.clone(),
            ring: self.clone(),
        };
        watch(renewal, self.every, stop)
    }

    fn keys(&self) -> RwLockReadGuard<'_, Vec<Key>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

fn name_in(header: &[u8]) -> Option<[u8; NAME]> {
    let (version, rest) = header.split_first()?;
    let name = rest.first_chunk::<NAME>()?;
    (*version == VERSION).then_some(*name)
}

fn associated(purpose: &str, header: &[u8]) -> Vec<u8> {
    // A header has one length, so that no purpose looks like another one with a header.
    [header, purpose.as_bytes()].concat()
}

// === impl KeyName ===

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

// === impl Renewal ===

impl Watched for Renewal {
    fn look(&mut self) {
        let file = &self.ring.file;
        let stamp = Stamp::of([&**file]);
        if stamp == self.tried {
            return;
        }
        match self.ring.reload() {
            Ok(keys) => tracing::info!(file = %file.display(), keys, "sealing keys renewed"),
            Err(error) => {
                let error = meridian_error::chain(&error);
                tracing::error!(error, "sealing keys not renewed: the old ones stay in use");
            }
        }
        self.tried = stamp;
    }
}

impl Classify for OpenError {
    fn code(&self) -> Code {
        match self {
            Self::KeyUnknown(_) => Code::Conflict,
            Self::Damaged => Code::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const EVERY: Duration = Duration::from_secs(10);

    fn write(file: &Path, text: &str) {
        std::fs::write(file, text).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn digits(number: u8) -> String {
        format!("{number:02x}").repeat(KEY)
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_only_and_not_if_it_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        let ring = KeyRing::load_or_make(&file, EVERY).unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "a draft lies about");
        let sealed = ring.seal("one", b"hunter2");
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        assert_ne!(ring.seal("one", b"hunter2"), sealed);
        // The file is read again, not made again.
        let ring = KeyRing::load_or_make(&file, EVERY).unwrap();
        assert_eq!(*ring.open("one", &sealed).unwrap(), b"hunter2");
        assert_eq!(ring.open("two", &sealed), Err(OpenError::Damaged));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ring.open("one", &changed).is_err(), "byte {at}");
            assert!(ring.open("one", &sealed[..at]).is_err(), "{at} bytes");
        }
        assert!(!format!("{ring:?}").contains("key:"));
    }

    #[test]
    fn a_key_is_replaced_while_both_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        write(&file, &digits(1));
        let ring = KeyRing::load(&file, EVERY).unwrap();
        let mut renewal = Renewal {
            tried: ring.first.clone(),
            ring: ring.clone(),
        };
        let old = ring.seal("it", b"text");
        write(&file, &format!("{}\n{}\n", digits(2), digits(1)));
        renewal.look();
        assert!(!ring.is_current(&old));
        assert_eq!(*ring.open("it", &old).unwrap(), b"text");
        let new = ring.seal("it", b"text");
        assert!(ring.is_current(&new));
        write(&file, "no key, and the file before stays in use");
        renewal.look();
        assert!(ring.reload().is_err());
        assert_eq!(*ring.open("it", &old).unwrap(), b"text");
        write(&file, &format!("{}\n\n", digits(2).to_uppercase()));
        renewal.look();
        assert_eq!(*ring.open("it", &new).unwrap(), b"text");
        write(&file, &digits(3));
        assert_eq!(ring.reload().unwrap(), 1);
        assert!(!ring.is_current(&new));
        let gone = ring.open("it", &old).unwrap_err();
        assert!(matches!(gone, OpenError::KeyUnknown(_)), "{gone}");
    }

    #[test]
    fn what_is_no_key_is_refused_and_never_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        for (text, word) in [
            ("short", "line 1"),
            (&format!("{}\n{}0", digits(1), digits(2)), "line 2"),
            (&digits(1).replace('0', "g"), "line 1"),
            (" \n", "empty"),
            (&format!("{}\n", digits(1)).repeat(17), "more than 16"),
        ] {
            write(&file, text);
            let error = KeyRing::load(&file, EVERY).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert!(
                !error.contains("0101") && !error.contains("short"),
                "{error}"
            );
        }
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = KeyRing::load(&file, EVERY).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
