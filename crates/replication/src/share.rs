//! Which of several agents does what.
//!
//! By rendezvous hashing: each agent weighs each shard, and the heaviest that has room has it, with
//! the events of all regions in it and with what its repositories lack. So what an event names is
//! fetched by the one that finds it missing, too: once. No agent has more shards than its part, and
//! when one comes or goes, little moves but what it gains or had. Nothing is agreed: two agents with
//! different views may do the same work twice, or for a while nobody does it. Correctness rests on
//! nothing of this: a batch that does not continue the cursor is refused, and a body has one place.

use std::collections::BTreeMap;

use meridian_event::{RegistryId, SHARDS, shard_of};
use meridian_oci::RepositoryName;

use crate::StreamId;
use crate::dice::mix;

/// The agent that is to do what a shard needs, of those that live.
///
/// All agents that see the same set agree, in whatever order they see it.
#[must_use]
pub fn owner_of<'a>(shard: u16, living: &[&'a str]) -> Option<&'a str> {
    let most = usize::from(SHARDS).div_ceil(living.len().max(1));
    let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
    let mut owner = None;
    for shard in 0..=shard {
        let work = mix(u64::from(shard));
        let weight = |agent: &str| mix(hash(agent) ^ work);
        let has_room = |agent: &&str| shares.get(agent).is_none_or(|share| *share < most);
        owner = living
            .iter()
            .copied()
            .filter(has_room)
            .max_by_key(|agent| (weight(agent), *agent));
        *shares.entry(owner?).or_default() += 1;
    }
    owner
}

/// The agent that is to consume a stream.
#[must_use]
pub fn consumer_of<'a>(stream: StreamId, living: &[&'a str]) -> Option<&'a str> {
    owner_of(stream.shard, living)
}

/// The agent that is to fetch what a repository is missing.
#[must_use]
pub fn fetcher_of<'a>(
    registry: RegistryId,
    repository: &RepositoryName,
    living: &[&'a str],
) -> Option<&'a str> {
    owner_of(shard_of(registry, Some(repository)), living)
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
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
        for names in [
            &["a", "b"][..],
            &["a-0", "a-1", "a-2"],
            &["0", "1", "2", "3", "4"],
        ] {
            let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
            for shard in 0..SHARDS {
                *shares.entry(owner_of(shard, names).unwrap()).or_default() += 1;
            }
            let most = usize::from(SHARDS).div_ceil(names.len());
            assert!(shares.values().all(|share| *share <= most), "{shares:?}");
        }
    }

    #[test]
    fn little_moves_but_the_work_of_the_one_who_left() {
        let (mut moved, mut stayed) = (0, 0);
        for number in 0..100 {
            let names = ["a", "b", "c"].map(|name| format!("{name}{number}"));
            let three = names.each_ref().map(String::as_str);
            for shard in 0..SHARDS {
                let before = owner_of(shard, &three);
                if before == Some(three[2]) {
                    continue;
                }
                match owner_of(shard, &three[..2]) == before {
                    true => stayed += 1,
                    false => moved += 1,
                }
            }
        }
        assert!(moved * 4 < stayed, "{moved} moved, {stayed} stayed");
    }

    #[test]
    fn who_hears_of_content_finds_it_missing_too() {
        let registry = RegistryId::first();
        for name in ["app", "team/app", "team/base"] {
            let repository = name.parse().unwrap();
            let shard = shard_of(registry, Some(&repository));
            for origin in ["eu", "us"] {
                let origin = origin.parse().unwrap();
                let hears = consumer_of(StreamId { origin, shard }, &["a", "b", "c"]);
                assert_eq!(hears, fetcher_of(registry, &repository, &["a", "b", "c"]));
            }
        }
    }

    #[test]
    fn nobody_does_nothing() {
        assert_eq!(consumer_of(streams().next().unwrap(), &[]), None);
    }
}
