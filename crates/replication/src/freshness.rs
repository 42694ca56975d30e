//! As of when this region knows what its peers know.
//!
//! A peer named its heads at some moment of our own monotonic clock; once our cursors have reached
//! them, we know all that it had committed by then. No wall clock is compared, and no promise of a
//! peer is relied upon. Owns the judgement of a read: answer from here, ask a peer first, answer and
//! say how old it is, or refuse. Leaves content-addressed answers alone: they do not age.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use meridian_clock::Region;

use crate::stream::{Cursor, StreamId};
use crate::{FreshnessConfig, Now};

#[cfg(test)]
mod tests;

/// How old the answers of a registry may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// As old as they are.
    Eventual,
    /// At most so old.
    Bounded(Duration),
    /// Not older than the question.
    Strong,
}

/// What an answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The regions, other than this one, that may have changed it.
    pub peers: &'a [Region],
    /// The shard in which they would have; all of them, if it is about more than one repository.
    pub shard: Option<u16>,
}

/// What is to become of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Answer from the state here.
    Fresh,
    /// Ask these peers, or read through at them, until the moment at which to judge again. If an
    /// answer of one is awaited already, that one will do.
    Ask {
        /// Whom.
        peers: Vec<Region>,
        /// How long to wait for them.
        until: Duration,
    },
    /// Answer from the state here, and say that it may lack what a region did since.
    Stale {
        /// The region that is furthest behind.
        region: Region,
        /// How far; unknown if it was never heard of since the start.
        age: Option<Duration>,
    },
    /// Do not answer: a region cannot be asked.
    Refuse {
        /// Which.
        region: Region,
    },
}

/// What this region knows of its peers' heads.
#[derive(Debug)]
pub struct Freshness {
    config: FreshnessConfig,
    peers: BTreeMap<Region, Peer>,
    cursors: BTreeMap<StreamId, Cursor>,
}

#[derive(Debug, Default)]
struct Peer {
    /// Up to when all of its shard was merged here.
    fresh: BTreeMap<u16, Duration>,
    /// Answers that our cursors have not reached, oldest first.
    answers: VecDeque<Answer>,
    /// When the question was asked that is under way.
    asked: Option<Duration>,
    next_ask: Duration,
    /// It did not answer in time.
    is_away: bool,
}

#[derive(Debug)]
struct Answer {
    /// When it was asked for.
    at: Duration,
    /// What our cursors have not reached of it.
    heads: BTreeMap<u16, Cursor>,
}

// === impl Freshness ===

impl Freshness {
    /// Nothing is known yet.
    #[must_use]
    pub const fn new(config: FreshnessConfig) -> Self {
        Self {
            config,
            peers: BTreeMap::new(),
            cursors: BTreeMap::new(),
        }
    }

    /// Another region.
    pub fn add_peer(&mut self, region: Region) {
        self.peers.entry(region).or_default();
    }

    /// A region that is none any more: nothing depends on it.
    pub fn remove_peer(&mut self, region: Region) {
        self.peers.remove(&region);
        self.cursors.retain(|stream, _| stream.origin != region);
    }

    /// The peers that are to be asked for their heads now. Each is to be answered with
    /// [`answered`](Self::answered) or [`failed`](Self::failed).
    pub fn poll(&mut self, now: Now) -> Vec<Region> {
        let mut due = Vec::new();
        for (region, peer) in &mut self.peers {
            peer.lapse(now, &self.config);
            if peer.asked.is_none() && peer.next_ask <= now.elapsed {
                peer.asked = Some(now.elapsed);
                peer.next_ask = now.elapsed + self.config.ask_every;
                due.push(*region);
            }
        }
        due
    }

    /// When to poll again, though nothing comes.
    #[must_use]
    pub fn wake(&self) -> Option<Duration> {
        let moments = self.peers.values().map(|peer| match peer.asked {
            Some(asked) if !peer.is_away => asked + self.config.budget,
            Some(_) => Duration::MAX,
            None => peer.next_ask,
        });
        moments.min().filter(|moment| *moment < Duration::MAX)
    }

    /// A peer named its heads, shard by shard: all of them, as they were committed when it was
    /// asked or later.
    pub fn answered(&mut self, region: Region, heads: &[(u16, Cursor)]) {
        let Some(peer) = self.peers.get_mut(&region) else {
            return;
        };
        let Some(at) = peer.asked.take() else {
            return;
        };
        peer.is_away = false;
        if peer.answers.len() >= self.config.answers {
            // The oldest is reached first, and the newest is the one that a read may wait for:
            // what lies between is dispensable.
            peer.answers.pop_back();
        }
        peer.answers.push_back(Answer {
            at,
            heads: heads.iter().copied().collect(),
        });
        peer.settle(region, &self.cursors);
    }

