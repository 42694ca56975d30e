//! One of everything.

mod commands;
mod events;
mod keys;
mod repositories;
mod waiting;
mod webhooks;

use meridian_clock::Version;
use meridian_event::{Leaf, RegistryId, TraceContext};
use meridian_oci::{Algorithm, Digest, MediaType};

use crate::row::{
    Answer, Blob, Link, Manifest, Needs, Owner, Repository, Row, Spent, Standing, Sweep, Tag,
    TagCell,
};
use crate::{
    BlobPlace, Encoding, ObjectKey, Referrer, Reply, RequestId, Settings, Stream, System, Usage,
};
pub(super) use keys::{
    drain_keys, keys, later_keys, notice_keys, repository_keys, tombstone_keys, webhook_keys,
};

pub(super) struct Sample {
    pub(super) kind: &'static str,
    pub(super) format: u8,
    /// Empty, or a hyphen and a word.
    pub(super) case: &'static str,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn samples() -> Vec<Sample> {
    let mut samples = vec![
        row("", &system()),
        row(
            "-forgetful",
            &System {
                forgotten: Some(version(3)),
                ..system()
            },
        ),
        row("", &usage()),
        row("", &stream()),
        row("", &referrer("sbom")),
        row(
            "-untyped",
            &Referrer {
                artifact_type: None,
                ..referrer("")
            },
        ),
        row("", &repository_row()),
        row("", &manifest_cell(MediaType::OCI_IMAGE_INDEX, None)),
        row(
            "-deleted",
            &manifest_cell("a/b".parse().unwrap(), Some(version(9))),
        ),
        row("", &needs()),
        row("", &tag_cell(Some(digest(1)))),
        row("-deleted", &tag_cell(None)),
        row("", &tag()),
        row("", &link()),
        row("", &blob(BlobPlace::Stored(object()))),
        row("-inline", &blob(BlobPlace::Inline(b"{}".to_vec()))),
        row("", &registry()),
        row("", &request()),
        row("", &owner()),
        row("", &Spent { bits: 0b1011 }),
        row(
            "",
            &Sweep {
                after: Some(name("v1")),
            },
        ),
    ];
    samples.extend(replies().map(|(case, reply)| row(case, &Answer { reply })));
    samples.extend(events::all().map(|(case, event)| row(case, &event)));
    samples.push(row("-traced", &events::traced()));
    samples.extend(waiting::rows());
    samples.extend(repositories::rows().into_iter().chain(webhooks::rows()));
    samples.extend(commands::entries());
    samples
}

fn row<T: Row>(case: &'static str, row: &T) -> Sample {
    Sample {
        kind: T::NAME,
        format: row.format(),
        case,
        bytes: row.encode(),
    }
}

fn version(counter: u32) -> Version {
    Version {
        millis: 1_760_000_000_000,
        counter,
        region: "eu-west".parse().unwrap(),
    }
}

fn registry() -> RegistryId {
    RegistryId::new(version(1))
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn trace() -> TraceContext {
    name("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
}

fn digest(content: u8) -> Digest {
    Digest::of(Algorithm::Sha256, &[content])
}

fn leaf(content: u8) -> Leaf {
    Leaf {
        digest: digest(content),
        size: 1 << content,
    }
}

fn long_leaf() -> Leaf {
    Leaf {
        digest: Digest::of(Algorithm::Sha512, b"long"),
        size: 1 << 40,
    }
}

fn object() -> ObjectKey {
    ObjectKey {
        epoch: 3,
        generation: (1 << 63) + 5,
    }
}

fn request() -> RequestId {
    RequestId(*b"sixteen bytes id")
}

fn settings() -> Settings {
    Settings {
        lease_millis: 604_800_000,
        grace_millis: 86_400_000,
        request_millis: 600_000,
        request_count: 100_000,
    }
}

fn system() -> System {
    System {
        region: name("eu-west"),
        epoch: 3,
        last: version(u32::MAX),
        next_generation: (1 << 63) + 7,
        requests: 12,
        settings: settings(),
        forgotten: None,
    }
}

fn usage() -> Usage {
    Usage {
        repositories: 1,
        manifests: 2,
        manifest_bytes: 3_000,
        tags: 4,
        blobs: 5,
        blob_bytes: 6_000_000_000,
        unexposed: 0,
        awaited: 0,
    }
}

fn stream() -> Stream {
    Stream {
        epoch: 3,
        next: (1 << 31) + 2,
        acknowledged: 1 << 31,
    }
}

fn referrer(kind: &str) -> Referrer {
    Referrer {
        artifact_type: Some(kind.to_owned()),
        descriptor: r#"{"size":7}"#.to_owned(),
    }
}

fn repository_row() -> Repository {
    Repository {
        manifests: 1,
        tags: 2_000,
        links: 3,
        sweeps: 4,
        unexposed: 0,
        waiting: 0,
    }
}

fn manifest_cell(media_type: MediaType, del: Option<Version>) -> Manifest {
    Manifest {
        add: Some(version(8)),
        del,
        put: Some(version(8)),
        media_type: Some(media_type),
        size: 1_234,
        standing: match del {
            None => Standing::Exposed,
            Some(_) => Standing::Absent,
        },
        is_misdescribed: false,
    }
}

fn needs() -> Needs {
    Needs {
        blobs: vec![leaf(1), long_leaf()],
        children: vec![leaf(2)],
        subject: Some(digest(3)),
        referrer: None,
    }
}

fn tag_cell(digest: Option<Digest>) -> TagCell {
    TagCell {
        version: version(4),
        digest,
    }
}

fn tag() -> Tag {
    Tag {
        version: version(4),
        digest: digest(1),
        is_behind: false,
    }
}

fn link() -> Link {
    Link {
        add: version(5),
        lease: 1_760_604_800_000,
    }
}

fn blob(place: BlobPlace) -> Blob {
    Blob {
        size: 31_000_000,
        touched: version(6),
        condemned: matches!(place, BlobPlace::Inline(_)).then(|| version(7)),
        due: Some(1_760_604_800_000),
        encoding: Encoding::Plain,
        place,
    }
}

fn owner() -> Owner {
    Owner {
        registry: registry(),
        digest: long_leaf().digest,
    }
}

fn replies() -> impl Iterator<Item = (&'static str, Reply)> {
    [
        (
            "-done",
            Reply::Done {
                version: version(2),
            },
        ),
        (
            "-reserved",
            Reply::Reserved {
                epoch: 3,
                first: 1 << 31,
                count: 1 << 20,
            },
        ),
        (
            "-collected",
            Reply::Collected {
                objects: 2,
                bytes: 1 << 40,
            },
        ),
        (
            "-kept",
            Reply::Kept {
                version: version(2),
                registry: registry(),
                object: object(),
            },
        ),
        (
            "-merged",
            Reply::Merged {
                seq: (1 << 63) + 1,
                is_stopped: true,
            },
        ),
    ]
    .into_iter()
}
