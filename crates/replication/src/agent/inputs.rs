//! What the shell tells.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use meridian_clock::Region;

use super::{Agent, Followed};
use crate::Now;
use crate::backfill::Page;
use crate::fetch::{Body, End, Finished, Kind, Known, TransferId, Want};
use crate::stream::{Arrival, Cursor, Offered, Refilled, Room, Settled, StreamId};

impl Agent {
    /// How much a stream takes. Nothing, if it is stopped or another agent's.
    #[must_use]
    pub fn room(&self, id: StreamId) -> Room {
        let followed = self.streams.get(&id);
        followed.map_or_else(Room::default, |followed| followed.stream.room())
    }

    /// A record came from the event log, in the order of the log.
    pub fn offer(&mut self, now: Now, id: StreamId, arrival: Arrival) -> Offered {
        let Some(followed) = told(&mut self.streams, id) else {
            return Offered::Stopped;
        };
        let place = match &arrival {
            Arrival::Event { envelope, .. } => Some(Cursor::of(&envelope.id)),
            Arrival::Undecodable => None,
        };
        let offered = followed.stream.offer(now, arrival);
        if let (Offered::Taken, Some(place)) = (offered, place) {
            self.name(id, place);
        }
        offered
    }

    /// The origin of a stream says how far it is.
    pub fn learn_head(&mut self, now: Now, id: StreamId, head: Cursor) {
        if let Some(followed) = told(&mut self.streams, id) {
            followed.stream.learn_head(now, head);
        }
    }

    /// The cursor of a stream stands here in the state, whoever moved it. What is older than what
    /// is known is ignored.
    pub fn learn_cursor(&mut self, now: Now, id: StreamId, cursor: Cursor) {
        let Some(followed) = told(&mut self.streams, id) else {
            return;
        };
        let merged = followed.stream.adopt(now, cursor);
        self.merged(now, id, &merged, &BTreeSet::new());
    }

    /// What became of a proposal. If it was applied, the manifests that it carried are in the state.
    pub fn settled(&mut self, now: Now, id: StreamId, ticket: u64, settled: Settled) {
        let Some(followed) = told(&mut self.streams, id) else {
            return;
        };
        let mut carried = BTreeSet::new();
        if followed.ticket == ticket {
            carried = std::mem::take(&mut followed.carried);
        }
        if !matches!(settled, Settled::Applied(_)) {
            carried.clear();
        }
        let merged = followed.stream.settle(now, ticket, settled, &mut self.dice);
        self.merged(now, id, &merged, &carried);
    }

    /// What the origin said when it was asked for events.
    pub fn refilled(&mut self, now: Now, id: StreamId, refilled: Refilled) {
        let Some(followed) = told(&mut self.streams, id) else {
            return;
        };
        let new = followed.stream.refilled(now, refilled, &mut self.dice);
        for place in new {
            self.name(id, place);
        }
    }

    /// The state was brought up to the origin's, and the cursor stands here; or it was not.
    pub fn resynced(&mut self, now: Now, id: StreamId, cursor: Option<Cursor>) {
        let Some(followed) = told(&mut self.streams, id) else {
            return;
        };
        let merged = followed.stream.resynced(now, cursor, &mut self.dice);
        self.merged(now, id, &merged, &BTreeSet::new());
        if cursor.is_some() {
            // What came with it may lack bodies.
            self.backfill.overflow(now);
        }
    }

    /// Lets a stopped stream go on; the event log is to be read again from its cursor.
    pub fn retry(&mut self, id: StreamId) {
        if let Some(followed) = told(&mut self.streams, id) {
            followed.stream.retry();
        }
    }

    /// What the state says of bodies.
    pub fn known(&mut self, now: Now, id: u64, answers: Vec<(Body, Known)>) {
        self.fetch.known(now, id, answers);
    }

    /// What the state is missing, after the body that was asked for. `None` if it did not answer.
    /// Several agents share what they find by [`fetcher_of`](crate::fetcher_of).
    pub fn scanned(&mut self, now: Now, page: Option<&Page>) {
        self.backfill.scanned(now, page, &mut self.fetch);
    }

    /// Which of the bodies that a peer was asked after it has. `None` if it did not answer.
    pub fn answered(&mut self, now: Now, peer: Region, held: Option<&BTreeSet<Body>>) {
        self.fetch.answered(now, peer, held);
    }

    /// A peer has a body, as it said unasked.
    pub fn learn_holder(&mut self, now: Now, body: Body, peer: Region) {
        self.fetch.learn_holder(now, body, peer);
    }

    /// More bytes of a transfer's part came, in order, and are kept.
    pub fn received(&mut self, now: Now, transfer: TransferId, part: usize, bytes: u64) {
        self.fetch.received(now, transfer, part, bytes);
    }

    /// The peer has not got the body of a transfer's part.
    pub fn gone(&mut self, now: Now, transfer: TransferId, part: usize) {
        self.fetch.gone(now, transfer, part);
    }

    /// There is no room here for a transfer's part.
    pub fn no_room(&mut self, now: Now, transfer: TransferId, part: usize) {
        self.fetch.no_room(now, transfer, part);
    }

    /// A transfer has ended.
    pub fn ended(&mut self, now: Now, transfer: TransferId, end: End) {
        self.fetch.ended(now, transfer, end);
    }

    /// What became of a body that was complete.
    pub fn finished(&mut self, now: Now, body: Body, finished: Finished) {
        let entry = self.fetch.entry(&body);
        let is_manifest = entry.is_some_and(|it| it.kind == Kind::Manifest);
        let is_found = entry.is_some_and(|it| it.is_found);
        self.fetch.finished(now, body, finished);
        if !is_manifest || self.fetch.entry(&body).is_some() {
            return;
        }
        // From here on the state knows what it needs, which no event has named to us, or which was given up.
        if self.fetch.has_given_up(body.registry) || is_found {
            self.backfill.overflow(now);
        }
    }

    /// A client waits for a body that is not here, except for these parts of it, from an earlier
    /// attempt. The state is not asked first. Says no if too many wait.
    #[must_use]
    pub fn demand(&mut self, now: Now, want: &Want, parts: &[Range<u64>]) -> bool {
        self.fetch.demand(now, want, parts)
    }

    /// A client waits no longer, for whatever reason.
    pub fn release(&mut self, body: Body) {
        self.fetch.release(body);
    }
}

/// A stream of which something is told: it is looked at in the next poll.
fn told(streams: &mut BTreeMap<StreamId, Followed>, id: StreamId) -> Option<&mut Followed> {
    let followed = streams.get_mut(&id)?;
    followed.is_told = true;
    Some(followed)
}
