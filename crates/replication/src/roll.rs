//! Who works beside one, and what of the shards is one's own.
//!
//! Agents and dispatchers keep one each. Keeps the invariant that whoever knows of no others does everything:
//! it is among those that it knows itself.

use std::collections::BTreeSet;

use meridian_event::SHARDS;

use crate::owner_of;

/// What is one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// How many there are, this one included.
    pub workers: u64,
    /// Its shards.
    pub shards: BTreeSet<u16>,
}

/// Those of a region that do the same work, as far as one of them knows.
#[derive(Debug, Clone)]
pub struct Roll {
    me: u64,
    living: BTreeSet<u64>,
}

// === impl Share ===

impl Share {
    fn of(me: u64, living: &BTreeSet<u64>) -> Self {
        let names: Vec<_> = living.iter().copied().map(name).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let mine = name(me);
        let shards = (0..SHARDS).filter(|shard| owner_of(*shard, &names) == Some(&mine));
        Self {
            workers: living.len() as u64,
            shards: shards.collect(),
        }
    }

    /// Whether a shard is its own.
    #[must_use]
    pub fn has(&self, shard: u16) -> bool {
        self.shards.contains(&shard)
    }
}

fn name(worker: u64) -> String {
    format!("{worker:016x}")
}

// === impl Roll ===

impl Roll {
    /// One that knows of nobody, not even of itself.
    #[must_use]
    pub const fn new(me: u64) -> Self {
        Self {
            me,
            living: BTreeSet::new(),
        }
    }

    /// Learns who lives. Unless that is `settled`, whoever was known lives too: a leader that is new has not heard
    /// of all of them. Returns what is its own, if others live than before.
    pub fn learn(&mut self, living: impl IntoIterator<Item = u64>, settled: bool) -> Option<Share> {
        let mut now: BTreeSet<_> = living.into_iter().collect();
        now.insert(self.me);
        if !settled {
            now.extend(&self.living);
        }
        if self.living == now {
            return None;
        }
        self.living = now;
        Some(Share::of(self.me, &self.living))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_is_one_workers() {
        let living = BTreeSet::from([1, 2, 3]);
        let shares: Vec<_> = living.iter().map(|me| Share::of(*me, &living)).collect();
        for shard in 0..SHARDS {
            let owners = shares.iter().filter(|share| share.has(shard));
            assert_eq!(owners.count(), 1, "shard {shard}");
        }
    }

    #[test]
    fn who_knows_of_no_others_does_everything() {
        let share = Roll::new(7).learn([], true).unwrap();
        assert!((0..SHARDS).all(|shard| share.has(shard)));
    }

    #[test]
    fn nobody_is_forgotten_because_a_leader_is_new() {
        let mut roll = Roll::new(1);
        assert_eq!(roll.learn([1, 2], false).unwrap().workers, 2);
        assert_eq!(roll.learn([1, 2], true), None);
        assert_eq!(roll.learn([1], false), None);
        assert_eq!(roll.learn([1, 2], true), None);
        assert_eq!(roll.learn([1], true).unwrap().workers, 1);
    }
}
