//! Repositories' cells: a deletion stands in every row once it is swept, and attributes are counted.

use std::collections::BTreeSet;

use super::Findings;
use super::census::{Census, Place};
use crate::key;

pub(super) fn check(census: &Census, findings: &mut Findings) {
    for (place, cell) in &census.repository_cells {
        let tags = census.tag_rights.keys().filter(|(of, _)| of == place);
        let manifests = census.manifest_rights.keys().filter(|(of, _)| of == place);
        let own = tags.count() + manifests.count();
        findings.demand(
            "a repository counts what has attributes of its own",
            cell.own == own as u64,
            &(place, own),
        );
        let locked = locked(census, place);
        let written = census.locked.get(place).cloned().unwrap_or_default();
        findings.demand(
            "a repository knows what is locked in it, and counts it",
            cell.locks == locked.len() as u64 && written == locked,
            &(place, locked),
        );
        let ended = census.ended.iter().filter(|(of, _)| of == place).count();
        findings.demand(
            "a repository counts the links that ended with it",
            cell.ended == ended as u64,
            &(place, ended),
        );
        let is_to_be_swept = census.covered.contains(place);
        findings.demand(
            "what is to be swept of a repository is written down",
            is_to_be_swept == cell.cover().is_some(),
            &(place, cell),
        );
        let mut manifests = census.manifests.iter();
        let behind = manifests.find(|((of, _), row)| of == place && row.del < cell.del);
        findings.demand(
            "where a repository is swept, its deletion stands in every manifest",
            behind.is_none() || is_to_be_swept,
            &(place, behind),
        );
        let is_void = |of: &_, rights: &crate::row::Rights| {
            of == place && !is_to_be_swept && rights.since(cell.del) != *rights
        };
        let mut tags = census.tag_rights.iter();
        let mut manifests = census.manifest_rights.iter();
        findings.demand(
            "where a repository is swept, no attribute is older than its deletion",
            !tags.any(|((of, _), rights)| is_void(of, rights))
                && !manifests.any(|((of, _), rights)| is_void(of, rights)),
            place,
        );
    }
    for (named, link) in &census.links {
        let (place, digest) = named;
        let Some(cell) = census.repository_cells.get(place) else {
            continue;
        };
        let is_old = Some(link.add) <= cell.del;
        let mut holders = census.holders.iter();
        let is_held = holders.any(|((of, leaf), _)| of == place && leaf == digest);
        let must_end = is_old && !is_held && !census.covered.contains(place);
        let has_ended = census.ended.contains(named);
        findings.demand(
            "a link that is older than its repository's deletion ends, and no other one",
            (!must_end || has_ended) && (!has_ended || (is_old && !is_held)),
            &(named, link),
        );
    }
    for named in &census.ended {
        findings.demand(
            "a link that ended is there",
            census.links.contains_key(named),
            named,
        );
    }
    let tags = census.tag_rights.keys().map(|(place, _)| place);
    let manifests = census.manifest_rights.keys().map(|(place, _)| place);
    for place in tags.chain(manifests).chain(&census.covered) {
        findings.demand(
            "attributes, and what is to be swept, are of a repository with a cell",
            census.repository_cells.contains_key(place),
            place,
        );
    }
}

/// What must not be deleted by its own attributes.
fn locked(census: &Census, place: &Place) -> BTreeSet<Vec<u8>> {
    let is_locked = |rights: &crate::row::Rights| !rights.in_force(None).may_be_deleted();
    let tags = census.tag_rights.iter().filter(|((of, _), _)| of == place);
    let tags = tags.filter(|(_, rights)| is_locked(rights));
    let tags = tags.map(|((_, tag), _)| [b"l", tag.as_str().as_bytes()].concat());
    let manifests = census.manifest_rights.iter();
    let manifests = manifests.filter(|((of, _), rights)| of == place && is_locked(rights));
    let prefix = key::manifest_attributes(place.0, &place.1);
    let manifests = manifests.map(|((_, digest), _)| {
        let key = prefix.clone().digest(*digest);
        [b"b", &key[prefix.len()..]].concat()
    });
    tags.chain(manifests).collect()
}
