//! Bytes of every kind of event, as they were once written to a topic.
//!
//! `tests/golden/event/<kind>/v<n>.bin` are the bytes, `v<n>.json` is what they mean. Files are added
//! and never edited: what is in a topic stays there, and a peer may be a version behind. A kind
//! without files has its first ones written by this test, which then fails, so that somebody looks
//! at them. When the bytes of a kind change, which only ever means that a field was added, a sample
//! with the field goes into the next `v<n>`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use meridian_clock::Version;
use meridian_event::webhook::{
    Action, DisableReason, Disabled, Format, Registration, Sealed, Status, Webhook, WebhookId,
};
use meridian_event::{
    Attributes, Envelope, Event, EventId, Leaf, Mark, Notice, RegistryId, Target,
};
use meridian_oci::{Algorithm, Digest, MediaType};
use meridian_proto::{decode_envelope, encode_envelope};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/golden/event")
}

/// What the folder of an event's kind is called.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::RegistryCreated { .. } => "registry_created",
        Event::ManifestPut { .. } => "manifest_put",
        Event::ManifestDeleted { .. } => "manifest_deleted",
        Event::TagDeleted { .. } => "tag_deleted",
        Event::BlobPut { .. } => "blob_put",
        Event::BlobDeleted { .. } => "blob_deleted",
        Event::Replicated(_) => "replicated",
        Event::ReplicatedAll { .. } => "replicated_all",
        Event::Heartbeat { .. } => "heartbeat",
        Event::AttributesSet { .. } => "attributes_set",
        Event::RepositoryDeleted { .. } => "repository_deleted",
        Event::WebhookSet { .. } => "webhook_set",
    }
}

fn registration() -> Registration {
    let version = |counter| Version {
        millis: 1_700_000_000_000,
        counter,
        region: "eu".parse().unwrap(),
    };
    Registration {
        id: WebhookId::new(version(1)),
        since: version(2),
        webhook: Webhook {
            name: "deploys1".parse().unwrap(),
            region: Some("us-east".parse().unwrap()),
            actions: [Action::Push, Action::ReplicatedAll].into(),
            scope: "team/*:v?".parse().unwrap(),
            status: Status::Disabled,
            format: Format::CloudEventsBinary,
            available_in: ["asia", "eu"].map(|name| name.parse().unwrap()).into(),
        },
        sealed: Sealed(vec![1, 2, 0xff]),
        disabled: Some(Disabled {
            at: version(3),
            reason: DisableReason::Failing {
                since: 1_699_000_000_000,
            },
        }),
    }
}

