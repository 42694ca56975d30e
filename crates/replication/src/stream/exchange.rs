//! What a stream is told, and what it says.

use std::sync::Arc;

use meridian_event::Envelope;

use super::Cursor;

/// What the event log delivers, or the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// An event.
    Event {
        /// What happened.
        envelope: Arc<Envelope>,
        /// How long it was on the wire, in bytes.
        bytes: usize,
    },
    /// A record that this program cannot read.
    Undecodable,
}

/// What becomes of a record that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It is held.
    Taken,
    /// It was here before.
    Known,
    /// There is no room. To be offered again when there is; what comes after it, too.
    Full,
    /// The stream is stopped, and takes nothing.
    Stopped,
}

/// How much a stream takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// In events.
    pub events: usize,
    /// In bytes.
    pub bytes: usize,
}

/// What the origin is to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refill {
    /// The epoch of the events.
    pub epoch: u64,
    /// The first of them.
    pub from: u64,
    /// The last of them.
    pub to: u64,
    /// How many bytes to stop after.
    pub bytes: usize,
}

/// What the origin said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refilled {
    /// The first of what was asked for, or all of it.
    Events(Vec<Arrival>),
    /// It has them no more.
    Gone,
    /// It said nothing.
    Failed,
}

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was applied, as far as it continues the cursor, which stands here now. The manifests that
    /// it carried are in the state.
    Applied(Cursor),
    /// Nothing of it was applied: it does not continue the cursor, or all of it lies behind. The
    /// cursor stands here.
    Refused(Cursor),
    /// Nobody knows.
    Unknown,
}
