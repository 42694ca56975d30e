//! A webhook as regions tell each other of it.

use std::fmt;

use meridian_clock::Version;
use serde::{Deserialize, Serialize};

use super::{DisableReason, Webhook, WebhookId};
use crate::RegistryId;

/// A webhook that exists: the value of its cell, in which the highest version wins, in all regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Which of those that bore its name.
    pub id: WebhookId,
    /// When it was created or last enabled. It is told of nothing older.
    pub since: Version,
    /// The definition.
    pub webhook: Webhook,
    /// Its [`Callback`](super::Callback) and its signing secrets.
    pub sealed: Sealed,
    /// That it was disabled because its receiver failed.
    pub disabled: Option<Disabled>,
}

/// A webhook, and what is known of it in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWebhook {
    /// Whose.
    pub registry: RegistryId,
    /// When it was changed last.
    pub version: Version,
    /// What it is.
    pub registration: Registration,
    /// Since when it has seen nothing but failures there, in milliseconds since the Unix epoch.
    pub failing_since: Option<u64>,
}

/// That a webhook was disabled, though nobody asked for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// The version of the mutation that disabled it.
    pub at: Version,
    /// Why.
    pub reason: DisableReason,
}

/// What only those can read who have the key. It is not a secret, and does not show nevertheless.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sealed(pub Vec<u8>);

// === impl Sealed ===

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}
