//! The tokens of operators.
//!
//! Owns their file, and the one question that is asked of them. Keeps three invariants: the file is
//! its owner's alone; in memory there are digests, of which nobody can make a token; and how long an
//! answer takes says nothing of how much of a token was right, nor of which. A renewal that cannot be
//! used is reported, and the tokens in use stay. Leaves to whoever asks what a stranger is told.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use meridian_error::{Classify, Code};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio_util::sync::CancellationToken;

use crate::config::{ReadSecretError, lines, read_secret};
use crate::tls::{Stamp, Watched, watch};

/// A shorter token could be guessed.
pub const SHORTEST: usize = 32;
/// No request needs a longer one.
const LONGEST: usize = 1024;
/// Enough for a rotation of many operators.
const MOST: usize = 64;

/// The tokens in use. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Tokens {
    current: Arc<Current>,
    file: PathBuf,
    every: Duration,
}

struct Current {
    digests: RwLock<Vec<[u8; 32]>>,
    first: Stamp,
}

/// A file cannot be used for tokens. The message names it, and says nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read, or others can.
    #[error(transparent)]
    Read(#[from] ReadSecretError),
    /// A token could be guessed, or is none.
    #[error(
        "line {line} of {0} is no token: it takes {SHORTEST} to {LONGEST} characters of A-Z a-z 0-9 \
         - . _ ~ + / =; make one with `openssl rand -hex 32`", path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which line of it.
        line: usize,
    },
    /// There are more than anybody needs.
    #[error("{0} has more than {MOST} tokens", path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
    },
}

/// Watches the file.
struct Renewal {
    tokens: Tokens,
    tried: Stamp,
}

// === impl Tokens ===

impl Tokens {
    /// Reads the tokens of a file, one on each line. Each may be used; a token is replaced by adding
    /// the new one, and taking the old one away when nobody uses it any more. The file is looked at
    /// `every` so often.
    ///
    /// # Errors
    ///
    /// When others than its owner may read it, or what is in it could be guessed.
    pub fn load(file: &Path, every: Duration) -> Result<Self, TokenError> {
        let first = Stamp::of([file]);
        let digests = RwLock::new(digests(file)?);
        Ok(Self {
            current: Arc::new(Current { digests, first }),
            file: file.to_owned(),
            every,
        })
    }

    /// Whether `token` is one of them.
    #[must_use]
    pub fn admit(&self, token: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let digests = self.current.digests.read();
        let digests = digests.unwrap_or_else(PoisonError::into_inner);
        // All are looked at, whichever fits.
        let matches = digests.iter().map(|known| known.ct_eq(&digest));
        matches.fold(Choice::from(0), |any, this| any | this).into()
    }

    /// Puts renewed tokens into use until `stop` is cancelled.
    pub fn renew(&self, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
        let renewal = Renewal {
            tried: self.current.first.clone(),
            tokens: self.clone(),
        };
        watch(renewal, self.every, stop)
    }

    fn replace(&self, digests: Vec<[u8; 32]>) {
        let current = self.current.digests.write();
        *current.unwrap_or_else(PoisonError::into_inner) = digests;
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

fn digests(file: &Path) -> Result<Vec<[u8; 32]>, TokenError> {
    let text = read_secret(file)?;
    let mut digests = Vec::new();
    for (line, token) in lines(&text) {
        if !is_token(token) {
            let path = file.to_owned();
            return Err(TokenError::Malformed { path, line });
        }
        digests.push(Sha256::digest(token).into());
    }
    let path = || file.to_owned();
    match digests.len() {
        0 => Err(ReadSecretError::Empty { path: path() }.into()),
        1..=MOST => Ok(digests),
        _ => Err(TokenError::TooMany { path: path() }),
    }
}

/// What RFC 6750 lets a request carry, and of a length that cannot be guessed.
fn is_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    (SHORTEST..=LONGEST).contains(&text.len()) && text.bytes().all(is_allowed)
}

// === impl Renewal ===

impl Watched for Renewal {
    fn look(&mut self) {
        let file = &self.tokens.file;
        let stamp = Stamp::of([&**file]);
        if stamp == self.tried {
            return;
        }
        let path = file.display();
        match digests(file) {
            Ok(digests) => {
                let tokens = digests.len();
                self.tokens.replace(digests);
                // Whoever reads it may use them.
                tracing::info!(file = %path, tokens, "operator tokens renewed");
            }
            Err(error) => {
                let error = meridian_error::chain(&error);
                tracing::error!(
                    error,
                    "operator tokens not renewed: the old ones stay in use"
                );
            }
        }
        self.tried = stamp;
    }
}

// === impl TokenError ===

impl Classify for TokenError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210";

    fn write(file: &Path, text: &str) {
        std::fs::write(file, text).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn load(text: &str) -> Result<Tokens, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        write(&file, text);
        let tokens = Tokens::load(&file, Duration::from_secs(10));
        tokens.map_err(|error| error.to_string())
    }

    #[test]
    fn each_line_is_a_token_and_nothing_else_is() {
        let tokens = load(&format!("{ONE}\n\n  {OTHER}\r\n")).unwrap();
        assert!(tokens.admit(ONE.as_bytes()) && tokens.admit(OTHER.as_bytes()));
        let both = format!("{ONE}\n{OTHER}");
        for text in [
            "",
            "0",
            &ONE[1..],
            &format!("{ONE}0"),
            &ONE.to_uppercase(),
            &both,
        ] {
            assert!(!tokens.admit(text.as_bytes()), "{text}");
        }
        assert!(!format!("{tokens:?}").contains("0123"));
    }

    #[test]
    fn what_could_be_guessed_is_refused_and_never_repeated() {
        for (text, word) in [
            ("short", "line 1"),
            (&format!("{ONE}\n{ONE} with words"), "line 2"),
            (&"x".repeat(1025), "line 1"),
            ("\n \n", "empty"),
            (&format!("{ONE}\n").repeat(65), "more than 64"),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(word), "{error}");
            assert!(
                !error.contains("short") && !error.contains("with words"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        let load = || {
            Tokens::load(&file, Duration::from_secs(10))
                .unwrap_err()
                .to_string()
        };
        assert!(load().contains("cannot read"));
        std::fs::write(&file, ONE).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load().contains("chmod 600"));
    }

    #[test]
    fn a_renewal_takes_the_place_of_the_old_tokens_unless_it_cannot_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        write(&file, ONE);
        let tokens = Tokens::load(&file, Duration::from_secs(10)).unwrap();
        let mut renewal = Renewal {
            tokens: tokens.clone(),
            tried: tokens.current.first.clone(),
        };
        write(&file, "too short");
        renewal.look();
        assert!(tokens.admit(ONE.as_bytes()));
        write(&file, &format!("{OTHER}\n"));
        renewal.look();
        assert!(tokens.admit(OTHER.as_bytes()) && !tokens.admit(ONE.as_bytes()));
    }
}
