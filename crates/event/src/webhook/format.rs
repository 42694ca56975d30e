//! In which form a webhook is called.

use std::fmt;
use std::str::FromStr;

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};

/// The form of the requests. How each looks is in `delivery`; new ones go last.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// That of Azure Container Registry.
    #[default]
    Acr,
    /// The notification envelope of Docker distribution.
    Docker,
    /// `CloudEvents` 1.0, the whole event in the body.
    #[serde(rename = "cloudevents-structured")]
    CloudEventsStructured,
    /// `CloudEvents` 1.0, its attributes in headers.
    #[serde(rename = "cloudevents-binary")]
    CloudEventsBinary,
}

/// Why a string is not a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a format is one of acr, docker, cloudevents-structured and cloudevents-binary")]
pub struct ParseFormatError;

// === impl Format ===

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Acr,
        Self::Docker,
        Self::CloudEventsStructured,
        Self::CloudEventsBinary,
    ];

    /// What it is called in definitions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acr => "acr",
            Self::Docker => "docker",
            Self::CloudEventsStructured => "cloudevents-structured",
            Self::CloudEventsBinary => "cloudevents-binary",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = ParseFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == text);
        found.ok_or(ParseFormatError)
    }
}

impl Classify for ParseFormatError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_is_what_serde_writes() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
            let json = serde_json::to_string(&format).unwrap();
            assert_eq!(json, format!("\"{format}\""));
        }
        assert_eq!("ACR".parse::<Format>(), Err(ParseFormatError));
    }
}
