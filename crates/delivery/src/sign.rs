//! How a receiver knows who called it: the signatures of a request.
//!
//! Owns secrets, as Standard Webhooks writes them, and both signatures that are made of them: that of
//! Standard Webhooks, with each secret that is in force, and `X-Signature`, of which a receiver takes one, so
//! that it is made with the newest. Neither is secret: nothing here needs constant time.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use meridian_error::{Classify, Code};
use meridian_event::webhook::MessageId;
use meridian_secret::Secret;
use sha2::Sha256;

/// A secret: `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Secret);

/// Why a string is not a secret. Repeats nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret reads `whsec_` and 24 to 64 bytes in base64")]
pub struct ParseSigningSecretError;

/// The secrets of a webhook that are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningSecrets {
    /// The newest.
    pub current: SigningSecret,
    /// Those before, while receivers change over.
    pub previous: Vec<SigningSecret>,
}

/// By which a text is seen to be a secret.
const PREFIX: &str = "whsec_";

// === impl SigningSecret ===

impl SigningSecret {
    /// How many bytes a secret may have.
    pub const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

    /// The secret of these bytes, which have to be random.
    ///
    /// # Errors
    ///
    /// If there are fewer or more than [`Self::BYTES`].
    pub fn of(bytes: &[u8]) -> Result<Self, ParseSigningSecretError> {
        if Self::BYTES.contains(&bytes.len()) {
            let text = format!("{PREFIX}{}", STANDARD.encode(bytes));
            Ok(Self(Secret::new(text)))
        } else {
            Err(ParseSigningSecretError)
        }
    }

    /// The text, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    fn key(&self) -> Vec<u8> {
        decode(self.expose()).expect("its text was checked when it was made")
    }
}

impl FromStr for SigningSecret {
    type Err = ParseSigningSecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = decode(text).ok_or(ParseSigningSecretError)?;
        Self::of(&bytes)
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Classify for ParseSigningSecretError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

// === impl SigningSecrets ===

impl SigningSecrets {
    /// The headers by which a receiver knows a message, when it was sent, and by whom.
    #[must_use]
    pub fn headers(&self, id: MessageId, now: u64, body: &[u8]) -> Vec<(&'static str, String)> {
        let seconds = now / 1_000;
        let prefix = format!("{id}.{seconds}.");
        let all = std::iter::once(&self.current).chain(&self.previous);
        let signatures: Vec<_> = all
            .map(|secret| hmac(&secret.key(), &[prefix.as_bytes(), body]))
            .map(|mac| format!("v1,{}", STANDARD.encode(mac)))
            .collect();
        // Receivers of this one, such as Flux, take the whole text for the key.
        let plain = hmac(self.current.expose().as_bytes(), &[body]);
        let digits: String = plain.iter().map(|byte| format!("{byte:02x}")).collect();
        vec![
            ("webhook-id", id.to_string()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signatures.join(" ")),
            ("x-signature", format!("sha256={digits}")),
        ]
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.strip_prefix(PREFIX)?).ok()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_one_text_and_does_not_show() {
        for length in [24, 64] {
            let secret = SigningSecret::of(&vec![7; length]).unwrap();
            assert_eq!(secret.expose().parse(), Ok(secret.clone()));
            assert!(!format!("{secret:?}").contains("Bw"));
        }
        for length in [0, 23, 65] {
            assert!(SigningSecret::of(&vec![7; length]).is_err());
        }
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        for text in ["", "whsec_", "whsec_*", "Bwc=", short.as_str()] {
            assert_eq!(text.parse::<SigningSecret>(), Err(ParseSigningSecretError));
        }
    }

    /// Computed with the `hmac` of Python's standard library.
    #[test]
    fn a_known_request_has_its_known_signatures() {
        let secrets = SigningSecrets {
            current: SigningSecret::of(&[1; 24]).unwrap(),
            previous: vec![SigningSecret::of(&[2; 64]).unwrap()],
        };
        let headers = secrets.headers(MessageId::new([0; 16]), 1_700_000_000_999, b"{}");
        assert_eq!(
            headers,
            [
                ("webhook-id", "00000000-0000-8000-8000-000000000000".to_owned()),
                ("webhook-timestamp", "1700000000".to_owned()),
                ("webhook-signature", "v1,S4I0XEr4wMc2khKG/nc7H+1DtzMNxpzmtkm+PztQj+k= v1,e63ot9NoPmQRkjBBRIK+8EngUNoZfTKjdJKI7j4RQYA=".to_owned()),
                ("x-signature", "sha256=2e5af133eae3d8c1def726e66da5918f4d201d5c05cc11cfe24b49c2c2a46e72".to_owned()),
            ]
        );
    }
}
