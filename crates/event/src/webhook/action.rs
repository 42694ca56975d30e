//! What a webhook can be told of.

use std::fmt;
use std::str::FromStr;

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};

/// What a webhook can be told of: the five of ACR, then Meridian's. New ones go last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A manifest was put, and can be served where the webhook belongs.
    Push,
    /// A manifest, or a repository as a whole, was deleted.
    Delete,
    /// A manifest was put into quarantine.
    Quarantine,
    /// A chart was put by the API of Helm 2.
    ChartPush,
    /// A chart was deleted by the API of Helm 2.
    ChartDelete,
    /// A tag was deleted; what it pointed at is still there.
    Untag,
    /// A region can serve what another region's push put.
    Replicated,
    /// All regions can serve what a push put.
    ReplicatedAll,
    /// A region cannot get what another one's push put.
    ReplicationFailed,
    /// A webhook was disabled because its receiver failed.
    WebhookDisabled,
}

/// Why a string is not an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an action is one of push, delete, quarantine, chart_push, chart_delete, untag, replicated, \
     replicated_all, replication_failed and webhook_disabled"
)]
pub struct ParseActionError;

// === impl Action ===

impl Action {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Push,
        Self::Delete,
        Self::Quarantine,
        Self::ChartPush,
        Self::ChartDelete,
        Self::Untag,
        Self::Replicated,
        Self::ReplicatedAll,
        Self::ReplicationFailed,
        Self::WebhookDisabled,
    ];

    /// What it is called in definitions and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Quarantine => "quarantine",
            Self::ChartPush => "chart_push",
            Self::ChartDelete => "chart_delete",
            Self::Untag => "untag",
            Self::Replicated => "replicated",
            Self::ReplicatedAll => "replicated_all",
            Self::ReplicationFailed => "replication_failed",
            Self::WebhookDisabled => "webhook_disabled",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Action {
    type Err = ParseActionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == text);
        found.ok_or(ParseActionError)
    }
}

impl Classify for ParseActionError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_is_what_serde_writes() {
        for action in Action::ALL {
            assert_eq!(action.to_string().parse(), Ok(action));
            let json = serde_json::to_string(&action).unwrap();
            assert_eq!(json, format!("\"{action}\""));
        }
        assert_eq!("pull".parse::<Action>(), Err(ParseActionError));
    }
}
