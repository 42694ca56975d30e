//! One of everything.

use meridian_clock::Version;
use meridian_event::{Envelope, Event, EventId, Leaf, RegistryId};
use meridian_oci::{Algorithm, Digest, MediaType, RepositoryName, Tag as TagName};
use serde_json::{Value, json};

use super::ENTRY;
use crate::row::{
    Answer, Blob, Link, Manifest, Needs, Outgoing, Owner, Repository, Row, Spent, Sweep, Tag,
    TagCell,
};
use crate::{
    BlobPlace, Collect, Command, Condition, Encoding, Entry, NewManifest, ObjectKey, Referrer,
    Reply, RequestId, Settings, Stream, System, Usage, key,
};

pub(super) struct Sample {
    pub(super) kind: &'static str,
    /// Empty, or a hyphen and a word.
    pub(super) case: &'static str,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn samples() -> Vec<Sample> {
    let mut samples = vec![
        row("", &system()),
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
        row("", &Sweep { after: name("v1") }),
    ];
    samples.extend(replies().map(|(case, reply)| row(case, &Answer { reply })));
    samples.extend(events().map(|(case, event)| row(case, &outgoing(event))));
    samples.extend(commands().map(|(case, command)| entry(case, command)));
    samples
}

fn row<T: Row>(case: &'static str, row: &T) -> Sample {
    Sample {
        kind: T::NAME,
        case,
        bytes: row.encode(),
    }
}

fn entry(case: &'static str, command: Command) -> Sample {
    let entry = Entry {
        millis: 1_760_000_000_000,
        request: (case != "-sweep").then(request),
        command,
    };
    Sample {
        kind: ENTRY.name,
        case,
        bytes: postcard::to_stdvec(&entry).unwrap(),
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
    }
}

fn manifest_cell(media_type: MediaType, del: Option<Version>) -> Manifest {
    Manifest {
        add: version(8),
        del,
        size: 1_234,
        media_type,
    }
}

fn needs() -> Needs {
    Needs {
        blobs: vec![leaf(1), long_leaf()],
        children: vec![leaf(2)],
        subject: Some(digest(3)),
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
    ]
    .into_iter()
}

fn outgoing(event: Event) -> Outgoing {
    Outgoing(Envelope {
        id: EventId {
            region: name("eu-west"),
            epoch: 3,
            shard: 15,
            seq: (1 << 63) + 1,
        },
        version: version(3),
        registry: registry(),
        event,
    })
}

fn events() -> impl Iterator<Item = (&'static str, Event)> {
    let repository: RepositoryName = name("team/app");
    [
        Event::RegistryCreated {
            name: "default".into(),
        },
        Event::ManifestPut {
            repository: repository.clone(),
            manifest: leaf(9),
            media_type: MediaType::DOCKER_MANIFEST,
            tags: vec![name("v1"), name("latest")],
            blobs: vec![leaf(1), long_leaf()],
            children: vec![leaf(2)],
            subject: Some(digest(3)),
        },
        Event::ManifestDeleted {
            repository: repository.clone(),
            digest: digest(9),
        },
        Event::TagDeleted {
            repository: repository.clone(),
            tag: name("v1"),
            digest: digest(9),
        },
        Event::BlobPut {
            repository: repository.clone(),
            blob: leaf(1),
            mounted_from: Some(name("team/base")),
        },
        Event::BlobDeleted {
            repository,
            digest: digest(1),
        },
    ]
    .into_iter()
    .map(|event| (event_case(&event), event))
}

/// A new kind of event needs a name here, and a sample above.
const fn event_case(event: &Event) -> &'static str {
    match event {
        Event::RegistryCreated { .. } => "-registry-created",
        Event::ManifestPut { .. } => "-manifest-put",
        Event::ManifestDeleted { .. } => "-manifest-deleted",
        Event::TagDeleted { .. } => "-tag-deleted",
        Event::BlobPut { .. } => "-blob-put",
        Event::BlobDeleted { .. } => "-blob-deleted",
    }
}

