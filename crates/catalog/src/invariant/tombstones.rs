//! Tombstones: each is written down, to be dropped once everybody is past it.

use meridian_event::shard_of;

use super::Findings;
use super::census::{Census, Place};
use crate::key::{Buried, Of};

pub(super) fn check(census: &Census, findings: &mut Findings) {
    let is_buried = |place: &Place, version, of| {
        let (registry, repository) = place.clone();
        let shard = shard_of(registry, Some(&repository));
        let buried = Buried {
            version,
            registry,
            repository,
            of,
        };
        census.buried.contains(&(shard, buried))
    };
    for ((place, digest), manifest) in &census.manifests {
        let is_tombstone = manifest.is_absent() && !manifest.is_added();
        if let Some(del) = manifest.del.filter(|_| is_tombstone) {
            findings.demand(
                "a deleted manifest is written down, to be dropped",
                is_buried(place, del, Of::Manifest(*digest)),
                &(place, digest, manifest),
            );
        }
    }
    for ((place, name), cell) in &census.tag_cells {
        // Until they are looked at, tags of a deleted manifest are shown, or wait.
        let is_looked_at = cell.digest.is_none_or(|digest| {
            let waits = ((place.clone(), digest), name.clone());
            !census.tags_of.contains(&waits) && !census.waiting_tags.contains(&waits)
        });
        if is_looked_at && !census.is_alive(place, cell) {
            findings.demand(
                "a deleted tag is written down, to be dropped",
                is_buried(place, cell.version, Of::Tag(name.clone())),
                &(place, name, cell),
            );
        }
    }
    for (shard, buried) in &census.buried {
        findings.demand(
            "a tombstone is written down in the shard of its repository",
            *shard == shard_of(buried.registry, Some(&buried.repository)),
            buried,
        );
    }
    for shard in &census.unburied {
        findings.demand(
            "tombstones are dropped below a floor",
            census.floors.contains_key(shard),
            shard,
        );
    }
}
