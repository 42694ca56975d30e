//! What a webhook is told, and what is kept of it until it was told.

use meridian_clock::Region;
use meridian_oci::{Digest, MediaType, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

use super::{Action, MessageId, WebhookId, WebhookName};
use crate::EventId;

/// Where in a shard of a region's log. Ordered as the log is; not dense for whoever is told of a part of it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Place {
    /// The epoch of the log.
    pub epoch: u64,
    /// Dense within the epoch, from 1.
    pub seq: u64,
}

/// What one webhook is told of one event: one tag of it, if it has several. Without what the form of the
/// request adds. Small: it is kept for each receiver that did not take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// By what the receiver knows it when it comes again.
    pub id: MessageId,
    /// What happened.
    pub action: Action,
    /// The event that it was made of.
    pub position: EventId,
    /// When that was committed, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Where, if in one repository.
    pub repository: Option<RepositoryName>,
    /// Of what happened to a webhook, which.
    pub webhook: Option<WebhookName>,
    /// By which tag, if by one.
    pub tag: Option<Tag>,
    /// The manifest. What happened to a repository as a whole, or to a webhook, has none.
    pub digest: Option<Digest>,
    /// Its length in bytes, if the event says so.
    pub size: Option<u64>,
    /// How it is to be read, if the event says so.
    pub media_type: Option<MediaType>,
    /// Of what was replicated, the push.
    pub push: Option<EventId>,
    /// Of what was replicated everywhere, the other regions.
    pub regions: Vec<Region>,
}

/// A message that its receiver did not take: a row of the metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelivered {
    /// Whose it is.
    pub webhook: WebhookId,
    /// What is to be told.
    pub message: Message,
    /// How often that was attempted.
    pub attempts: u8,
    /// When it is attempted next, in milliseconds since the Unix epoch. A dead letter is not.
    pub due: Option<u64>,
    /// When it is dropped, delivered or not.
    pub until: u64,
}

// === impl Place ===

impl Place {
    /// The place of an event in its shard.
    #[must_use]
    pub const fn of(id: &EventId) -> Self {
        Self {
            epoch: id.epoch,
            seq: id.seq,
        }
    }

    /// Whether no event can be between the other place and this one.
    #[must_use]
    pub const fn continues(self, other: Self) -> bool {
        if self.epoch == other.epoch {
            self.seq > other.seq && self.seq - other.seq == 1
        } else {
            self.epoch > other.epoch && self.seq == 1
        }
    }

    /// The place before this one, in the same epoch: what is up to there is before this.
    #[must_use]
    pub const fn before(self) -> Self {
        Self {
            epoch: self.epoch,
            seq: self.seq.saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_continues_its_epoch_or_begins_another() {
        let at = |epoch, seq| Place { epoch, seq };
        for (place, other, expected) in [
            (at(1, 1), Place::default(), true),
            (at(1, 8), at(1, 7), true),
            (at(1, 9), at(1, 7), false),
            (at(1, 7), at(1, 7), false),
            (at(5, 1), at(1, 7), true),
            (at(5, 2), at(1, 7), false),
            (at(1, 1), at(5, 7), false),
            (at(1, (1 << 63) + 1), at(1, 1 << 63), true),
            (at(1, 0), at(1, u64::MAX), false),
        ] {
            assert_eq!(place.continues(other), expected, "{place:?} {other:?}");
        }
        assert_eq!(at(2, 1).before(), at(2, 0));
        assert!(at(1, 9) < at(2, 1).before());
    }
}
