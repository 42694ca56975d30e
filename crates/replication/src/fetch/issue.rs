//! What is ordered next.
//!
//! For each peer by itself, as long as it may have one more transfer and its budget allows it: from
//! the first class that has something, from the registry whose turn it is, the oldest body. Small
//! bodies travel together, large ones in ranges side by side.

use meridian_clock::Region;

use super::entry::State;
use super::transfer::UnderWay;
use super::turns::Place;
use super::{Body, Class, Fetch, Kind, Order, Part, Transfer, TransferId, WantId};
use crate::guard::{Guard, stands};
use crate::{Action, FetchConfig, Now};

/// A body that is smaller than this comes in one piece.
const SHORTEST_RANGE: u64 = 1 << 20;

impl Fetch {
    pub(super) fn issue(&mut self, now: Now) {
        let regions: Vec<_> = self.peers.keys().copied().collect();
        for region in regions {
            while let Some((class, place)) = self.next_of(now, region) {
                self.order(now, region, class, place);
            }
        }
    }

    fn next_of(&mut self, now: Now, region: Region) -> Option<(Class, Place)> {
        let (config, entries) = (&self.config, &self.entries);
        let peer = self.peers.get_mut(&region)?;
        if peer.is_open() || peer.not_before(now).is_some() {
            return None;
        }
        let limit = peer.limit(config);
        let cost_of = |body: &Body| {
            let entry = entries.get(body);
            entry.map_or(0, |it| it.spans.next_len(limit.min(range(it.size, config))))
        };
        for class in [Class::Demand, Class::Next, Class::Backlog] {
            let is_demand = class == Class::Demand;
            let (may_begin, has_room) = (peer.may_begin(class, config), peer.has_room(config));
            let under_way = &peer.by_registry;
            let has_enough = |(kind, _, body): &Place| {
                let count = under_way.get(&(is_demand, body.registry)).copied();
                let is_full = count.unwrap_or_default() >= config.registry_transfers;
                // Nothing is complete without its manifest, which is small, and those of large blobs last long.
                match kind {
                    Kind::Manifest => !has_room,
                    Kind::Blob => !may_begin || (is_full && stands(Guard::RegistriesTakeTurns)),
                }
            };
            let lines = &mut peer.lines[class as usize];
            let next = lines.next(config.turn_bytes.as_u64(), cost_of, has_enough);
            if let Some(place) = next {
                return Some((class, place));
            }
        }
        None
    }

    fn order(&mut self, now: Now, region: Region, class: Class, first: Place) {
        let registry = first.2.registry;
        let (bodies, share) = (self.bundle(region, class, first), self.share());
        let Some(peer) = self.peers.get_mut(&region) else {
            return;
        };
        let limit = peer.limit(&self.config);
        let ranges = match class {
            Class::Demand => share.min(peer.ranges(&self.config)),
            Class::Next | Class::Backlog => peer.ranges(&self.config),
        };
        peer.count(class, registry);
        self.transfers_begun += 1;
        let id = TransferId(self.transfers_begun);
        let mut parts = Vec::with_capacity(bodies.len());
        let mut under_way = Vec::with_capacity(bodies.len());
        for body in bodies {
            let Some(entry) = self.entries.get_mut(&body) else {
                continue;
            };
            let limit = limit.min(range(entry.size, &self.config));
            let Some(range) = entry.spans.take(limit) else {
                // Nothing stands in line that has nothing to fetch; were it so, it would stand
                // there for ever.
                peer.lines[class as usize].remove(&entry.place(body));
                continue;
            };
            entry.active += 1;
            under_way.push(UnderWay {
                body,
                order: entry.order,
                start: range.start,
                end: range.end,
                received: 0,
                is_closed: false,
            });
            parts.push(Part {
                body,
                want: WantId(entry.order),
                kind: entry.kind,
                repository: entry.repository.clone(),
                size: entry.size,
                start: range.start,
                end: range.end,
            });
            peer.bucket.take(now.elapsed, range.end - range.start);
            if entry.spans.is_empty() || entry.active >= ranges {
                peer.lines[class as usize].remove(&entry.place(body));
                entry.state = State::Busy;
            }
        }
        let transfer = Transfer {
            peer: region,
            registry,
            class,
            parts: under_way,
            is_urgent: false,
            progress_at: now.elapsed,
            has_progress: false,
        };
        self.transfers.insert(id, transfer);
        self.outbox.push(Action::Transfer(Order {
            id,
            peer: region,
            registry,
            class,
            parts,
        }));
    }

    /// What travels in one transfer: a body, and if it is small, those after it that are.
    fn bundle(&mut self, region: Region, class: Class, first: Place) -> Vec<Body> {
        let mut bodies = vec![first.2];
        let Some(peer) = self.peers.get_mut(&region) else {
            return bodies;
        };
        let limit = peer.limit(&self.config);
        let small = self.config.small_bytes.as_u64().min(limit);
        let is_small = |body: &Body| {
            let entry = self.entries.get(body).filter(|it| it.is_small(small));
            entry.map(|entry| entry.size)
        };
        let Some(mut bytes) = is_small(&first.2) else {
            return bodies;
        };
        let lines = &mut peer.lines[class as usize];
        let alone = bytes;
        for (_, _, body) in lines.line(first.2.registry) {
            if bodies.len() >= self.config.bundle {
                break;
            }
            // Manifests stand before blobs, so a large body ends the bundle, or nearly so.
            let Some(size) = is_small(&body) else {
                break;
            };
            if body == first.2 {
                continue;
            }
            if bytes + size > limit {
                break;
            }
            if body.registry == first.2.registry {
                bytes += size;
                bodies.push(body);
            }
        }
        lines.charge(first.2.registry, bytes - alone);
        bodies
    }
}

/// How long a range of a body of that size is at most: so short that as many are under way as may be, because
/// each travels over a connection of its own, which over a long way carries less than the link does.
fn range(size: u64, config: &FetchConfig) -> u64 {
    let even = size.div_ceil(u64::try_from(config.ranges).unwrap_or(u64::MAX));
    even.clamp(
        SHORTEST_RANGE.min(config.range_bytes.as_u64()),
        config.range_bytes.as_u64(),
    )
}
