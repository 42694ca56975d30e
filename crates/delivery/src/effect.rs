//! What the shell is to do, and what it answers.
//!
//! Each question is to be answered once, whatever becomes of it, within a deadline that the shell sets: the
//! engine waits for the answer. Moments are milliseconds since the Unix epoch, as the shell's clock has them.

use std::sync::Arc;

use meridian_event::Envelope;
use meridian_event::webhook::{DisableReason, Message, Place, Record, WebhookId};

use crate::Subscription;

/// Something that the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Call a receiver. Answer: [`attempted`](crate::Dispatcher::attempted).
    Attempt(Attempt),
    /// Put progress into the metadata, all of it in one entry.
    /// Answer: [`recorded`](crate::Dispatcher::recorded).
    Record {
        /// By which the answer is told.
        ticket: u64,
        /// What.
        record: Arc<Record>,
    },
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
        /// Which, as it was called last.
        to: Arc<Subscription>,
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
