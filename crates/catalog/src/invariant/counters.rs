//! Counters equal a recount.

use std::collections::BTreeMap;

use meridian_event::RegistryId;

use super::Findings;
use super::census::{Census, Place};
use crate::Usage;
use crate::row::Repository;

pub(super) fn check(census: &Census, findings: &mut Findings) {
    let (repositories, usage) = recount(census);
    compare(
        findings,
        "a repository's counters equal a recount",
        &census.repositories,
        &repositories,
    );
    let counted = census
        .usage
        .iter()
        .map(|(registry, usage)| (*registry, *usage))
        .filter(|(_, usage)| *usage != Usage::default());
    compare(
        findings,
        "a registry's usage equals a recount",
        &counted.collect(),
        &usage,
    );
    let requests = census.requests.len() as u64;
    findings.demand(
        "the number of requests equals a recount",
        census.system.as_ref().map_or(0, |system| system.requests) == requests,
        &requests,
    );
}

/// Compares two maps, name by name.
fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    findings: &mut Findings,
    invariant: &'static str,
    said: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
) {
    let unsaid = found.keys().filter(|name| !said.contains_key(name));
    for name in said.keys().chain(unsaid) {
        let (said, found) = (said.get(name), found.get(name));
        findings.demand(invariant, said == found, &(name, said, found));
    }
}

fn recount(census: &Census) -> (BTreeMap<Place, Repository>, BTreeMap<RegistryId, Usage>) {
    let mut repositories = BTreeMap::<Place, Repository>::new();
    let mut usage = BTreeMap::<RegistryId, Usage>::new();
    for ((place, _), manifest) in &census.manifests {
        if manifest.is_absent() {
            continue;
        }
        let repository = repositories.entry(place.clone()).or_default();
        let usage = usage.entry(place.0).or_default();
        if manifest.is_exposed() {
            repository.manifests += 1;
            usage.manifests += 1;
            usage.manifest_bytes = usage.manifest_bytes.wrapping_add(manifest.size);
        } else {
            repository.unexposed += 1;
            usage.unexposed += 1;
        }
    }
    for ((place, _), _) in &census.waiting_tags {
        repositories.entry(place.clone()).or_default().waiting += 1;
    }
    for ((place, _), _) in &census.waiting_for_blob {
        usage.entry(place.0).or_default().awaited += 1;
    }
    for (place, _) in census.tags.keys() {
        repositories.entry(place.clone()).or_default().tags += 1;
        usage.entry(place.0).or_default().tags += 1;
    }
    for (place, _) in census.links.keys() {
        repositories.entry(place.clone()).or_default().links += 1;
    }
    for (place, _) in census.sweeps.keys() {
        repositories.entry(place.clone()).or_default().sweeps += 1;
    }
    for ((registry, _), blob) in &census.blobs {
        let usage = usage.entry(*registry).or_default();
        usage.blobs += 1;
        usage.blob_bytes = usage.blob_bytes.wrapping_add(blob.size);
    }
    for (registry, _) in repositories.keys() {
        usage.entry(*registry).or_default().repositories += 1;
    }
    (repositories, usage)
}
