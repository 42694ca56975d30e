//! Whose turn it is: registries share what a peer can give, by bytes.
//!
//! Deficit round robin. A registry's turn comes with a credit of bytes; what it does not use stays
//! its own as long as it has something to fetch. So a registry with ten thousand bodies delays one
//! with a single body by a round, not by ten thousand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use meridian_clock::Version;
use meridian_event::RegistryId;

use super::{Body, Kind};
use crate::guard::{Guard, stands};

/// A body's place in its registry's line: manifests first, for their events wait for them, then by
/// age.
pub(super) type Place = (Kind, u64, Body);

#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Who has something in line, whose turn is next first.
    order: VecDeque<RegistryId>,
    lines: BTreeMap<RegistryId, Line>,
}

#[derive(Debug, Default)]
struct Line {
    credit: i64,
    places: BTreeSet<Place>,
}

// === impl Turns ===

impl Turns {
    pub(super) fn insert(&mut self, place: Place) {
        let registry = line_of(&place.2);
        let line = self.lines.entry(registry).or_insert_with(|| {
            self.order.push_back(registry);
            Line::default()
        });
        line.places.insert(place);
    }

    pub(super) fn remove(&mut self, place: &Place) {
        let registry = line_of(&place.2);
        let Some(line) = self.lines.get_mut(&registry) else {
            return;
        };
        line.places.remove(place);
        if line.places.is_empty() {
            self.lines.remove(&registry);
            self.order.retain(|other| *other != registry);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All that are in line, taken out.
    pub(super) fn drain(&mut self) -> Vec<Place> {
        self.order.clear();
        let lines = std::mem::take(&mut self.lines);
        lines.into_values().flat_map(|line| line.places).collect()
    }

    /// Who is next, and stays in line; its registry pays. Passes over registries that have enough
    /// under way, by what is first in their lines.
    pub(super) fn next(
        &mut self,
        turn_bytes: u64,
        cost_of: impl Fn(&Body) -> u64,
        has_enough: impl Fn(&Place) -> bool,
    ) -> Option<Place> {
        let mut passed = 0;
        while passed < self.order.len() {
            let registry = *self.order.front()?;
            let line = self.lines.get_mut(&registry)?;
            let place = *line.places.first()?;
            if has_enough(&place) {
                passed += 1;
                self.order.rotate_left(1);
                continue;
            }
            let cost = signed(cost_of(&place.2));
            if line.credit >= cost {
                line.credit -= cost;
                return Some(place);
            }
            // A turn that is small against the cost would only take many rounds.
            line.credit += signed(turn_bytes).max(cost / 16).max(1);
            passed = 0;
            self.order.rotate_left(1);
        }
        None
    }

    /// Who follows in the same line. Those that go along pay, too, if need be on credit.
    pub(super) fn line(&self, registry: RegistryId) -> impl Iterator<Item = Place> {
        let line = self.lines.get(&key_of(registry));
        line.into_iter()
            .flat_map(|line| line.places.iter().copied())
    }

    pub(super) fn charge(&mut self, registry: RegistryId, bytes: u64) {
        if let Some(line) = self.lines.get_mut(&key_of(registry)) {
            line.credit -= signed(bytes);
        }
    }
}

fn line_of(body: &Body) -> RegistryId {
    key_of(body.registry)
}

fn key_of(registry: RegistryId) -> RegistryId {
    if stands(Guard::RegistriesTakeTurns) {
        return registry;
    }
    RegistryId::new(Version {
        millis: 0,
        counter: 0,
        region: registry.version().region,
    })
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use meridian_oci::{Algorithm, Digest};

    use super::*;

    fn registry(n: u64) -> RegistryId {
        RegistryId::new(Version {
            millis: n,
            counter: 0,
            region: "eu".parse().unwrap(),
        })
    }

    fn place(registry_number: u64, order: u64) -> Place {
        let digest = Digest::of(Algorithm::Sha256, &order.to_le_bytes());
        let registry = registry(registry_number);
        (Kind::Blob, order, Body { registry, digest })
    }

    fn take(turns: &mut Turns, cost: u64) -> Option<u64> {
        let place = turns.next(100, |_| cost, |_| false)?;
        turns.remove(&place);
        Some(place.2.registry.version().millis)
    }

    #[test]
    fn a_long_line_delays_a_short_one_by_a_round() {
        let mut turns = Turns::default();
        for order in 0..10_000 {
            turns.insert(place(1, order));
        }
        let mut before = 0;
        while before < 50 {
            assert_eq!(take(&mut turns, 10), Some(1));
            before += 1;
        }
        turns.insert(place(2, 10_001));
        let waited = (0..)
            .take_while(|_| take(&mut turns, 10) != Some(2))
            .count();
        assert!(waited <= 20, "{waited}");
    }

    #[test]
    fn turns_are_counted_in_bytes() {
        let mut turns = Turns::default();
        for order in 0..100 {
            turns.insert(place(1, order));
            turns.insert(place(2, order + 1_000));
        }
        // The bodies of registry 1 are ten times as large.
        let mut bytes = [0_u64; 3];
        for _ in 0..90 {
            let cost = |body: &Body| {
                if body.registry == registry(1) {
                    1_000
                } else {
                    100
                }
            };
            let place = turns.next(100, cost, |_| false).unwrap();
            turns.remove(&place);
            let n = usize::try_from(place.2.registry.version().millis).unwrap();
            bytes[n] += cost(&place.2);
        }
        assert!(bytes[1].abs_diff(bytes[2]) <= 1_000, "{bytes:?}");
    }

    #[test]
    fn who_has_enough_is_passed_over() {
        let mut turns = Turns::default();
        turns.insert(place(1, 1));
        turns.insert(place(2, 2));
        let next = turns.next(100, |_| 10, |it| it.2.registry == registry(1));
        assert_eq!(next, Some(place(2, 2)));
        assert_eq!(turns.next(100, |_| 10, |_| true), None);
    }

    #[test]
    fn manifests_go_before_blobs() {
        let mut turns = Turns::default();
        turns.insert(place(1, 1));
        let (_, order, body) = place(1, 2);
        turns.insert((Kind::Manifest, order, body));
        let next = turns.next(100, |_| 10, |_| false);
        assert_eq!(next, Some((Kind::Manifest, order, body)));
    }
}
