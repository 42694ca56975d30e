//! Every kind of event.

use meridian_event::{Attributes, Envelope, Event, EventId, Mark, Notice, Target};
use meridian_oci::{MediaType, RepositoryName};

use super::{digest, leaf, long_leaf, name, registry, trace, version};
use crate::row::Outgoing;

fn outgoing(event: Event) -> Outgoing {
    let envelope = Envelope {
        id: EventId {
            region: name("eu-west"),
            epoch: 3,
            shard: 15,
            seq: (1 << 63) + 1,
        },
        version: version(3),
        registry: registry(),
        event,
    };
    Outgoing {
        envelope,
        trace: None,
    }
}

pub(super) fn notice() -> Notice {
    Notice {
        push: EventId {
            region: name("us-east"),
            epoch: 3,
            shard: 15,
            seq: 1 << 40,
        },
        repository: name("team/app"),
        manifest: leaf(9),
        media_type: MediaType::DOCKER_MANIFEST,
        tags: vec![name("v1")],
    }
}

pub(super) fn mark() -> Mark {
    Mark {
        origin: name("us-east"),
        epoch: 3,
        merged: 300,
        version: Some(version(2)),
        copied: 5,
        complete: 299,
        except: vec![7, 130],
    }
}

/// An event of a request that was traced.
pub(super) fn traced() -> Outgoing {
    let event = Event::TagDeleted {
        repository: name("team/app"),
        tag: name("v1"),
        digest: digest(9),
    };
    Outgoing {
        trace: Some(trace()),
        ..outgoing(event)
    }
}

pub(super) fn all() -> impl Iterator<Item = (&'static str, Outgoing)> {
    let repository: RepositoryName = name("team/app");
    let locked = repository.clone();
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
        Event::Replicated(Box::new(notice())),
        Event::ReplicatedAll {
            notice: Box::new(notice()),
            regions: vec![name("ap"), name("us-east")],
        },
        Event::Heartbeat {
            marks: vec![mark()],
        },
        Event::AttributesSet {
            repository: locked.clone(),
            target: Target::Manifest(digest(9)),
            attributes: Attributes {
                delete: Some(true),
                write: Some(false),
                ..Attributes::default()
            },
        },
        Event::RepositoryDeleted { repository: locked },
        Event::WebhookSet {
            name: name("deploys1"),
            registration: Some(Box::new(super::webhooks::registration())),
        },
    ]
    .into_iter()
    .map(|event| (event_case(&event), outgoing(event)))
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
        Event::Replicated(_) => "-replicated",
        Event::ReplicatedAll { .. } => "-replicated-all",
        Event::Heartbeat { .. } => "-heartbeat",
        Event::AttributesSet { .. } => "-attributes-set",
        Event::RepositoryDeleted { .. } => "-repository-deleted",
        Event::WebhookSet { .. } => "-webhook-set",
    }
}
