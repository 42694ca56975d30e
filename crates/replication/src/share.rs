//! Which of several agents does what.
//!
//! By rendezvous hashing: each agent weighs each piece of work, and the heaviest has it. When one
//! comes or goes, only what it gains or had moves. Nothing is agreed: two agents with different
//! views may do the same work twice, or for a while nobody does it. Correctness rests on nothing of
//! this: a batch that does not continue the cursor is refused, and a body has one place.

use crate::dice::mix;
use crate::{Body, StreamId};

/// The agent that is to consume a stream, of those that live.
///
/// All agents that see the same set agree, in whatever order they see it.
#[must_use]
pub fn consumer_of<'a>(stream: StreamId, living: &[&'a str]) -> Option<&'a str> {
    heaviest(&format!("{stream}"), living)
}

/// The agent that is to fetch a body which the state is missing, of those that live.
#[must_use]
pub fn fetcher_of<'a>(body: &Body, living: &[&'a str]) -> Option<&'a str> {
    heaviest(&format!("{}/{}", body.registry, body.digest), living)
}

fn heaviest<'a>(work: &str, living: &[&'a str]) -> Option<&'a str> {
    let weight = |agent: &str| mix(hash(agent) ^ mix(hash(work)));
    living
        .iter()
        .copied()
        .max_by_key(|agent| (weight(agent), *agent))
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use meridian_event::SHARDS;

    use super::*;

    fn streams() -> impl Iterator<Item = StreamId> {
        ["eu", "us", "asia", "af"].into_iter().flat_map(|origin| {
            (0..SHARDS).map(move |shard| StreamId {
                origin: origin.parse().unwrap(),
                shard,
            })
        })
    }

    #[test]
    fn the_order_in_which_agents_are_known_decides_nothing() {
        for stream in streams() {
            let owner = consumer_of(stream, &["a", "b", "c"]);
            assert_eq!(owner, consumer_of(stream, &["c", "a", "b"]));
        }
    }

    #[test]
    fn work_is_spread() {
        let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
        for stream in streams() {
            let owner = consumer_of(stream, &["a-0", "a-1", "a-2"]).unwrap();
            *shares.entry(owner).or_default() += 1;
        }
        assert_eq!(shares.len(), 3);
        assert!(
            shares.values().all(|share| (10..=34).contains(share)),
            "{shares:?}"
        );
    }

    #[test]
    fn only_the_work_of_the_one_who_left_moves() {
        for stream in streams() {
            let before = consumer_of(stream, &["a", "b", "c"]).unwrap();
            let after = consumer_of(stream, &["a", "b"]).unwrap();
            assert!(before == "c" || before == after);
        }
    }

    #[test]
    fn nobody_does_nothing() {
        assert_eq!(consumer_of(streams().next().unwrap(), &[]), None);
    }
}
