//! Webhooks, and how far each is told.
//!
//! A definition is a register that all regions share: the highest version wins, and a deletion is a value, too.
//! The rest is this region's own.

use meridian_clock::Version;
use meridian_event::RegistryId;
use meridian_event::webhook::{Place, Registration, WebhookName};
use serde::{Deserialize, Serialize};

/// What a name stands for among the webhooks of a registry. It is kept for ever, as a repository's cell is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WebhookCell {
    pub(crate) version: Version,
    pub(crate) registration: Option<Registration>,
}

/// Under which name a webhook is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whereabouts {
    pub(crate) registry: RegistryId,
    pub(crate) name: WebhookName,
}

/// When a webhook was created, changed or deleted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changed {
    pub(crate) version: Version,
}

/// Up to where the events of a shard are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Grows with each dispatcher that takes the shard over.
    pub(crate) generation: u64,
    /// How many records of it were kept.
    pub(crate) number: u64,
    /// What is up to there is settled for all webhooks that have no cursor of their own.
    pub(crate) cursor: Place,
}

/// Up to where one webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lane {
    pub(crate) settled: Place,
}

/// Since when a webhook has seen nothing but failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failing {
    /// In milliseconds since the Unix epoch.
    pub(crate) since: u64,
}
