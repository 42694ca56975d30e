//! What must have come of it: all regions are what the events make, and everything was told as often as it should.

use meridian_clock::{Region as RegionName, Version};
use meridian_event::{Envelope, Event, EventId, RegistryId, SHARDS};

use super::hidden;
use super::reference::{Projection, fold, project};
use super::region::Region;
use super::world::{DEFAULT, World};
use crate::row::{Floor, Row};
use crate::{Read as _, key, query};

impl World {
    /// Whether all regions came to what the events make.
    pub(super) fn check(&self) -> Result<(), String> {
        let events = self.events();
        let expected = fold(events.iter(), (RegistryId::first(), DEFAULT), &self.content);
        for at in self.members() {
            let floors: Vec<_> = (0..SHARDS).map(|shard| self.floor(at, shard)).collect();
            agree(&self.regions[at], &expected, &floors)?;
            hidden::check_after(&self.regions[at].store, &events)?;
        }
        Ok(())
    }

    /// Up to where a region has dropped tombstones; or, if it came later, may never have had them, because another
    /// one had dropped them.
    fn floor(&self, at: usize, shard: u16) -> Option<Version> {
        let others = match at < self.founders {
            true => &self.regions[at..=at],
            false => &self.regions[..],
        };
        let floors = others.iter().filter_map(|region| {
            let row = region.store.get(&key::floor(shard), Floor::decode::<()>);
            row.unwrap().map(|floor| floor.unwrap().version)
        });
        floors.max()
    }

    /// Every event that anybody committed; of a region that is gone, those that others know.
    pub(super) fn events(&self) -> Vec<Envelope> {
        let logs = self.regions.iter().flat_map(|region| {
            let shards = 0..SHARDS;
            shards.flat_map(|shard| region.log(shard))
        });
        let gone = self.gone.map(|at| self.regions[at].name);
        let is_known = |id: EventId| {
            self.members().iter().any(|at| {
                let cursor = query::cursor(&self.regions[*at].store, id.region, id.shard);
                cursor.unwrap().is_some_and(|cursor| cursor.seq >= id.seq)
            })
        };
        let known = logs.filter(|it| Some(it.id.region) != gone || is_known(it.id));
        known.collect()
    }

    /// Whether regions have done all that a push asks of them.
    pub(super) fn is_everywhere(
        &self,
        push: EventId,
        regions: &[RegionName],
    ) -> Result<(), String> {
        let mut others = self.regions.iter();
        let behind = others.find(|it| regions.contains(&it.name) && !it.is_done_with(push));
        match behind {
            Some(region) => Err(format!("{} is not done with {push}", region.name)),
            None => Ok(()),
        }
    }

    /// Whether every push was told of as often as it should.
    pub(super) fn check_notices(&self) -> Result<(), String> {
        let events = self.events();
        let told = |at: RegionName, push: EventId| {
            let notices = events.iter().filter(|envelope| envelope.id.region == at);
            let of_push = notices.filter(|envelope| match &envelope.event {
                Event::Replicated(notice) | Event::ReplicatedAll { notice, .. } => {
                    notice.push == push
                }
                _ => false,
            });
            of_push.count()
        };
        let expected = fold(events.iter(), (RegistryId::first(), DEFAULT), &self.content);
        for envelope in &events {
            let Event::ManifestPut {
                repository,
                manifest,
                tags,
                ..
            } = &envelope.event
            else {
                continue;
            };
            let place = (envelope.registry, repository);
            for region in &self.regions {
                let is_live =
                    expected.deleted(place.0, place.1, manifest.digest) < Some(envelope.version);
                let is_here = region.name == envelope.id.region;
                let winner = |tag| query::tag_winner(&region.store, place.0, place.1, tag).unwrap();
                let mut winners = tags.iter().filter_map(winner);
                let is_last =
                    tags.is_empty() || winners.any(|winner| winner.version == envelope.version);
                let count = told(region.name, envelope.id);
                let was_copied = self.copied.contains(&(region.name, envelope.id));
                let must = is_live && !was_copied && (!is_here || is_last);
                if count > 1 || (must && count == 0) {
                    let (id, name) = (envelope.id, region.name);
                    return Err(format!("{name} told {count} times of {id}"));
                }
            }
        }
        for region in &self.regions {
            for (key, _) in region.store.pairs() {
                if matches!(key[0], b'A' | b'P' | b'I' | b'D' | b'F' | b'J' | b'j') {
                    return Err(format!("{} still has {key:?}", region.name));
                }
            }
        }
        Ok(())
    }
}

/// Whether a region has everything, and nothing else.
fn agree(region: &Region, expected: &Projection, floors: &[Option<Version>]) -> Result<(), String> {
    let name = region.name;
    let wanted = query::wanted_manifests(&region.store, None, 10).unwrap();
    if let Some(wanted) = wanted.first() {
        return Err(format!("{name} wants what nobody has: {wanted:?}"));
    }
    let wanted = query::wanted_blobs(&region.store, None, 10).unwrap();
    if let Some(wanted) = wanted.first() {
        return Err(format!("{name} wants what nobody has: {wanted:?}"));
    }
    let [is, ought] = [project(&region.store), expected.clone()].map(|it| it.above(floors));
    match is.difference(&ought) {
        None => Ok(()),
        Some(difference) => Err(format!("{name} and the events differ in {difference}")),
    }
}
