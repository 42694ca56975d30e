//! Collection is fenced.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use super::census::Census;

/// What keeps a blob, over all its repositories.
#[derive(Default)]
struct Kept {
    by_manifest: bool,
    until: u64,
}

pub(super) fn check(census: &Census, findings: &mut Findings) {
    blobs(census, findings);
    for object in census.objects.keys() {
        findings.demand(
            "an object that a blob names is not doomed",
            !census.doomed.contains_key(object),
            object,
        );
    }
    for object in census.objects.keys().chain(census.doomed.keys()) {
        findings.demand(
            "a named or doomed object is spent",
            census.is_spent(*object),
            object,
        );
    }
    for object in census.all_spent() {
        findings.demand(
            "a generation that nobody was given is not spent",
            census.was_given(object),
            &object,
        );
    }
    for (object, registry) in &census.doomed {
        findings.demand(
            "a doomed object is of a registry",
            census.usage.contains_key(registry),
            object,
        );
    }
}

fn blobs(census: &Census, findings: &mut Findings) {
    let needed = census.holders.iter().map(|(leaf, _)| leaf);
    let needed = needed.collect::<BTreeSet<_>>();
    let mut all_kept = BTreeMap::<_, Kept>::new();
    for (named, link) in &census.links {
        let ((registry, _), digest) = named;
        let kept = all_kept.entry((*registry, *digest)).or_default();
        kept.by_manifest |= needed.contains(named);
        kept.until = kept.until.max(link.lease);
    }
    for (name, blob) in &census.blobs {
        let kept = all_kept.remove(name).unwrap_or_default();
        findings.demand(
            "a blob that a manifest needs is not condemned",
            blob.condemned.is_none() || !kept.by_manifest,
            name,
        );
        findings.demand(
            "a leased blob is not condemned",
            blob.condemned
                .is_none_or(|condemned| kept.until <= condemned.millis),
            name,
        );
        findings.demand(
            "a condemned blob was not touched since",
            blob.condemned
                .is_none_or(|condemned| blob.touched < condemned),
            name,
        );
        findings.demand(
            "a blob that no manifest needs has a turn",
            kept.by_manifest || blob.due.is_some(),
            name,
        );
    }
}
