//! Text that must not be seen.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, Stat};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// No secret of ours is longer; a longer file is the wrong file.
const MAX_FILE: u64 = 64 * 1024;

/// A password or a key. It prints, also as part of a whole configuration, as `***`, and its
/// memory is wiped when it is dropped. One that is not set shows that it is not, so that printed
/// settings without secrets can be read back.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// A file cannot be used as a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadSecretError {
    #[error("cannot read {0}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} may be read by others than its owner (mode {mode:03o}); run `chmod 600 {0}`", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{0} is larger than {MAX_FILE} bytes: not a secret", path.display())]
    TooLarge { path: PathBuf },
    #[error("{0} is empty", path.display())]
    Empty { path: PathBuf },
}

// === impl Secret ===

impl Secret {
    /// Makes a secret of text that is already in memory.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_set = !self.0.is_empty();
        serializer.serialize_str(if is_set { "***" } else { "" })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_string(SecretVisitor)
    }
}

/// Answers every wrong type without repeating the value, which serde's own messages would.
struct SecretVisitor;

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_bool<E: de::Error>(self, _value: bool) -> Result<Secret, E> {
        Err(unquoted())
    }

    fn visit_i64<E: de::Error>(self, _value: i64) -> Result<Secret, E> {
        Err(unquoted())
    }

    fn visit_i128<E: de::Error>(self, _value: i128) -> Result<Secret, E> {
        Err(unquoted())
    }

    fn visit_u64<E: de::Error>(self, _value: u64) -> Result<Secret, E> {
        Err(unquoted())
    }

    fn visit_u128<E: de::Error>(self, _value: u128) -> Result<Secret, E> {
        Err(unquoted())
    }

    fn visit_f64<E: de::Error>(self, _value: f64) -> Result<Secret, E> {
        Err(unquoted())
    }
}

fn unquoted<E: de::Error>() -> E {
    E::custom("a secret is text; put it in quotes")
}

/// Reads a secret from a file that only its owner may read, without the line end that editors
/// leave.
pub(super) fn read(path: &Path) -> Result<String, ReadSecretError> {
    let unreadable = |source| ReadSecretError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let stat = rustix::fs::fstat(&file).map_err(|errno| unreadable(errno.into()))?;
    if let Some(mode) = exposed(&stat, rustix::process::geteuid().is_root()) {
        return Err(ReadSecretError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
    let read = read.map_err(unreadable)? as u64;
    if read > MAX_FILE {
        return Err(ReadSecretError::TooLarge {
            path: path.to_owned(),
        });
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    if text.is_empty() {
        return Err(ReadSecretError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(text)
}

/// The mode of a file that too many may read. A file of root's that its group may read is how
/// Kubernetes hands a secret to a process that is not root, which could not read it otherwise.
fn exposed(stat: &Stat, we_are_root: bool) -> Option<u32> {
    let mode = Mode::from_raw_mode(stat.st_mode);
    let handed_over = stat.st_uid == 0 && !we_are_root;
    let forbidden = if handed_over {
        Mode::RWXO | Mode::WGRP
    } else {
        Mode::RWXO | Mode::RWXG
    };
    mode.intersects(forbidden)
        .then_some(mode.as_raw_mode() & 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(mode: u32, uid: u32) -> Stat {
        let file = tempfile::tempfile().unwrap();
        let mut stat = rustix::fs::fstat(&file).unwrap();
        (stat.st_mode, stat.st_uid) = (mode, uid);
        stat
    }

    #[test]
    fn a_secret_never_shows() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""***""#);
        let unset = Secret::new("");
        assert_eq!(serde_json::to_string(&unset).unwrap(), r#""""#);
    }

    #[test]
    fn who_may_read_a_secret_file_is_its_owner() {
        for (mode, uid, root, ok) in [
            (0o600, 1000, false, true),
            (0o400, 1000, false, true),
            (0o640, 1000, false, false),
            (0o604, 1000, false, false),
            (0o440, 0, false, true),
            (0o444, 0, false, false),
            (0o460, 0, false, false),
            (0o440, 0, true, false),
        ] {
            assert_eq!(exposed(&stat(mode, uid), root).is_none(), ok, "{mode:o}");
        }
    }
}
