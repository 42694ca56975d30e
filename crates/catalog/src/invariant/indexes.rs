//! Rows that say the same thing twice agree, both ways.

use super::Findings;
use super::census::Census;
use crate::BlobPlace;

pub(super) fn check(census: &Census, findings: &mut Findings) {
    tags(census, findings);
    needs(census, findings);
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
        findings.demand(
            "a tag shows its cell's winner",
            cell.is_some_and(|cell| cell.version == tag.version && cell.digest == Some(tag.digest)),
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
    for ((place, name), cell) in &census.tag_cells {
        let Some(digest) = cell.digest else { continue };
        let manifest = census.manifests.get(&(place.clone(), digest));
        let is_shown = census.tags.contains_key(&(place.clone(), name.clone()));
        findings.demand(
            "a winner is shown while its manifest is present",
            is_shown || manifest.is_some_and(|manifest| !manifest.shows(cell.version)),
            &(place, name),
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
            "a registry with usage bears one name",
            census
                .registries
                .values()
                .filter(|named| *named == registry)
                .count()
                == 1,
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
