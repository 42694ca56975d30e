//! What of a webhook only its receiver may know, and how it is sealed.

use meridian_chassis::seal::{KeyRing, OpenError};
use meridian_delivery::{SigningSecret, SigningSecrets};
use meridian_error::{Classify, Code};
use meridian_event::RegistryId;
use meridian_event::webhook::{Callback, CustomHeaders, Sealed, ServiceUri, WebhookName};
use serde::{Deserialize, Serialize};

/// How a webhook is called, and how its requests are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Where, and with which headers.
    pub callback: Callback,
    /// The secret that signs.
    pub secret: SigningSecret,
    /// Those before, the newest first, and until when each signs, too, in milliseconds since the Unix epoch.
    pub previous: Vec<(SigningSecret, u64)>,
}

/// How many secrets sign beside the newest, at most.
const MOST: usize = 8;

/// Why credentials cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The seal cannot be opened.
    #[error("what is sealed cannot be opened")]
    Seal(#[source] OpenError),
    /// What is in it means nothing to this version.
    #[error("what is sealed is of another version")]
    Form,
}

/// How it is written before it is sealed. Members are only added.
#[derive(Serialize, Deserialize)]
struct Form {
    uri: String,
    headers: CustomHeaders,
    secret: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    previous: Vec<(String, u64)>,
}

// === impl Credentials ===

impl Credentials {
    /// Seals it for a webhook: for another one it does not open.
    #[must_use]
    pub fn seal(&self, keys: &KeyRing, registry: RegistryId, name: &WebhookName) -> Sealed {
        let previous = self.previous.iter();
        let previous = previous.map(|(secret, until)| (secret.expose().to_owned(), *until));
        let form = Form {
            uri: self.callback.uri.expose().to_owned(),
            headers: self.callback.headers.clone(),
            secret: self.secret.expose().to_owned(),
            previous: previous.collect(),
        };
        let plain = serde_json::to_vec(&form).expect("it consists of text");
        Sealed(keys.seal(&purpose(registry, name), &plain))
    }

    /// Opens what was sealed for a webhook.
    ///
    /// # Errors
    ///
    /// When that is not possible here, or it means nothing.
    pub fn open(
        sealed: &Sealed,
        keys: &KeyRing,
        registry: RegistryId,
        name: &WebhookName,
    ) -> Result<Self, CredentialsError> {
        let plain = keys.open(&purpose(registry, name), &sealed.0);
        let plain = plain.map_err(CredentialsError::Seal)?;
        let form: Form = serde_json::from_slice(&plain).map_err(|_| CredentialsError::Form)?;
        Self::of(form).ok_or(CredentialsError::Form)
    }

    fn of(form: Form) -> Option<Self> {
        let uri: ServiceUri = form.uri.parse().ok()?;
        let previous = form.previous.into_iter();
        let previous = previous.map(|(secret, until)| Some((secret.parse().ok()?, until)));
        let previous: Option<Vec<_>> = previous.collect();
        Some(Self {
            callback: Callback {
                uri,
                headers: form.headers,
            },
            secret: form.secret.parse().ok()?,
            previous: previous?,
        })
    }

    /// The secrets that sign then.
    #[must_use]
    pub fn secrets(&self, now: u64) -> SigningSecrets {
        let previous = self.previous.iter().filter(|(_, until)| now < *until);
        SigningSecrets {
            current: self.secret.clone(),
            previous: previous.map(|(secret, _)| secret.clone()).collect(),
        }
    }

    /// Replaces the secret; the one before signs on until then, and those before as long as they would have. A
    /// receiver may know any of them: whoever made the last may never have heard which it is.
    pub fn rotate(&mut self, now: u64, until: u64) {
        let old = std::mem::replace(&mut self.secret, new_secret());
        self.previous.retain(|(_, until)| now < *until);
        self.previous.insert(0, (old, until));
        self.previous.truncate(MOST);
    }
}

/// A secret that nobody had.
#[must_use]
pub(crate) fn new_secret() -> SigningSecret {
    SigningSecret::of(&rand::random::<[u8; 32]>()).expect("32 bytes are enough")
}

fn purpose(registry: RegistryId, name: &WebhookName) -> String {
    format!("meridian webhook {registry} {}", name.as_str())
}

impl Classify for CredentialsError {
    fn code(&self) -> Code {
        match self {
            Self::Seal(error) => error.code(),
            Self::Form => Code::Unsupported,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_were_replaced_sign_on_for_their_time() {
        let first = new_secret();
        let mut credentials = Credentials {
            callback: Callback {
                uri: "https://receiver.example/".parse().unwrap(),
                headers: CustomHeaders::default(),
            },
            secret: first.clone(),
            previous: Vec::new(),
        };
        credentials.rotate(100, 200);
        let second = credentials.secret.clone();
        assert_ne!(second, first);
        assert_eq!(
            credentials.secrets(199).previous,
            std::slice::from_ref(&first)
        );
        assert!(credentials.secrets(200).previous.is_empty());
        credentials.rotate(150, 250);
        assert_eq!(credentials.secrets(160).previous, [second.clone(), first]);
        assert_eq!(credentials.secrets(210).previous, [second]);
        let third = credentials.secret.clone();
        credentials.rotate(250, 350);
        assert_eq!(credentials.previous, [(third, 350)]);
        for _ in 0..2 * MOST {
            credentials.rotate(300, 400);
        }
        assert_eq!(credentials.previous.len(), MOST);
    }
}