/// One event of every kind, with all that it can carry. A new arm of [`kind`] needs one here.
fn samples() -> Vec<Envelope> {
    let sha256 = |text: &str| Digest::of(Algorithm::Sha256, text.as_bytes());
    let sha512 = |text: &str| Digest::of(Algorithm::Sha512, text.as_bytes());
    let leaf = |text: &str, size| Leaf {
        digest: sha256(text),
        size,
    };
    let repository = || "team/app".parse().unwrap();
    let version = |millis, counter, region: &str| Version {
        millis,
        counter,
        region: region.parse().unwrap(),
    };
    let notice = || {
        Box::new(Notice {
            push: EventId {
                region: "eu".parse().unwrap(),
                epoch: 1,
                shard: 15,
                seq: 130,
            },
            repository: repository(),
            manifest: leaf("manifest", 1234),
            media_type: MediaType::OCI_IMAGE_MANIFEST,
            tags: vec!["1".parse().unwrap()],
        })
    };
    let events = [
        Event::RegistryCreated {
            name: "default".into(),
        },
        Event::ManifestPut {
            repository: repository(),
            manifest: Leaf {
                digest: sha512("manifest"),
                size: 1234,
            },
            media_type: MediaType::OCI_IMAGE_MANIFEST,
            tags: vec!["1".parse().unwrap(), "latest".parse().unwrap()],
            blobs: vec![leaf("config", 2), leaf("layer", u64::MAX)],
            children: vec![leaf("child", 77)],
            subject: Some(sha256("subject")),
        },
        Event::ManifestDeleted {
            repository: repository(),
            digest: sha256("manifest"),
        },
        Event::TagDeleted {
            repository: repository(),
            tag: "latest".parse().unwrap(),
            digest: sha256("manifest"),
        },
        Event::BlobPut {
            repository: repository(),
            blob: leaf("layer", 5_000_000_000),
            mounted_from: Some("library/base".parse().unwrap()),
        },
        Event::BlobDeleted {
            repository: repository(),
            digest: sha512("layer"),
        },
        Event::Replicated(notice()),
        Event::ReplicatedAll {
            notice: notice(),
            regions: vec!["asia".parse().unwrap(), "us-east".parse().unwrap()],
        },
        Event::Heartbeat {
            marks: vec![Mark {
                origin: "eu".parse().unwrap(),
                epoch: 1,
                merged: 300,
                version: Some(version(1_700_000_000_122, 1, "eu")),
                copied: 5,
                complete: 299,
                except: vec![7, 130],
            }],
        },
        Event::AttributesSet {
            repository: repository(),
            target: Target::Manifest(sha256("manifest")),
            attributes: Attributes {
                delete: Some(true),
                write: Some(false),
                read: Some(true),
                list: Some(false),
            },
        },
        Event::RepositoryDeleted {
            repository: repository(),
        },
        Event::WebhookSet {
            name: "deploys1".parse().unwrap(),
            registration: Some(Box::new(registration())),
        },
    ];
    let envelope = |event| Envelope {
        id: EventId {
            region: "us-east".parse().unwrap(),
            epoch: 1 << 63,
            shard: 15,
            seq: u64::MAX,
        },
        version: version(1_700_000_000_123, u32::MAX, "us-east"),
        registry: RegistryId::new(version(1_600_000_000_000, 7, "eu")),
        event,
    };
    events.into_iter().map(envelope).collect()
}

/// The bytes and the meanings of a kind, by version.
fn recorded(folder: &Path) -> BTreeMap<u32, (Vec<u8>, Value)> {
    let mut recorded = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let version = stem.strip_prefix('v').unwrap().parse().unwrap();
        let bytes = std::fs::read(path.with_extension("bin")).unwrap();
        let meaning = std::fs::read(path.with_extension("json")).unwrap();
        let meaning = serde_json::from_slice(&meaning).unwrap();
        recorded.insert(version, (bytes, meaning));
    }
    recorded
}

/// Whether `found` has everything that `wanted` has; it may have fields that came later.
fn includes(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| found.get(name).is_some_and(|found| includes(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| includes(a, b))
        }
        _ => found == wanted,
    }
}

#[test]
fn every_kind_of_event_has_its_bytes_on_record() {
    let mut written = Vec::new();
    for envelope in samples() {
        let folder = folder().join(kind(&envelope.event));
        if !folder.exists() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("v1.bin"), encode_envelope(&envelope)).unwrap();
            let mut meaning = serde_json::to_string_pretty(&envelope).unwrap();
            meaning.push('\n');
            std::fs::write(folder.join("v1.json"), meaning).unwrap();
            written.push(folder);
        }
    }
    assert!(written.is_empty(), "written now, look at them: {written:?}");
}

#[test]
fn what_was_once_written_is_read_for_ever() {
    let mut kinds = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let folder = entry.unwrap().path();
        let recorded = recorded(&folder);
        assert!(!recorded.is_empty(), "{folder:?} is empty");
        for (version, (bytes, meaning)) in &recorded {
            let envelope = decode_envelope(bytes).unwrap();
            assert_eq!(kind(&envelope.event), folder.file_name().unwrap());
            let found = serde_json::to_value(&envelope).unwrap();
            assert!(
                includes(&found, meaning),
                "v{version} of {folder:?} reads {found}"
            );
        }
        let (_, (newest, _)) = recorded.last_key_value().unwrap();
        let again = encode_envelope(&decode_envelope(newest).unwrap());
        assert_eq!(&again, newest, "bytes of {folder:?} have changed");
        kinds += 1;
    }
    assert_eq!(kinds, samples().len());
}
