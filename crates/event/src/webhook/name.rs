//! The name of a webhook.

use std::fmt;
use std::str::FromStr;

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};

/// 5 to 50 letters and digits, as in ACR.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookName(Box<str>);

/// Why a string is not the name of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook is named by 5 to 50 letters and digits, such as `deploys1`")]
pub struct ParseWebhookNameError;

// === impl WebhookName ===

impl WebhookName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebhookName {
    type Err = ParseWebhookNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_plain && (5..=50).contains(&text.len()) {
            Ok(Self(text.into()))
        } else {
            Err(ParseWebhookNameError)
        }
    }
}

impl TryFrom<String> for WebhookName {
    type Error = ParseWebhookNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<WebhookName> for String {
    fn from(name: WebhookName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for WebhookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Classify for ParseWebhookNameError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_of_some_length() {
        for name in ["abcde", "Deploys2", &"a".repeat(50)] {
            assert_eq!(name.parse::<WebhookName>().unwrap().to_string(), name);
        }
        for name in [
            "",
            "abcd",
            "ab-cd",
            "ab cd",
            "ab\ncd",
            "ünter",
            &"a".repeat(51),
        ] {
            assert_eq!(name.parse::<WebhookName>(), Err(ParseWebhookNameError));
        }
    }
}
