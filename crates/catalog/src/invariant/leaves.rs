//! Leaves first: what a state shows is closed.

use super::Findings;
use super::census::{Census, Named};

pub(super) fn check(census: &Census, findings: &mut Findings) {
    for (named, manifest) in &census.manifests {
        let is_present = manifest.is_present();
        findings.demand(
            "a manifest has bytes exactly while it is present",
            census.bodies.get(named).copied() == is_present.then_some(manifest.size),
            named,
        );
        findings.demand(
            "a manifest has needs exactly while it is present",
            census.needs.contains_key(named) == is_present,
            named,
        );
    }
    for named in census.bodies.keys().chain(census.needs.keys()) {
        findings.demand(
            "bytes and needs belong to a present manifest",
            census.is_present(named),
            named,
        );
    }
    for (named, needs) in &census.needs {
        let (place, _) = named;
        for leaf in &needs.blobs {
            findings.demand(
                "what a present manifest needs is present",
                is_blob(census, &(place.clone(), leaf.digest)),
                &(named, leaf),
            );
        }
        for leaf in &needs.children {
            let leaf = (place.clone(), leaf.digest);
            findings.demand(
                "what a present index names is present",
                census.is_present(&leaf) || is_blob(census, &leaf),
                &(named, &leaf),
            );
        }
    }
    for ((place, name), tag) in &census.tags {
        let manifest = (place.clone(), tag.digest);
        let is_shown = census
            .manifests
            .get(&manifest)
            .is_some_and(|manifest| manifest.shows(tag.version));
        let sweep = census.sweeps.get(&manifest);
        findings.demand(
            "a tag that is not yet swept shows a present manifest",
            is_shown || sweep.is_some_and(|sweep| sweep.after < *name),
            &(place, name),
        );
    }
}

fn is_blob(census: &Census, named: &Named) -> bool {
    let ((registry, _), digest) = named;
    census.links.contains_key(named) && census.blobs.contains_key(&(*registry, *digest))
}