fn commands() -> impl Iterator<Item = (&'static str, Command)> {
    let (registry_name, repository) = (name("default"), name::<RepositoryName>("team/app"));
    let candidates = vec![(registry(), digest(1)), (registry(), long_leaf().digest)];
    let put = NewManifest {
        registry: name("default"),
        repository: repository.clone(),
        digest: digest(9),
        media_type: MediaType::OCI_IMAGE_MANIFEST,
        bytes: br#"{"schemaVersion":2}"#.to_vec(),
        blobs: vec![leaf(1), long_leaf()],
        foreign: vec![leaf(4)],
        children: vec![leaf(2)],
        subject: Some(digest(3)),
        referrer: Some((Some("sbom".to_owned()), "{}".to_owned())),
        tags: vec![name("v1")],
        condition: Some(Condition::PointsAt(digest(8))),
    };
    vec![
        Command::Initialize {
            region: name("eu-west"),
            epoch: 3,
            settings: settings(),
        },
        Command::Configure(settings()),
        Command::CreateRegistry {
            name: name("default"),
        },
        Command::PutManifest(Box::new(put)),
        Command::DeleteManifest {
            registry: name("default"),
            repository: repository.clone(),
            digest: digest(9),
            condition: None,
        },
        Command::DeleteTag {
            registry: name("default"),
            repository: repository.clone(),
            tag: name::<TagName>("v1"),
            condition: Some(Condition::Absent),
        },
        Command::PutBlob {
            registry: name("default"),
            repository: repository.clone(),
            blob: leaf(1),
            encoding: Encoding::Plain,
            place: BlobPlace::Stored(object()),
        },
        Command::MountBlob {
            registry: name("default"),
            repository: repository.clone(),
            from: Some(name("team/base")),
            digest: digest(1),
        },
        Command::TouchBlob {
            registry: name("default"),
            repository: repository.clone(),
            digest: digest(1),
        },
        Command::DeleteBlob {
            registry: registry_name,
            repository,
            digest: long_leaf().digest,
        },
        Command::ReserveGenerations { count: 1 << 20 },
        Command::Collect(Collect::Condemn(candidates.clone())),
        Command::Collect(Collect::Remove(candidates)),
        Command::Collect(Collect::Deleted(vec![object()])),
        Command::Sweep,
        Command::Acknowledge {
            epoch: 3,
            through: vec![(0, 1), (15, u64::MAX)],
        },
    ]
    .into_iter()
    .map(|command| (command_case(&command), command))
}

/// A new command needs a name here, and a sample above.
const fn command_case(command: &Command) -> &'static str {
    match command {
        Command::Initialize { .. } => "-initialize",
        Command::Configure(_) => "-configure",
        Command::CreateRegistry { .. } => "-create-registry",
        Command::PutManifest(_) => "-put-manifest",
        Command::DeleteManifest { .. } => "-delete-manifest",
        Command::DeleteTag { .. } => "-delete-tag",
        Command::PutBlob { .. } => "-put-blob",
        Command::MountBlob { .. } => "-mount-blob",
        Command::TouchBlob { .. } => "-touch-blob",
        Command::DeleteBlob { .. } => "-delete-blob",
        Command::ReserveGenerations { .. } => "-reserve-generations",
        Command::Collect(Collect::Condemn(_)) => "-condemn",
        Command::Collect(Collect::Remove(_)) => "-remove",
        Command::Collect(Collect::Deleted(_)) => "-deleted",
        Command::Sweep => "-sweep",
        Command::Acknowledge { .. } => "-acknowledge",
    }
}

/// Every kind of key, in hexadecimal digits.
pub(super) fn keys() -> Value {
    let (id, place) = (registry(), name("team/app"));
    let hex = |key: &[u8]| {
        key.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    json!({
        "system": hex(key::SYSTEM),
        "registry name": hex(&key::registry_name("default")),
        "usage": hex(&key::usage(id)),
        "repository": hex(&key::repository(id, &place)),
        "manifest": hex(&key::manifests(id, &place).digest(digest(1))),
        "body": hex(&key::bodies(id, &place).digest(digest(1))),
        "needs": hex(&key::needs(id, &place).digest(digest(1))),
        "tag cell": hex(&key::tag_cell(id, &place, &name("v1"))),
        "tag": hex(&key::tag(id, &place, &name("v1"))),
        "tag of a manifest": hex(&key::tags_of(id, &place).digest(digest(1)).text("v1")),
        "referrer": hex(&key::referrers(id, &place).digest(digest(1)).digest(digest(2))),
        "holder": hex(&key::holders(id, &place).digest(digest(1)).digest(digest(2))),
        "link": hex(&key::links(id, &place).digest(long_leaf().digest)),
        "repository of a blob": hex(&key::repositories_of(id, digest(1)).text("team/app")),
        "blob": hex(&key::blob(id, digest(1))),
        "turn": hex(&key::due(1_760_000_000_000, id, digest(1))),
        "object": hex(&key::object(3, 5)),
        "doomed object": hex(&key::doomed(3, 5)),
        "spent generations": hex(&key::spent(3, 5)),
        "sweep": hex(&key::sweeps(id, &place).digest(digest(1))),
        "request": hex(&key::request(request())),
        "request in order": hex(&key::request_at(version(2))),
        "stream": hex(&key::stream(15)),
        "event": hex(&key::outbox(15, (1 << 63) + 1)),
    })
}
