//! What only those can read who have the key.
//!
//! Owns the file of keys, and the form of what is sealed. Keeps these invariants: the file is its owner's alone;
//! what is sealed for one purpose opens for no other; the first key of the file seals, and each of them opens, so
//! that a key is replaced by writing the new one before the old one, sealing anew, and taking the old one away.
//! All regions have the same keys: what one of them sealed, the others are to open. Leaves to whoever seals what
//! the purpose is, and when to seal anew.
//!
//! ```text
//! 1 byte       8 bytes                12 bytes   n bytes      16 bytes
//! version 1    name of the key        nonce      ciphertext   tag
//! ```
//!
//! AES-256-GCM (NIST SP 800-38D); the purpose, and what stands before the ciphertext, are its associated data. A
//! nonce is random: with one key no more than 2^32 may be sealed, which is more than anybody registers.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use meridian_error::{Classify, Code};
use rand::RngExt;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::config::{ReadSecretError, read_secret};
use crate::tls::{Stamp, Watched, watch};

const VERSION: u8 = 1;
const NAME: usize = 8;
const HEADER: usize = 1 + NAME + NONCE_LEN;
const TAG: usize = 16;
const KEY: usize = 32;
/// Enough for many rotations.
const MOST: usize = 16;

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

/// A file cannot be used for keys. The message names it, and says nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// It cannot be read, or others can.
    #[error(transparent)]
    Read(#[from] ReadSecretError),
    /// What stands there is no key.
    #[error(
        "line {line} of {} is no key: it takes 64 hexadecimal digits; make one with `openssl rand -hex 32`",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which line of it.
        line: usize,
    },
    /// There are more than anybody needs.
    #[error("{} has more than {MOST} keys", path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
    },
    /// There was none, and none could be made.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
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
            keys: Arc::new(RwLock::new(read(file)?)),
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
            make(file).map_err(|source| KeyRingError::Write {
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

fn read(file: &Path) -> Result<Vec<Key>, KeyRingError> {
    let text = read_secret(file)?;
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.expose().lines()) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let path = file.to_owned();
        let key = Key::parse(line).ok_or(KeyRingError::Malformed { path, line: number })?;
        keys.push(key);
    }
    let path = file.to_owned();
    match keys.len() {
        0 => Err(ReadSecretError::Empty { path }.into()),
        1..=MOST => Ok(keys),
        _ => Err(KeyRingError::TooMany { path }),
    }
}

/// Makes a file with a new key.
fn make(file: &Path) -> std::io::Result<()> {
    let key: [u8; KEY] = rand::rng().random();
    let digits: Zeroizing<String> =
        Zeroizing::new(key.iter().map(|byte| format!("{byte:02x}")).collect());
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600);
    let draft = file.with_extension(format!("{:016x}", rand::rng().random::<u64>()));
    let mut written = options.open(&draft)?;
    writeln!(written, "{}", *digits)?;
    written.sync_all()?;
    // Whole or not at all; of two that make it at once, one does.
    let made = std::fs::hard_link(&draft, file);
    std::fs::remove_file(&draft)?;
    match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    // What is sealed with it lasts, so that it has to.
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

// === impl Key ===

impl Key {
    fn parse(digits: &str) -> Option<Self> {
        if digits.len() != 2 * KEY || !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = Zeroizing::new([0; KEY]);
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
        }
        let digest = Sha256::new()
            .chain_update("meridian name of a key")
            .chain_update(*bytes)
            .finalize();
        let key = UnboundKey::new(&AES_256_GCM, &*bytes).ok()?;
        Some(Self {
            name: *digest.first_chunk()?,
            key: LessSafeKey::new(key),
        })
    }
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
        let path = file.display();
        match read(file) {
            Ok(keys) => {
                tracing::info!(file = %path, keys = keys.len(), "sealing keys renewed");
                let held = self.ring.keys.write();
                *held.unwrap_or_else(PoisonError::into_inner) = keys;
            }
            Err(error) => {
                let error = meridian_error::chain(&error);
                tracing::error!(error, "sealing keys not renewed: the old ones stay in use");
            }
        }
        self.tried = stamp;
    }
}

impl Classify for KeyRingError {
    fn code(&self) -> Code {
        Code::InvalidArgument
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
        assert_eq!(*ring.open("it", &old).unwrap(), b"text");
        write(&file, &format!("{}\n\n", digits(2).to_uppercase()));
        renewal.look();
        assert_eq!(*ring.open("it", &new).unwrap(), b"text");
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
