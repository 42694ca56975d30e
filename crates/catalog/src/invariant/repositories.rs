//! Repositories' cells: a deletion stands in every row once it is swept, and attributes are counted.

use super::Findings;
use super::census::Census;

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
