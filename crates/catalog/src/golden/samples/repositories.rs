//! Rows of repositories' cells, and of attributes.

use meridian_event::{Attributes, Setting};

use super::{Sample, digest, row, version};
use crate::row::{Progress, RepositoryCell, Rights, Stage};

pub(super) fn rows() -> Vec<Sample> {
    let rights = Rights {
        settings: settings(),
    };
    let cell = RepositoryCell {
        del: Some(version(5)),
        is_swept: true,
        rights,
        own: 300,
        locks: 200,
        ended: 400,
        has_newer: true,
    };
    let progress = Progress {
        stage: Stage::Leases,
        after: digest(1).as_bytes().to_vec(),
    };
    vec![row("", &cell), row("", &rights), row("", &progress)]
}

pub(super) fn settings() -> Attributes<Option<Setting>> {
    let set = |counter, is_enabled| {
        Some(Setting {
            version: version(counter),
            is_enabled,
        })
    };
    Attributes {
        delete: set(6, true),
        write: set(7, false),
        ..Attributes::default()
    }
}
