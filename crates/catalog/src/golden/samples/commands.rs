//! Every kind of entry.

use meridian_event::webhook::{Change, DisableReason, Place, Record, Sealed, WebhookId};
use meridian_event::{Attributes, Event, RegistryId, Target};
use meridian_oci::{MediaType, RepositoryName, Tag};

use super::{
    Sample, digest, events, leaf, long_leaf, name, object, registry, repositories, request,
    settings, trace, version, webhooks,
};
use crate::golden::ENTRY;
use crate::{
    ArrivedBlob, ArrivedManifest, BlobPlace, Collect, Command, Condition, Counted, Deliver, Drain,
    Encoding, Entry, Found, FoundManifest, FoundPut, FoundTag, Introduction, ManifestBody, NewBlob,
    NewManifest, NewWebhook, ObjectKey, RemoteEvent, RemoteEvents,
};

pub(super) fn entries() -> impl Iterator<Item = Sample> {
    let traced = [("-traced", true), ("-traced-unnamed", false)].map(|(case, is_named)| {
        let entry = Entry {
            millis: 1_760_000_000_000,
            request: is_named.then(request),
            trace: Some(trace()),
            command: Command::DeleteTag {
                registry: name("default"),
                repository: name("team/app"),
                tag: name("v1"),
                condition: None,
            },
        };
        sample(case, &entry)
    });
    commands()
        .map(|(case, command)| entry(case, command))
        .chain(traced)
}

fn entry(case: &'static str, command: Command) -> Sample {
    let entry = Entry {
        millis: 1_760_000_000_000,
        request: (case != "-sweep").then(request),
        trace: None,
        command,
    };
    sample(case, &entry)
}

fn sample(case: &'static str, entry: &Entry) -> Sample {
    Sample {
        kind: ENTRY.name,
        format: 1,
        case,
        bytes: postcard::to_stdvec(entry).unwrap(),
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
            tag: name::<Tag>("v1"),
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
        Command::RecordBlob(Box::new(NewBlob {
            registry: name("default"),
            repository: name("team/app"),
            blob: long_leaf(),
            encoding: Encoding::Plain,
            place: BlobPlace::Stored(object()),
            owner: Some(registry()),
            instead_of: Some(ObjectKey {
                epoch: 2,
                generation: 7,
            }),
        })),
        Command::Collect(Collect::Doom(vec![(registry(), object())])),
    ]
    .into_iter()
    .chain(remote())
    .map(|command| (command_case(&command), command))
}

fn body() -> ManifestBody {
    ManifestBody {
        media_type: MediaType::OCI_IMAGE_INDEX,
        bytes: br#"{"schemaVersion":2}"#.to_vec(),
        blobs: vec![leaf(1), long_leaf()],
        foreign: vec![leaf(4)],
        children: vec![leaf(2)],
        subject: Some(digest(3)),
        referrer: Some((None, "{}".to_owned())),
    }
}

/// What comes from other regions.
fn remote() -> Vec<Command> {
    let events = events::all()
        .zip(1..)
        .map(|((_, outgoing), seq)| RemoteEvent {
            seq,
            version: version(3),
            registry: registry(),
            event: outgoing.envelope.event,
            body: (seq == 2).then(body),
        });
    let is_of_repository = |event: &RemoteEvent| {
        matches!(
            event.event,
            Event::AttributesSet { .. } | Event::RepositoryDeleted { .. }
        )
    };
    let (of_repositories, events): (Vec<_>, Vec<_>) = events.partition(is_of_repository);
    let is_of_webhook = |event: &RemoteEvent| matches!(event.event, Event::WebhookSet { .. });
    let (of_webhooks, events): (Vec<_>, Vec<_>) = events.into_iter().partition(is_of_webhook);
    let events = events.into_iter();
    let (notices, events) = events.partition(|event| event.event.is_notice());
    let apply = |events| {
        Command::ApplyRemote(Box::new(RemoteEvents {
            origin: name("us-east"),
            epoch: 3,
            shard: 15,
            events,
        }))
    };
    let found = FoundManifest {
        manifest: leaf(9),
        add: Some(version(3)),
        del: Some(version(2)),
        put: Some(FoundPut {
            version: version(1),
            media_type: MediaType::OCI_IMAGE_INDEX,
        }),
        body: Some(body()),
    };
    vec![
        apply(events),
        apply(notices),
        apply(of_repositories),
        apply(of_webhooks),
        Command::StoreManifest(Box::new(ArrivedManifest {
            registry: registry(),
            repository: name("team/app"),
            digest: digest(9),
            body: body(),
        })),
        Command::StoreBlob(Box::new(ArrivedBlob {
            registry: registry(),
            blob: long_leaf(),
            encoding: Encoding::Plain,
            place: BlobPlace::Stored(object()),
            owner: Some(registry()),
            instead_of: None,
        })),
        Command::MergeFound(vec![
            Found::Registry {
                id: registry(),
                name: name("default"),
            },
            Found::Manifest {
                registry: registry(),
                repository: name("team/app"),
                cell: Box::new(found),
            },
            Found::Tag {
                registry: registry(),
                repository: name("team/app"),
                tag: FoundTag {
                    name: name("v1"),
                    version: version(3),
                    digest: Some(digest(9)),
                },
            },
        ]),
        Command::FoundRegistry {
            id: RegistryId::first(),
            name: name("default"),
        },
        Command::SetCursor {
            origin: name("us-east"),
            shard: 15,
            epoch: 3,
            seq: 1 << 63,
        },
        Command::LeaseBlob {
            registry: registry(),
            repository: name("team/app"),
            digest: digest(9),
        },
        Command::SetPeers(vec![name("ap"), name("us-east")]),
        Command::Drain(Some(Drain {
            reason: "maintenance".to_owned(),
        })),
        Command::Heartbeat { is_full: true },
        Command::Meet(Box::new(Introduction {
            region: name("ap"),
            born: version(1),
            counted: Some(Counted {
                born: Some(version(2)),
                since: version(3),
                accepted: Some(version(4)),
            }),
            last: version(5),
            floors: vec![None, Some(version(6))],
            merged: vec![Some((1, 7)), None],
        })),
        Command::Level {
            removed: name("ap"),
            born: Some(version(1)),
            with: name("us-east"),
            is_done: true,
        },
        Command::SetAttributes {
            registry: name("default"),
            repository: name("team/app"),
            target: Target::Tag(name("v1")),
            attributes: Attributes {
                write: Some(false),
                list: Some(true),
                ..Attributes::default()
            },
        },
        Command::DeleteRepository {
            registry: name("default"),
            repository: name("team/app"),
        },
        Command::MergeFound(vec![
            Found::Repository {
                registry: registry(),
                repository: name("team/app"),
                del: version(4),
            },
            Found::Attributes {
                registry: registry(),
                repository: name("team/app"),
                target: Target::Manifest(digest(9)),
                settings: repositories::settings(),
            },
        ]),
        Command::MergeFound(vec![Found::Webhook {
            registry: registry(),
            name: name("deploys1"),
            version: version(9),
            registration: Some(Box::new(webhooks::registration())),
        }]),
    ]
    .into_iter()
    .chain(of_webhooks_here())
    .collect()
}

