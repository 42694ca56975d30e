//! A webhook, as the engine has to know it.

use meridian_clock::Version;
use meridian_event::RegistryId;
use meridian_event::webhook::{Sealed, Webhook, WebhookId};

/// A webhook and what the metadata knows of it beside its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Which.
    pub id: WebhookId,
    /// Whose.
    pub registry: RegistryId,
    /// When it was created or last enabled. It is told of nothing older.
    pub since: Version,
    /// The definition.
    pub webhook: Webhook,
    /// Where it is called: what failed there says nothing of another one.
    pub sealed: Sealed,
    /// Since when it has seen nothing but failures, in milliseconds since the Unix epoch.
    pub failing_since: Option<u64>,
}
