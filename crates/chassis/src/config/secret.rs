//! Secrets in files.
//!
//! Owns who may read such a file: its owner alone. The type is `meridian_secret::Secret`.

use std::io::Read;
use std::path::{Path, PathBuf};

use meridian_secret::Secret;
use rustix::fs::{Mode, Stat};

/// No secret of ours is longer; a longer file is the wrong file.
const MAX_FILE: u64 = 64 * 1024;

/// A file cannot be used as a secret.
#[derive(Debug, thiserror::Error)]
pub enum ReadSecretError {
    /// The system says no, or it is no text.
    #[error("cannot read {0}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no secret.
    #[error("{0} may be read by others than its owner (mode {mode:03o}); run `chmod 600 {0}`", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is another file.
    #[error("{0} is larger than {MAX_FILE} bytes: not a secret", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is in it.
    #[error("{0} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a secret whose file is looked at beyond the start, such as one that is renewed.
///
/// # Errors
///
/// When others than its owner may read it, or it holds no text.
pub fn read_secret(path: &Path) -> Result<Secret, ReadSecretError> {
    read(path).map(Secret::new)
}

/// The lines of a secret file that say something, without the blanks around them, and which line each is.
pub(crate) fn lines(text: &Secret) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.expose().lines().map(str::trim));
    lines.filter(|(_, line)| !line.is_empty())
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
