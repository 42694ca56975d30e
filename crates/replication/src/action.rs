//! What the shell is to do.
//!
//! Each question is to be answered once, whatever becomes of it, within a deadline that the shell
//! sets: the engine waits for the answer.

use std::sync::Arc;

use meridian_clock::Region;
use meridian_event::Envelope;
use meridian_oci::RepositoryName;

use crate::fetch::{Body, Kind, Landing, Order, TransferId, WantId};
use crate::stream::{Condition, Cursor, Refill, ResyncReason, StreamId};

/// Something that the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Propose to the state to merge events and to move the cursor, in one entry.
    /// Answer: [`settled`](crate::Agent::settled).
    Propose {
        /// Of which stream.
        stream: StreamId,
        /// By which the answer is told.
        ticket: u64,
        /// The cursor that the first event continues.
        after: Cursor,
        /// In order, without a gap.
        events: Vec<Arc<Envelope>>,
        /// Manifests that were landed in memory, to go into the same entry. They stay there until
        /// they are to be discarded or stored.
        bodies: Vec<Body>,
    },
    /// Ask the origin for events. Answer: [`refilled`](crate::Agent::refilled).
    Refill {
        /// Of which stream.
        stream: StreamId,
        /// Which.
        refill: Refill,
    },
    /// Bring the state here up to the origin's by other means than its log.
    /// Answer: [`resynced`](crate::Agent::resynced).
    Resync {
        /// Which stream cannot be continued.
        stream: StreamId,
        /// Where its cursor stands.
        cursor: Cursor,
        /// Why it cannot.
        reason: ResyncReason,
    },
    /// Tell people how a stream is doing: an alarm, or the end of one. No answer.
    Report {
        /// Which.
        stream: StreamId,
        /// How it is doing now.
        condition: Condition,
    },
    /// Ask the state which of these it has and wants. Answer: [`known`](crate::Agent::known).
    Check {
        /// By which the answer is told.
        id: u64,
        /// Which.
        bodies: Vec<Body>,
    },
    /// Read on in what the state is missing. Answer: [`scanned`](crate::Agent::scanned).
    Scan {
        /// After this one, in the order of [`Body`]; from the beginning if there is none.
        after: Option<Body>,
        /// How many at most.
        limit: usize,
    },
    /// Ask a peer which of these it has. Answer: [`answered`](crate::Agent::answered).
    Ask {
        /// Whom.
        peer: Region,
        /// Which, and where somebody needs it.
        bodies: Vec<(Body, RepositoryName)>,
    },
    /// Fetch from a peer. Answers: [`received`](crate::Agent::received) and
    /// [`gone`](crate::Agent::gone) for its parts, then [`ended`](crate::Agent::ended).
    Transfer(Order),
    /// Give up a transfer; it has ended already as far as the engine knows. No answer, and what it
    /// still delivers does not count: it may be thrown away.
    Abort {
        /// Which.
        transfer: TransferId,
    },
    /// All of a body is here: verify it, and put it away.
    /// Answer: [`finished`](crate::Agent::finished).
    Finish {
        /// Which.
        body: Body,
        /// Of what kind.
        kind: Kind,
        /// Its length in bytes.
        size: u64,
        /// Where to.
        landing: Landing,
    },
    /// Put a manifest that lies in memory into the state. Answer:
    /// [`finished`](crate::Agent::finished).
    Store {
        /// Which.
        body: Body,
    },
    /// Throw away what is here of a body, in memory or of a transfer that is not complete; also
    /// what a transfer that goes on for others still delivers of it. No answer.
    Discard {
        /// Which.
        body: Body,
        /// For which want. What a later one of the same body has is not meant.
        want: WantId,
    },
    /// Tell the clients that wait for a body that it is here after all. No answer.
    Present {
        /// Which.
        body: Body,
        /// Those who wait by this want.
        want: WantId,
    },
    /// Tell the clients that wait for a body that nobody has it who answers. They may go on waiting:
    /// it is looked for again. No answer.
    Absent {
        /// Which.
        body: Body,
        /// Every peer said so. Otherwise one that does not answer may have it.
        is_certain: bool,
    },
    /// Tell people that a peer sent something that was not what its digest says. No answer.
    Corrupt {
        /// Who.
        peer: Region,
        /// What it should have been.
        body: Body,
    },
}
