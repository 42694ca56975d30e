//! Webhooks, and what their dispatcher says.

use meridian_clock::Version;
use meridian_event::webhook::{DisableReason, MessageId, Record, Sealed, Webhook, WebhookId};
use meridian_oci::RegistryName;
use serde::{Deserialize, Serialize};

/// A webhook to create or change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewWebhook {
    /// In which registry.
    pub registry: RegistryName,
    /// The definition.
    pub webhook: Webhook,
    /// Its callback and its secrets.
    pub sealed: Sealed,
    /// The version that it replaces; nothing, to create one.
    pub expected: Option<Version>,
    /// How many the registry may have.
    pub most: u32,
}

/// What a dispatcher says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deliver {
    /// It works on a shard from now on.
    Take {
        /// Which.
        shard: u16,
    },
    /// How far it is.
    Record(Box<Record>),
    /// A webhook's receiver failed for good.
    Disable {
        /// Which.
        webhook: WebhookId,
        /// When it was created or last enabled.
        since: Version,
        /// Why.
        reason: DisableReason,
    },
    /// What was to be kept until then may go.
    Prune {
        /// Of which shard.
        shard: u16,
        /// In milliseconds since the Unix epoch.
        until: u64,
    },
    /// What was not delivered is to be attempted again.
    Retry {
        /// Of which webhook.
        webhook: WebhookId,
        /// Which, by shard.
        messages: Vec<(u16, MessageId)>,
        /// When, in milliseconds since the Unix epoch.
        due: u64,
    },
}
