//! The file of keys: one on each line, in 64 hexadecimal digits.
//!
//! Owns what may stand in it, and how it is made. Keeps the invariant that it is its owner's alone, whole or not there.
//! Leaves to `seal.rs` what its keys are for, and when it is looked at.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use meridian_error::{Classify, Code};
use rand::RngExt;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{KEY, Key};
use crate::config::{ReadSecretError, lines, read_secret};

/// Enough for many rotations.
const MOST: usize = 16;

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
        source: io::Error,
    },
}

pub(super) fn read(file: &Path) -> Result<Vec<Key>, KeyRingError> {
    let text = read_secret(file)?;
    let mut keys = Vec::new();
    for (line, digits) in lines(&text) {
        let path = file.to_owned();
        keys.push(Key::parse(digits).ok_or(KeyRingError::Malformed { path, line })?);
    }
    let path = file.to_owned();
    match keys.len() {
        0 => Err(ReadSecretError::Empty { path }.into()),
        1..=MOST => Ok(keys),
        _ => Err(KeyRingError::TooMany { path }),
    }
}

/// Makes a file with a new key, unless it is there by then.
pub(super) fn make(file: &Path) -> io::Result<()> {
    let draft = file.with_extension(format!("{:016x}", rand::rng().random::<u64>()));
    let made = write(&draft).and_then(|()| link(&draft, file));
    // No key lies about that nobody looks after.
    let removed = match fs::remove_file(&draft) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    made.and(removed)?;
    // What is sealed with it lasts, so that it has to.
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn write(draft: &Path) -> io::Result<()> {
    let key: [u8; KEY] = rand::rng().random();
    let digits: Zeroizing<String> =
        Zeroizing::new(key.iter().map(|byte| format!("{byte:02x}")).collect());
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600);
    let mut written = options.open(draft)?;
    writeln!(written, "{}", *digits)?;
    written.sync_all()
}

/// Whole or not at all; of two that make it at once, one does.
fn link(draft: &Path, file: &Path) -> io::Result<()> {
    match fs::hard_link(draft, file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
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

// === impl KeyRingError ===

impl Classify for KeyRingError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}
