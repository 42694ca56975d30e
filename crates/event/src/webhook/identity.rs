//! By what webhooks and their messages are known.

use std::fmt;
use std::str::FromStr;

use meridian_clock::Version;
use serde::{Deserialize, Serialize};

use crate::RegistryId;

/// A webhook's id is the version of its creation, as a registry's is: one that is deleted and created again
/// under its name is another one, and gets nothing that was meant for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WebhookId(Version);

/// Why a string is not the text of a webhook's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the id of a webhook reads `<millis>-<counter>-<region>`, with the numbers in hexadecimal")]
pub struct ParseWebhookIdError;

/// By what a receiver knows a message that comes again: the same over attempts, restarts and dispatchers.
/// Made by `delivery` from the event, the webhook and what is told of it; reads as a UUID of version 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId([u8; 16]);

/// Why a string is not the text of a message's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the id of a message reads as a UUID in lower case")]
pub struct ParseMessageIdError;

// === impl WebhookId ===

impl WebhookId {
    /// The id of the webhook that was created at `version`.
    #[must_use]
    pub const fn new(version: Version) -> Self {
        Self(version)
    }

    /// When, and where, it was created.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.0
    }
}

/// As that of a registry.
impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RegistryId::new(self.0).fmt(f)
    }
}

impl FromStr for WebhookId {
    type Err = ParseWebhookIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id: RegistryId = text.parse().map_err(|_| ParseWebhookIdError)?;
        Ok(Self(id.version()))
    }
}

// === impl MessageId ===

impl MessageId {
    /// The id that these bytes make: version and variant of a UUID stand where they have to.
    #[must_use]
    pub const fn new(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The id that has these bytes, if they are those of one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.try_into().ok()?;
        let id = Self::new(bytes);
        (id.0 == bytes).then_some(id)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", u128::from_be_bytes(self.0));
        let (a, b, c) = (&digits[..8], &digits[8..12], &digits[12..16]);
        write!(f, "{a}-{b}-{c}-{}-{}", &digits[16..20], &digits[20..])
    }
}

impl FromStr for MessageId {
    type Err = ParseMessageIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.replace('-', "");
        let number = u128::from_str_radix(&digits, 16).map_err(|_| ParseMessageIdError)?;
        let id = Self(number.to_be_bytes());
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(ParseMessageIdError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let id = WebhookId::new(Version {
            millis: 1_700_000_000_123,
            counter: 3,
            region: "us-east".parse().unwrap(),
        });
        assert_eq!(id.to_string(), "18bcfe5687b-3-us-east");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("1".parse::<WebhookId>(), Err(ParseWebhookIdError));

        let id = MessageId::new([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(MessageId::from_bytes(id.as_bytes()), Some(id));
        assert_eq!(MessageId::from_bytes(&[0xff; 16]), None);
        assert_eq!(MessageId::from_bytes(&id.as_bytes()[1..]), None);
        for text in [
            "",
            "ffffffffffff8fffbfffffffffffffff",
            "FFFFFFFF-FFFF-8FFF-BFFF-FFFFFFFFFFFF",
            "+fffffff-ffff-8fff-bfff-ffffffffffff",
        ] {
            assert_eq!(
                text.parse::<MessageId>(),
                Err(ParseMessageIdError),
                "{text}"
            );
        }
    }
}
