//! What is under way from a peer.

use std::time::Duration;

use meridian_clock::Region;
use meridian_event::RegistryId;
use meridian_oci::RepositoryName;

use super::{Body, Class, Kind, WantId};

/// So many times as patient is who waits for its turn.
const TURNS: u32 = 5;

/// A transfer, by the agent that ordered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub u64);

/// One request to a peer: some small bodies, or a range of a large one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// By which its progress is told.
    pub id: TransferId,
    /// Whom to ask.
    pub peer: Region,
    /// All of one registry.
    pub registry: RegistryId,
    /// How urgent it is.
    pub class: Class,
    /// What to ask for, in order.
    pub parts: Vec<Part>,
}

/// A range of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Of what.
    pub body: Body,
    /// For which want.
    pub want: WantId,
    /// Of what kind.
    pub kind: Kind,
    /// A repository of the peer that has it.
    pub repository: RepositoryName,
    /// The length of the whole body.
    pub size: u64,
    /// The first byte.
    pub start: u64,
    /// The byte after the last. All of the body if `start` is 0 and this is `size`.
    pub end: u64,
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer has said all that it had to say.
    Complete,
    /// It broke off: what came so far is told, and counts.
    BrokeOff,
    /// The peer asks not to be sent anything for so long.
    Busy(Duration),
}

#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) peer: Region,
    pub(super) registry: RegistryId,
    pub(super) class: Class,
    pub(super) parts: Vec<UnderWay>,
    /// A client began to wait for something in it.
    pub(super) is_urgent: bool,
    pub(super) progress_at: Duration,
    pub(super) has_progress: bool,
}

/// A part that is under way, or was.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) body: Body,
    /// The row that ordered it: a later one of the same body has nothing to do with it.
    pub(super) order: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) received: u64,
    /// Nothing more will come of it.
    pub(super) is_closed: bool,
}

// === impl Transfer ===

impl Transfer {
    /// Whether a client waits for something in it.
    pub(super) fn is_waited_for(&self) -> bool {
        self.is_urgent || self.class == Class::Demand
    }

    /// When it is given up, unless something comes. While the peer sends others something, it waits for its
    /// turn on the link, and is given more time, though not all.
    pub(super) fn stalls_at(&self, peer_progress_at: Duration, patience: Duration) -> Duration {
        let silent_since = self.progress_at.max(peer_progress_at);
        (silent_since + patience).min(self.progress_at + TURNS * patience)
    }
}
