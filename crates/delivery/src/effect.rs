//! What the shell is to do, and what it answers.
//!
//! Each question is to be answered once, whatever becomes of it, within a deadline that the shell sets: the
//! engine waits for the answer. Moments are milliseconds since the Unix epoch, as the shell's clock has them.

use std::sync::Arc;

use meridian_event::Envelope;
use meridian_event::webhook::{Message, MessageId, Place, Undelivered, WebhookId};

use crate::Subscription;

/// Something that the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Call a receiver. Answer: [`attempted`](crate::Dispatcher::attempted).
    Attempt(Attempt),
    /// Put progress into the metadata, all of it in one entry.
    /// Answer: [`recorded`](crate::Dispatcher::recorded).
    Record(Arc<Record>),
    /// Read on in the log, for a webhook that fell behind. Answer: [`log`](crate::Dispatcher::log).
    Log {
        /// By which the answer is told.
        ticket: u64,
        /// For which webhook.
        webhook: WebhookId,
        /// Which shard.
        shard: u16,
        /// Behind which place. One without a `seq` is the beginning of its epoch.
        after: Place,
        /// How many events at most.
        limit: usize,
    },
    /// Read from the metadata what of a webhook and a shard is due again, the earliest first.
    /// Answer: [`due`](crate::Dispatcher::due).
    Due {
        /// By which the answer is told.
        ticket: u64,
        /// Of which webhook.
        webhook: WebhookId,
        /// Of which shard.
        shard: u16,
        /// Due until then.
        until: u64,
        /// How many at most.
        limit: usize,
    },
    /// Put into the metadata that a webhook is disabled, unless it had success elsewhere.
    /// Answer: [`disabled`](crate::Dispatcher::disabled).
    Disable {
        /// Which.
        webhook: WebhookId,
        /// Why.
        reason: DisableReason,
    },
    /// Drop from the metadata what was to be kept until then at most. No answer.
    Prune {
        /// Of which shard.
        shard: u16,
        /// Until when.
        until: u64,
    },
}

/// A call of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// By which the answer is told.
    pub ticket: u64,
    /// Whom to call.
    pub to: Arc<Subscription>,
    /// What to tell.
    pub message: Arc<Message>,
    /// The how manieth attempt it is, from 1.
    pub attempt: u8,
}

/// Progress in a shard. A state that knows a later generation of its assignment refuses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// By which the answer is told.
    pub ticket: u64,
    /// Of which shard.
    pub shard: u16,
    /// The generation of its assignment.
    pub generation: u64,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisableReason {
    /// The receiver said that it is gone.
    Gone,
    /// It has seen nothing but failures for too long.
    Failing {
        /// Since then.
        since: u64,
    },
}

/// A shard that this dispatcher is to work on, as the metadata has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

/// What became of an event that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It was taken.
    Taken,
    /// It was offered before.
    Old,
    /// Something is missing between this place and it; nothing was taken. Offer what is missing, or, when it is
    /// lost, [`skip`](crate::Dispatcher::skip) it and tell people.
    Gap(Place),
    /// The shard is not assigned to this dispatcher.
    Elsewhere,
}

/// A part of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// In order, behind the place that was asked for. Those of other registries may be left out.
    pub events: Vec<Arc<Envelope>>,
    /// There is nothing more up to here. A shell that finds events lost goes past them, and tells people.
    pub upto: Place,
}

/// Some of what is due again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DuePage {
    /// In the order in which it is due.
    pub rows: Vec<Undelivered>,
    /// When the first is due that is not among them.
    pub next: Option<u64>,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is durable.
    Done,
    /// It is not, or nobody knows: it is to be recorded again.
    Failed,
    /// The shard is somebody else's now.
    Refused,
}