    /// A peer did not answer.
    pub fn failed(&mut self, region: Region) {
        if let Some(peer) = self.peers.get_mut(&region) {
            peer.asked = None;
            peer.is_away = true;
        }
    }

    /// The cursor of a stream stands here in the state.
    pub fn learn_cursor(&mut self, stream: StreamId, cursor: Cursor) {
        let known = self.cursors.entry(stream).or_insert(cursor);
        *known = cursor.max(*known);
        if let Some(peer) = self.peers.get_mut(&stream.origin) {
            peer.settle(stream.origin, &self.cursors);
        }
    }

    /// As of when everything that a peer did in a shard, or in all of them, is merged here.
    #[must_use]
    pub fn fresh_as_of(&self, region: Region, shard: Option<u16>) -> Option<Duration> {
        self.peers.get(&region)?.fresh_as_of(shard)
    }

    /// What is to become of a read that began at `begun`. To be asked again after what it says was
    /// done, with the same `begun`; it ends when the budget does.
    #[must_use]
    pub fn judge(
        &self,
        now: Now,
        begun: Duration,
        scope: &Scope<'_>,
        consistency: Consistency,
    ) -> Judgement {
        let needed = match consistency {
            Consistency::Eventual => Duration::ZERO,
            Consistency::Bounded(age) => begun.saturating_sub(age),
            Consistency::Strong => begun,
        };
        let until = begun + self.config.budget;
        let mut to_ask = Vec::new();
        let mut behind = None;
        for region in scope.peers {
            let Some(peer) = self.peers.get(region) else {
                continue;
            };
            let fresh = peer.fresh_as_of(scope.shard);
            let is_fresh = match consistency {
                // Nobody asks; but that a region is away is told.
                Consistency::Eventual => !peer.is_away(now, &self.config),
                _ => fresh.is_some_and(|fresh| fresh >= needed),
            };
            if is_fresh {
                continue;
            }
            let can_wait = now.elapsed < until && !peer.is_away(now, &self.config);
            if can_wait && consistency != Consistency::Eventual {
                to_ask.push(*region);
            } else if behind.is_none_or(|(_, oldest)| fresh < oldest) {
                behind = Some((*region, fresh));
            }
        }
        match (consistency, behind) {
            (Consistency::Strong, Some((region, _))) => Judgement::Refuse { region },
            _ if !to_ask.is_empty() => Judgement::Ask {
                peers: to_ask,
                until,
            },
            (_, Some((region, fresh))) => Judgement::Stale {
                region,
                age: fresh.map(|fresh| now.elapsed.saturating_sub(fresh)),
            },
            (_, None) => Judgement::Fresh,
        }
    }

    /// Has a peer asked for its heads at the next poll, because a read waits for them.
    pub fn hurry(&mut self, now: Now, region: Region) {
        if let Some(peer) = self.peers.get_mut(&region) {
            peer.next_ask = peer.next_ask.min(now.elapsed);
        }
    }
}

// === impl Peer ===

impl Peer {
    /// Takes it for away if it has not answered in time. The question stays: an answer brings it
    /// back, however late.
    fn lapse(&mut self, now: Now, config: &FreshnessConfig) {
        self.is_away = self.is_away(now, config);
    }

    fn is_away(&self, now: Now, config: &FreshnessConfig) -> bool {
        let is_late = |asked: Duration| now.elapsed >= asked + config.budget;
        self.is_away || self.asked.is_some_and(is_late)
    }

    /// Finds out how much of the peer's answers our cursors have reached.
    fn settle(&mut self, region: Region, cursors: &BTreeMap<StreamId, Cursor>) {
        let fresh = &mut self.fresh;
        for answer in &mut self.answers {
            let at = answer.at;
            answer.heads.retain(|shard, head| {
                let stream = StreamId {
                    origin: region,
                    shard: *shard,
                };
                let is_reached = cursors.get(&stream).is_some_and(|cursor| cursor >= head);
                if is_reached {
                    let fresh = fresh.entry(*shard).or_insert(at);
                    *fresh = at.max(*fresh);
                }
                !is_reached
            });
        }
        self.answers.retain(|answer| !answer.heads.is_empty());
    }

    fn fresh_as_of(&self, shard: Option<u16>) -> Option<Duration> {
        if let Some(shard) = shard {
            return self.fresh.get(&shard).copied();
        }
        let named = self.answers.iter().flat_map(|answer| answer.heads.keys());
        let is_unknown = named.copied().any(|shard| !self.fresh.contains_key(&shard));
        let oldest = self.fresh.values().min().copied();
        oldest.filter(|_| !is_unknown)
    }
}
