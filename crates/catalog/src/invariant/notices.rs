//! What is to be told of pushes: what waits, waits for something, and is written down twice.

use meridian_clock::Region;

use super::Findings;
use super::census::Census;

pub(super) fn check(census: &Census, findings: &mut Findings) {
    for (id, push) in &census.incomplete {
        let notice = &push.notice;
        let named = (
            (push.registry, notice.repository.clone()),
            notice.manifest.digest,
        );
        findings.demand(
            "a push elsewhere is written down under its id, and waits for its manifest",
            notice.push == *id && census.pushes_waiting.contains(&(named.clone(), *id)),
            push,
        );
        let manifest = census.manifests.get(&named);
        findings.demand(
            "a push that waits has a manifest that is not complete, or is to be told of",
            manifest.is_some_and(|it| !it.is_exposed() && !it.is_absent())
                || census.untold_pushes.contains(&named),
            push,
        );
    }
    for (named, id) in &census.pushes_waiting {
        findings.demand(
            "what waits for a manifest is a push",
            census.incomplete.contains_key(id),
            &(named, id),
        );
    }
    let region = census.system.as_ref().map(|system| system.region);
    let is_peer = |region: &Region| {
        let mut peers = census.peers.iter();
        peers.any(|peers| peers.regions.contains(region))
    };
    for ((shard, epoch, seq), push) in &census.awaited {
        let id = push.notice.push;
        findings.demand(
            "a push here is written down under its id, and waits for somebody",
            (Some(id.region), id.shard, id.epoch, id.seq) == (region, *shard, *epoch, *seq)
                && !push.waits.is_empty(),
            push,
        );
        let mut waits = push.waits.iter();
        findings.demand(
            "a push waits for regions that there were at the push, and are there still",
            waits.all(|region| push.regions.contains(region) && is_peer(region))
                || census.has_removed,
            push,
        );
    }
    for of in &census.unheard {
        findings.demand(
            "what is to be looked through was heard",
            census.heard.contains_key(of),
            of,
        );
    }
    for ((peer, shard), heard) in &census.heard {
        let stream = census.streams.get(shard);
        findings.demand(
            "what is heard is of a peer, and of what is committed here",
            is_peer(peer)
                && Some(heard.mark.origin) == region
                && stream.is_some_and(|stream| heard.mark.merged < stream.next),
            heard,
        );
    }
    let peers = census.peers.iter().flat_map(|peers| &peers.regions);
    findings.demand(
        "a region is not its own peer",
        peers.clone().all(|peer| Some(*peer) != region),
        &census.peers,
    );
}
