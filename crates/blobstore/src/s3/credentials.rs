//! Who the store believes to talk to.
//!
//! Owns the file of credentials: it is looked at again, at most once a second, and read again when it
//! changed, so that rotated credentials are used without a restart. Keeps the invariant that neither
//! a secret nor a line of the file is ever part of an error or a log. What cannot be read while it
//! is being replaced leaves the former credentials in use.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

use super::S3Config;

/// The file is looked at no more often.
const LOOK: Duration = Duration::from_secs(1);

/// No such file of ours is longer; a longer file is the wrong file.
const MAX_FILE: u64 = 64 * 1024;

/// The section of the file that is used.
const SECTION: &str = "default";

/// Credentials from a file that may change.
struct FromFile {
    path: PathBuf,
    last: Mutex<Option<Last>>,
}

/// What was read last.
struct Last {
    looked: Instant,
    stamp: Stamp,
    credentials: Credentials,
}

/// By what a file is told from what it was.
#[derive(PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len: u64,
    changed: (i64, i64),
}

/// Why a file gives no credentials.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialsFileError {
    #[error("cannot read {0}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} may be read by every user (mode {mode:03o}); run `chmod 600 {0}`", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} is larger than {MAX_FILE} bytes: not a file of credentials", .0.display())]
    TooLarge(PathBuf),
    #[error(
        "{} has no `aws_access_key_id` and `aws_secret_access_key` in a section [{SECTION}]",
        .0.display()
    )]
    Incomplete(PathBuf),
}

/// The source of credentials that the settings name. A file is read once, to find what is wrong.
pub(super) fn provider(
    config: &S3Config,
) -> Result<SharedCredentialsProvider, CredentialsFileError> {
    if let Some(path) = &config.credentials_file {
        let file = FromFile {
            path: path.clone(),
            last: Mutex::default(),
        };
        file.current()?;
        return Ok(SharedCredentialsProvider::new(file));
    }
    let token = config.session_token.expose();
    Ok(SharedCredentialsProvider::new(credentials(
        &config.access_key_id,
        config.secret_access_key.expose(),
        Some(token).filter(|token| !token.is_empty()),
    )))
}

fn credentials(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    Credentials::new(id, secret, token.map(str::to_owned), None, "settings")
}

// === impl FromFile ===

impl FromFile {
    /// The credentials in use now.
    fn current(&self) -> Result<Credentials, CredentialsFileError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(last) = &*last
            && now.duration_since(last.looked) < LOOK
        {
            return Ok(last.credentials.clone());
        }
        let found = self.look(last.as_ref());
        match (found, &mut *last) {
            (Ok(None), Some(last)) => last.looked = now,
            (Ok(Some((stamp, credentials))), last) => {
                if last.is_some() {
                    tracing::info!(path = %self.path.display(), "new credentials are in use");
                }
                *last = Some(Last {
                    looked: now,
                    stamp,
                    credentials,
                });
            }
            (Err(error), Some(last)) => {
                let error = meridian_error::chain(&error);
                tracing::warn!(error, "the former credentials stay in use");
                last.looked = now;
            }
            (Err(error), None) => return Err(error),
            (Ok(None), None) => {}
        }
        let last = last.as_ref().map(|last| last.credentials.clone());
        last.ok_or_else(|| CredentialsFileError::Incomplete(self.path.clone()))
    }

    /// What is in the file, if it is not what was read `last`. A small file that lies in memory:
    /// reading it does not wait.
    fn look(
        &self,
        last: Option<&Last>,
    ) -> Result<Option<(Stamp, Credentials)>, CredentialsFileError> {
        let path = &self.path;
        let unreadable = |source| CredentialsFileError::Unreadable {
            path: path.clone(),
            source,
        };
        let found = fs::metadata(path).map_err(unreadable)?;
        let stamp = Stamp::of(&found);
        if last.is_some_and(|last| last.stamp == stamp) {
            return Ok(None);
        }
        if found.mode() & 0o007 != 0 {
            let mode = found.mode() & 0o777;
            let path = path.clone();
            return Err(CredentialsFileError::Exposed { path, mode });
        }
        if found.len() > MAX_FILE {
            return Err(CredentialsFileError::TooLarge(path.clone()));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Ok(Some((stamp, parse(path, &text)?)))
    }
}

impl ProvideCredentials for FromFile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let current = self.current();
        future::ProvideCredentials::ready(current.map_err(CredentialsError::provider_error))
    }
}

impl fmt::Debug for FromFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromFile").field(&self.path).finish()
    }
}

// === impl Stamp ===

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            inode: found.ino(),
            len: found.len(),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// Reads the form of `~/.aws/credentials`. What stands before the first section counts, too.
fn parse(path: &Path, text: &str) -> Result<Credentials, CredentialsFileError> {
    let (mut id, mut secret, mut token) = (None, None, None);
    let mut is_ours = true;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            is_ours = name.trim() == SECTION;
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_ours) {
            let value = Some(value.trim()).filter(|value| !value.is_empty());
            match name.trim() {
                "aws_access_key_id" => id = value,
                "aws_secret_access_key" => secret = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
    }
    match id.zip(secret) {
        Some((id, secret)) => Ok(credentials(id, secret, token)),
        None => Err(CredentialsFileError::Incomplete(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write(path: &Path, text: &str, mode: u32) {
        let draft = path.with_extension("draft");
        fs::write(&draft, text).unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(&draft, path).unwrap();
    }

    fn file(path: &Path) -> FromFile {
        FromFile {
            path: path.to_owned(),
            last: Mutex::default(),
        }
    }

    /// As if a second had passed.
    fn forget(file: &FromFile) {
        if let Some(last) = &mut *file.last.lock().unwrap() {
            last.looked = Instant::now().checked_sub(LOOK).unwrap();
        }
    }

    const ONE: &str = "# ours\n[default]\naws_access_key_id = one\naws_secret_access_key=hunter2\n\
                       [other]\naws_access_key_id = none\n";

    #[test]
    fn credentials_are_read_again_when_they_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        write(&path, ONE, 0o600);
        let file = file(&path);
        let first = file.current().unwrap();
        assert_eq!(first.access_key_id(), "one");
        assert_eq!(first.secret_access_key(), "hunter2");
        write(&path, &ONE.replace("one", "two"), 0o600);
        assert_eq!(file.current().unwrap().access_key_id(), "one");
        forget(&file);
        assert_eq!(file.current().unwrap().access_key_id(), "two");
        // What is broken, or away for a moment, leaves the former ones in use.
        write(&path, "[default]\n", 0o600);
        forget(&file);
        assert_eq!(file.current().unwrap().access_key_id(), "two");
        fs::remove_file(&path).unwrap();
        forget(&file);
        assert_eq!(file.current().unwrap().access_key_id(), "two");
    }

    #[test]
    fn a_file_that_is_no_good_is_told_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        for (text, mode, word) in [
            (ONE, 0o644, "chmod 600"),
            (
                "[default]\naws_secret_access_key = hunter2\n",
                0o600,
                "aws_access_key_id",
            ),
            (
                "[other]\naws_access_key_id = a\naws_secret_access_key = hunter2",
                0o600,
                "[default]",
            ),
            ("", 0o600, "aws_access_key_id"),
        ] {
            write(&path, text, mode);
            let error = meridian_error::chain(&file(&path).current().unwrap_err());
            assert!(error.contains(word), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let missing = file(&folder.path().join("none")).current().unwrap_err();
        assert!(meridian_error::chain(&missing).contains("cannot read"));
    }
}
