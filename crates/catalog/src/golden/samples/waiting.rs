//! Rows that say what only several regions make necessary.

use meridian_oci::MediaType;

use super::events::{mark, notice};
use super::{
    Sample, leaf, manifest_cell, needs, referrer, repository_row, row, tag, usage, version,
};
use crate::Usage;
use crate::row::{
    Claim, Copied, Cursor, Drained, Floor, Heard, Manifest, Met, Needs, Own, Peers, Push, Removed,
    Repository, Standing, Sweep, Tag,
};

pub(super) fn rows() -> Vec<Sample> {
    vec![
        row(
            "",
            &Cursor {
                epoch: 3,
                seq: (1 << 63) + 1,
                version: None,
            },
        ),
        row(
            "",
            &Cursor {
                epoch: 3,
                seq: (1 << 63) + 1,
                version: Some(version(2)),
            },
        ),
        row(
            "",
            &Peers {
                regions: vec![super::name("ap"), super::name("us-east")],
            },
        ),
        row(
            "",
            &Drained {
                millis: 1 << 40,
                reason: "maintenance".to_owned(),
            },
        ),
        row(
            "",
            &Push {
                registry: super::registry(),
                notice: notice(),
                regions: vec![super::name("ap"), super::name("us-east")],
                waits: vec![super::name("ap")],
            },
        ),
        row("", &Copied { seq: 1 << 40 }),
        row(
            "",
            &Heard {
                version: version(2),
                mark: mark(),
                seen: 290,
                owed: vec![7],
                past: None,
            },
        ),
        row(
            "-past",
            &Heard {
                version: version(2),
                mark: mark(),
                seen: 290,
                owed: vec![7],
                past: Some(version(1)),
            },
        ),
        row(
            "",
            &Floor {
                version: version(1),
            },
        ),
        row("", &Own { born: version(1) }),
        row(
            "",
            &Met {
                born: Some(version(1)),
                since: version(2),
                accepted: None,
                is_accepted: true,
                heard: Some(version(3)),
            },
        ),
        row(
            "",
            &Removed {
                born: Some(version(1)),
                is_copied: true,
            },
        ),
        row(
            "",
            &Claim {
                name: super::name("default"),
            },
        ),
        row(
            "",
            &Usage {
                unexposed: 7,
                awaited: 8,
                ..usage()
            },
        ),
        row(
            "",
            &Repository {
                unexposed: 5,
                waiting: 6,
                ..repository_row()
            },
        ),
        row("", &raised()),
        row("-tombstone", &tombstone()),
        row("-wanted", &wanted()),
        row("-waiting", &waiting()),
        row(
            "",
            &Needs {
                referrer: Some(referrer("sbom")),
                ..needs()
            },
        ),
        row(
            "-behind",
            &Tag {
                is_behind: true,
                ..tag()
            },
        ),
        row("-unbegun", &Sweep { after: None }),
    ]
}

/// An image that was raised by an index.
fn raised() -> Manifest {
    Manifest {
        add: Some(version(9)),
        ..manifest_cell(MediaType::OCI_IMAGE_MANIFEST, None)
    }
}

/// A deletion that came before its put.
fn tombstone() -> Manifest {
    Manifest {
        del: Some(version(9)),
        ..Manifest::default()
    }
}

/// A child of which only its parent's put is known.
fn wanted() -> Manifest {
    Manifest {
        add: Some(version(9)),
        size: leaf(2).size,
        standing: Standing::Wanted,
        ..Manifest::default()
    }
}

fn waiting() -> Manifest {
    Manifest {
        del: Some(version(10)),
        standing: Standing::Waiting(3),
        is_misdescribed: true,
        ..manifest_cell("a/b".parse().unwrap(), None)
    }
}
