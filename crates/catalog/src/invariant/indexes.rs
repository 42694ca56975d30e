//! Rows that say the same thing twice agree, both ways.

use meridian_oci::Tag as TagName;

use super::Findings;
use super::census::{Census, Place};
use crate::BlobPlace;
use crate::row::TagCell;

pub(super) fn check(census: &Census, findings: &mut Findings) {
    tags(census, findings);
    needs(census, findings);
    waiting(census, findings);
    blobs(census, findings);
    registries(census, findings);
}

fn tags(census: &Census, findings: &mut Findings) {
    for ((place, name), tag) in &census.tags {
        findings.demand(
            "a tag is among its manifest's tags",
            census
                .tags_of
                .contains(&((place.clone(), tag.digest), name.clone())),
            &(place, name),
        );
        let cell = census.tag_cells.get(&(place.clone(), name.clone()));
        let is_winner =
            cell.is_some_and(|cell| cell.version == tag.version && cell.digest == Some(tag.digest));
        let has_lost = cell.is_some_and(|cell| cell.version > tag.version && cell.digest.is_some());
        findings.demand(
            "a tag shows its cell's winner, or is behind it",
            if tag.is_behind { has_lost } else { is_winner },
            &(place, name),
        );
    }
    for ((place, digest), name) in &census.tags_of {
        let tag = census.tags.get(&(place.clone(), name.clone()));
        findings.demand(
            "a manifest's tag shows it",
            tag.is_some_and(|tag| tag.digest == *digest),
            &(place, digest, name),
        );
    }
    for (tagged, cell) in &census.tag_cells {
        winner(census, tagged, cell, findings);
    }
    for ((place, digest), name) in &census.waiting_tags {
        let cell = census.tag_cells.get(&(place.clone(), name.clone()));
        findings.demand(
            "a tag waits for its winner",
            cell.is_some_and(|cell| cell.digest == Some(*digest)),
            &(place, digest, name),
        );
    }
    for named in census.sweeps.keys() {
        findings.demand(
            "what is swept was deleted once",
            census
                .manifests
                .get(named)
                .is_some_and(|cell| cell.del.is_some()),
            named,
        );
    }
}

/// A winner is shown, or waits, or can never be shown; and then nothing is shown instead.
fn winner(census: &Census, tagged: &(Place, TagName), cell: &TagCell, findings: &mut Findings) {
    let (place, name) = tagged;
    let shown = census.tags.get(tagged);
    let is_shown = shown.is_some_and(|shown| shown.version == cell.version);
    let named = cell.digest.map(|digest| (place.clone(), digest));
    let waits = named
        .as_ref()
        .is_some_and(|named| census.waiting_tags.contains(&(named.clone(), name.clone())));
    let is_to_be_judged = named.as_ref().is_some_and(|named| {
        let sweep = census.waiting_sweeps.get(named);
        sweep.is_some_and(|sweep| sweep.after.as_ref() < Some(name))
    });
    let is_exposed = named.is_some_and(|named| census.is_exposed(&named));
    findings.demand(
        "a winner that is shown does not wait",
        !(is_shown && waits),
        tagged,
    );
    if census.is_alive(place, cell) {
        findings.demand(
            "a winner is shown, or waits for its manifest",
            is_shown || waits && (!is_exposed || is_to_be_judged),
            tagged,
        );
    } else {
        findings.demand(
            "a winner that cannot be shown does not wait, and hides what was shown",
            is_shown || is_to_be_judged || !waits && shown.is_none(),
            tagged,
        );
    }
}

/// Who waits for something that is here is to be told.
fn waiting(census: &Census, findings: &mut Findings) {
    for waiter @ ((place, leaf), digest) in &census.waiting_for_blob {
        let needs = census.needs.get(&(place.clone(), *digest));
        let blob = (place.0, *leaf);
        findings.demand(
            "who waits for a blob needs it",
            needs.is_some_and(|needs| needs.distinct_blobs().contains(leaf)),
            waiter,
        );
        findings.demand(
            "who waits for a blob that is recorded is to be told",
            !census.blobs.contains_key(&blob) || census.untold_of.contains(&blob),
            waiter,
        );
    }
    for waiter @ (child, digest) in &census.waiting_for_child {
        let needs = census.needs.get(&(child.0.clone(), *digest));
        findings.demand(
            "who waits for a child needs it",
            needs.is_some_and(|needs| needs.distinct_children().contains(&child.1)),
            waiter,
        );
        findings.demand(
            "who waits for a child that is exposed is to be told",
            !census.is_exposed(child) || census.untold.contains(child),
            waiter,
        );
    }
    for named in &census.wanted {
        let manifest = census.manifests.get(named);
        findings.demand(
            "what is wanted is present",
            manifest.is_some_and(|manifest| !manifest.is_absent()),
            named,
        );
    }
}