fn of_webhooks_here() -> [Command; 7] {
    let webhook = WebhookId::new(version(1));
    let record = Record {
        shard: 15,
        generation: 300,
        number: 1 << 40,
        cursor: Place { epoch: 3, seq: 9 },
        lanes: vec![
            (webhook, Some(Place { epoch: 3, seq: 7 })),
            (WebhookId::new(version(2)), None),
        ],
        rows: vec![
            Change::Put(Box::new(webhooks::undelivered())),
            Change::Remove {
                webhook,
                message: webhooks::message_id(),
            },
        ],
        failing: vec![(webhook, Some(1_760_000_000_000))],
    };
    let new = NewWebhook {
        registry: name("default"),
        webhook: webhooks::webhook(),
        sealed: Sealed(vec![1, 2, 0xff]),
        expected: Some(version(9)),
        most: 500,
    };
    [
        Command::PutWebhook(Box::new(new)),
        Command::DeleteWebhook {
            registry: name("default"),
            name: name("deploys1"),
        },
        Command::Deliver(Deliver::Take { shard: 15 }),
        Command::Deliver(Deliver::Record(Box::new(record))),
        Command::Deliver(Deliver::Disable {
            webhook,
            since: version(1),
            reason: DisableReason::Gone,
        }),
        Command::Deliver(Deliver::Prune {
            shard: 15,
            until: 1_760_000_000_000,
        }),
        Command::Deliver(Deliver::Retry {
            webhook,
            messages: vec![(15, webhooks::message_id())],
            due: 1_760_000_000_000,
        }),
    ]
}

/// A new command needs a name here, and a sample above.
fn command_case(command: &Command) -> &'static str {
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
        Command::RecordBlob(_) => "-record-blob",
        Command::Collect(Collect::Doom(_)) => "-doom",
        Command::ApplyRemote(new) if new.events[0].event.is_notice() => "-apply-remote-notices",
        Command::ApplyRemote(new) if matches!(new.events[0].event, Event::AttributesSet { .. }) => {
            "-apply-remote-repositories"
        }
        Command::ApplyRemote(new) if matches!(new.events[0].event, Event::WebhookSet { .. }) => {
            "-apply-remote-webhooks"
        }
        Command::ApplyRemote(_) => "-apply-remote",
        Command::StoreManifest(_) => "-store-manifest",
        Command::StoreBlob(_) => "-store-blob",
        Command::MergeFound(all) if matches!(all[0], Found::Repository { .. }) => {
            "-merge-found-repository"
        }
        Command::MergeFound(all) if matches!(all[0], Found::Webhook { .. }) => {
            "-merge-found-webhook"
        }
        Command::MergeFound(_) => "-merge-found",
        Command::FoundRegistry { .. } => "-found-registry",
        Command::SetCursor { .. } => "-set-cursor",
        Command::LeaseBlob { .. } => "-lease-blob",
        Command::SetPeers(_) => "-set-peers",
        Command::Drain(_) => "-drain",
        Command::Heartbeat { .. } => "-heartbeat",
        Command::Meet(_) => "-meet",
        Command::Level { .. } => "-level",
        Command::SetAttributes { .. } => "-set-attributes",
        Command::DeleteRepository { .. } => "-delete-repository",
        Command::PutWebhook(_) => "-put-webhook",
        Command::DeleteWebhook { .. } => "-delete-webhook",
        Command::Deliver(Deliver::Take { .. }) => "-deliver-take",
        Command::Deliver(Deliver::Record(_)) => "-deliver-record",
        Command::Deliver(Deliver::Disable { .. }) => "-deliver-disable",
        Command::Deliver(Deliver::Prune { .. }) => "-deliver-prune",
        Command::Deliver(Deliver::Retry { .. }) => "-deliver-retry",
    }
}
