//! What the metadata keep of delivery: how far each shard is told, and what is still to be told again.
//!
//! All of it is the region's own, in which the dispatcher works.

use serde::{Deserialize, Serialize};

use super::{MessageId, Place, Undelivered, WebhookId};

/// A shard that this dispatcher is to work on, as the metadata has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Grows with each assignment of the shard.
    pub generation: u64,
    /// The cursor. Events are offered from its successor on.
    pub cursor: Place,
    /// The cursors of webhooks that are behind it.
    pub lanes: Vec<(WebhookId, Place)>,
    /// Of webhooks that have something due again, when the first of it is.
    pub due: Vec<(WebhookId, u64)>,
}

/// Progress in a shard. A state that knows a later generation of its assignment refuses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of which shard.
    pub shard: u16,
    /// The generation of its assignment.
    pub generation: u64,
    /// Which of its generation it is, from 1: one that comes again, or late, changes nothing.
    pub number: u64,
    /// What is up to there is settled for all webhooks that have no cursor of their own.
    pub cursor: Place,
    /// Cursors of webhooks; those without a place have none any more.
    pub lanes: Vec<(WebhookId, Option<Place>)>,
    /// What was not delivered, or was in the end.
    pub rows: Vec<Change>,
    /// Since when webhooks see nothing but failures, or that they do not any more.
    pub failing: Vec<(WebhookId, Option<u64>)>,
}

/// A change of what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Keep it, in the place of an older state of it.
    Put(Box<Undelivered>),
    /// It was delivered.
    Remove {
        /// To which webhook.
        webhook: WebhookId,
        /// What.
        message: MessageId,
    },
}

/// Why a webhook is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DisableReason {
    /// The receiver said that it is gone.
    Gone,
    /// It has seen nothing but failures for too long.
    Failing {
        /// Since then.
        since: u64,
    },
}

/// Some of what is due again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DuePage {
    /// In the order in which it is due.
    pub rows: Vec<Undelivered>,
    /// When the first is due that is not among them.
    pub next: Option<u64>,
}