fn needs(census: &Census, findings: &mut Findings) {
    for ((place, digest), needs) in &census.needs {
        for leaf in needs.blobs.iter().chain(&needs.children) {
            findings.demand(
                "a manifest is among the holders of what it needs",
                census
                    .holders
                    .contains(&((place.clone(), leaf.digest), *digest)),
                &(place, digest, leaf),
            );
        }
    }
    for ((place, leaf), digest) in &census.holders {
        let needs = census.needs.get(&(place.clone(), *digest));
        let is_needed = needs.is_some_and(|needs| {
            let mut leaves = needs.blobs.iter().chain(&needs.children);
            leaves.any(|needed| needed.digest == *leaf)
        });
        findings.demand(
            "a holder needs what it holds",
            is_needed,
            &(place, leaf, digest),
        );
    }
    for ((place, subject), digest) in census.referrers.keys() {
        let needs = census.needs.get(&(place.clone(), *digest));
        findings.demand(
            "a referrer refers to its subject",
            needs.is_some_and(|needs| needs.subject == Some(*subject)),
            &(place, subject, digest),
        );
        findings.demand(
            "a referrer is exposed",
            census.is_exposed(&(place.clone(), *digest)),
            &(place, subject, digest),
        );
    }
}

fn blobs(census: &Census, findings: &mut Findings) {
    for named in census.links.keys() {
        let ((registry, _), digest) = named;
        findings.demand(
            "a link is among its blob's repositories",
            census.linked_in.contains(named),
            named,
        );
        findings.demand(
            "a linked blob is recorded",
            census.blobs.contains_key(&(*registry, *digest)),
            named,
        );
    }
    for named in &census.linked_in {
        findings.demand(
            "a blob's repository links it",
            census.links.contains_key(named),
            named,
        );
    }
    for (name, blob) in &census.blobs {
        let (registry, digest) = *name;
        if let Some(due) = blob.due {
            findings.demand(
                "a blob's turn is among the turns",
                census.turns.contains(&(due, registry, digest)),
                name,
            );
        }
        if let BlobPlace::Stored(object) = blob.place {
            let owner = census.objects.get(&object);
            findings.demand(
                "a blob owns its object",
                owner.is_some_and(|owner| (owner.registry, owner.digest) == *name),
                name,
            );
        }
    }
    for (millis, registry, digest) in &census.turns {
        let blob = census.blobs.get(&(*registry, *digest));
        findings.demand(
            "a turn is its blob's",
            blob.is_some_and(|blob| blob.due == Some(*millis)),
            &(millis, registry, digest),
        );
    }
    for (object, owner) in &census.objects {
        let blob = census.blobs.get(&(owner.registry, owner.digest));
        findings.demand(
            "an object is its owner's",
            blob.is_some_and(|blob| blob.place == BlobPlace::Stored(*object)),
            object,
        );
    }
}

fn registries(census: &Census, findings: &mut Findings) {
    for registry in census.registries.values() {
        findings.demand(
            "a registry that bears a name has usage",
            census.usage.contains_key(registry),
            registry,
        );
    }
    for registry in census.usage.keys() {
        findings.demand(
            "a registry bears one name at most",
            census
                .registries
                .values()
                .filter(|named| *named == registry)
                .count()
                <= 1,
            registry,
        );
    }
    for (registry, claim) in &census.claims {
        let name = claim.name.as_str();
        findings.demand(
            "a name that a registry lost is borne by an older one",
            census
                .registries
                .get(name)
                .is_some_and(|bearer| bearer < registry),
            registry,
        );
    }
    let mut forgotten = census.answers.clone();
    for (version, request) in &census.requests {
        findings.demand(
            "a remembered request has its answer, and one place in the order",
            forgotten.remove(request).is_some(),
            &(version, request),
        );
    }
    for request in forgotten.keys() {
        findings.demand("an answer has its place in the order", false, request);
    }
}
