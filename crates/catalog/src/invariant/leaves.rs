//! Leaves first: what a state shows is closed, and what waits lacks just what it waits for.

use super::Findings;
use super::census::{Census, Named};
use crate::row::{Manifest, Standing};

pub(super) fn check(census: &Census, findings: &mut Findings) {
    for (named, manifest) in &census.manifests {
        presence(census, named, manifest, findings);
        bytes(census, named, manifest, findings);
        leaves(census, named, manifest, findings);
    }
    for named in census.bodies.keys().chain(census.needs.keys()) {
        findings.demand(
            "bytes and needs belong to a present manifest",
            census.manifests.get(named).is_some_and(Manifest::has_body),
            named,
        );
    }
    tags(census, findings);
}

/// A manifest is present while it was put since it was deleted, or a present one needs it.
fn presence(census: &Census, named: &Named, manifest: &Manifest, findings: &mut Findings) {
    let is_present = manifest.is_added() || census.is_child(named);
    findings.demand(
        "what is put or needed is present",
        !is_present || !manifest.is_absent(),
        named,
    );
    findings.demand(
        "what is present is put or needed, or to be looked at",
        is_present || manifest.is_absent() || census.unneeded.contains(named),
        named,
    );
    let is_wanted = manifest.standing == Standing::Wanted;
    findings.demand(
        "a manifest is wanted while its bytes or its description are",
        census.wanted.contains(named) == (is_wanted || manifest.is_misdescribed),
        named,
    );
    findings.demand(
        "what has no bytes here is not misdescribed",
        manifest.has_body() || !manifest.is_misdescribed,
        named,
    );
}

fn bytes(census: &Census, named: &Named, manifest: &Manifest, findings: &mut Findings) {
    let has_body = manifest.has_body();
    findings.demand(
        "a manifest has bytes exactly while it is complete or waits for leaves",
        census.bodies.get(named).copied() == has_body.then_some(manifest.size),
        named,
    );
    findings.demand(
        "a manifest has needs exactly while it has bytes",
        census.needs.contains_key(named) == has_body,
        named,
    );
    findings.demand(
        "what has bytes has a media type",
        !has_body || manifest.media_type.is_some(),
        named,
    );
}

/// What a manifest needs is here, but for that of which it is to be told.
fn leaves(census: &Census, named: &Named, manifest: &Manifest, findings: &mut Findings) {
    let (place, digest) = named;
    let Some(needs) = census.needs.get(named) else {
        return;
    };
    let mut missing = 0;
    for leaf in needs.distinct_blobs() {
        let leaf = (place.clone(), leaf);
        let waits = census.waiting_for_blob.contains(&(leaf.clone(), *digest));
        missing += u64::from(waits);
        findings.demand(
            "a blob that a manifest needs and does not wait for is present",
            waits || is_blob(census, &leaf),
            &(named, &leaf),
        );
    }
    for leaf in needs.distinct_children() {
        let leaf = (place.clone(), leaf);
        let waits = census.waiting_for_child.contains(&(leaf.clone(), *digest));
        missing += u64::from(waits);
        findings.demand(
            "a child that an index needs and does not wait for is exposed",
            waits || census.is_exposed(&leaf) || is_blob(census, &leaf),
            &(named, &leaf),
        );
    }
    let standing = match missing {
        0 => Standing::Exposed,
        missing => Standing::Waiting(missing),
    };
    findings.demand(
        "a manifest counts what it waits for",
        manifest.standing == standing,
        named,
    );
}

fn tags(census: &Census, findings: &mut Findings) {
    for ((place, name), tag) in &census.tags {
        let named = (place.clone(), tag.digest);
        let manifest = census.manifests.get(&named);
        let is_shown =
            manifest.is_some_and(|manifest| manifest.is_exposed() && manifest.shows(tag.version));
        let sweep = census.sweeps.get(&named);
        findings.demand(
            "a tag that is not yet swept shows an exposed manifest",
            is_shown || sweep.is_some_and(|sweep| sweep.after.as_ref() < Some(name)),
            &(place, name),
        );
    }
}

fn is_blob(census: &Census, named: &Named) -> bool {
    let ((registry, _), digest) = named;
    census.links.contains_key(named) && census.blobs.contains_key(&(*registry, *digest))
}
