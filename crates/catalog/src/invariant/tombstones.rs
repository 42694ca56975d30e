//! Tombstones: each is written down, to be dropped once everybody is past it.

use meridian_event::shard_of;

use super::Findings;
use super::census::{Census, Place};
use crate::key::{Buried, Of};
use crate::row::Manifest;

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
        let place = (buried.registry, buried.repository.clone());
        let is_one = match &buried.of {
            Of::Tag(name) => {
                let cell = census.tag_cells.get(&(place, name.clone()));
                cell.is_some_and(|cell| cell.version == buried.version)
            }
            Of::Manifest(digest) => {
                let cell = census.manifests.get(&(place, *digest));
                cell.and_then(Manifest::tombstone) == Some(buried.version)
            }
        };
        findings.demand("what is written down is a tombstone", is_one, buried);
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

/// Regions, and how far this one knows them.
pub(super) fn check_regions(census: &Census, findings: &mut Findings) {
    findings.demand(
        "a region that joins has nothing yet",
        !census.is_joining
            || (census.manifests.is_empty()
                && census.tag_cells.is_empty()
                && census.cursors.is_empty()),
        &census.met,
    );
    let peers = census.peers.as_ref().map(|peers| peers.regions.as_slice());
    let peers = peers.unwrap_or_default();
    findings.demand(
        "each other region, and nobody else, is met or to be met",
        census.met.keys().eq(peers),
        &(peers, &census.met),
    );
    for removal in &census.removals {
        findings.demand(
            "what is known of a removed region is compared with a region that is there",
            peers.contains(&removal.1),
            removal,
        );
    }
}
