//! One mutation, one event: versions rise, and each shard's events are dense.

use std::collections::BTreeSet;

use meridian_clock::Version;
use meridian_event::{Event, SHARDS, shard_of};

use super::Findings;
use super::census::Census;

pub(super) fn check(census: &Census, findings: &mut Findings) {
    let Some(system) = &census.system else {
        let is_empty = census.streams.is_empty() && census.usage.is_empty();
        findings.demand("what is not initialized is empty", is_empty, &"system");
        return;
    };
    for version in versions(census) {
        findings.demand(
            "no version is ahead of the last one",
            version <= system.last,
            &version,
        );
    }
    let all = (0..SHARDS).collect::<BTreeSet<_>>();
    let found = census.streams.keys().copied().collect::<BTreeSet<_>>();
    findings.demand("every shard has its stream", all == found, &found);
    for (shard, stream) in &census.streams {
        let seqs = (*shard, 0)..=(*shard, u64::MAX);
        let mut seqs = census
            .outbox
            .range(seqs)
            .map(|((_, seq), _)| *seq)
            .peekable();
        let first = seqs.peek().copied().unwrap_or(stream.next);
        findings.demand(
            "the outbox holds what is not acknowledged, and perhaps what was before, without gaps",
            first <= stream.acknowledged + 1 && seqs.eq(first..stream.next),
            &(shard, stream),
        );
    }
    for ((region, shard), cursor) in &census.cursors {
        findings.demand(
            "a cursor is another region's",
            *region != system.region && *shard < SHARDS,
            &(region, shard, cursor),
        );
    }
    let mut stamped = BTreeSet::new();
    let mut before = None;
    for ((shard, seq), envelope) in &census.outbox {
        let id = envelope.id;
        findings.demand(
            "an event is where its id says",
            (id.region, id.shard, id.seq) == (system.region, *shard, *seq)
                && envelope.version.region == system.region,
            envelope,
        );
        findings.demand(
            "an event is in the shard of its repository",
            matches!(envelope.event, Event::Heartbeat { .. })
                || shard_of(envelope.registry, envelope.event.repository()) == *shard,
            envelope,
        );
        findings.demand(
            "a version stamps one event",
            stamped.insert(envelope.version),
            envelope,
        );
        let now = (*shard, envelope.version);
        findings.demand(
            "versions rise within a shard",
            before.is_none_or(|before| before < now),
            envelope,
        );
        before = Some(now);
    }
}

fn versions(census: &Census) -> impl Iterator<Item = Version> {
    let manifests = census.manifests.values();
    let manifests = manifests
        .flat_map(|manifest| [manifest.add, manifest.del, manifest.put])
        .flatten();
    let tags = census.tag_cells.values().map(|cell| cell.version);
    let links = census.links.values().map(|link| link.add);
    let blobs = census.blobs.values();
    let blobs = blobs
        .flat_map(|blob| [Some(blob.touched), blob.condemned])
        .flatten();
    let events = census.outbox.values().map(|envelope| envelope.version);
    let cells = census.repository_cells.values();
    let deletions = cells.clone().filter_map(|cell| cell.del);
    let rights = cells.map(|cell| &cell.rights);
    let rights = rights.chain(census.tag_rights.values());
    let rights = rights.chain(census.manifest_rights.values());
    let settings = rights.flat_map(|rights| rights.settings.into_values().flatten());
    let settings = settings.map(|setting| setting.version);
    let registries = census.usage.keys().map(|registry| registry.version());
    manifests
        .chain(tags)
        .chain(links)
        .chain(blobs)
        .chain(events)
        .chain(registries)
        .chain(deletions)
        .chain(settings)
        .chain(census.requests.keys().copied())
}
