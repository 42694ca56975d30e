//! The bodies that an event names.

use meridian_event::{Envelope, Event, Leaf};
use meridian_oci::RepositoryName;

use crate::fetch::{Body, Kind, Want};

/// The bodies that an event names, its manifest first; its origin has them.
pub(crate) fn named(envelope: &Envelope, with_blobs: bool) -> Vec<Want> {
    let want = |repository: &RepositoryName, kind, leaf: &Leaf| Want {
        body: Body {
            registry: envelope.registry,
            digest: leaf.digest,
        },
        kind,
        size: leaf.size,
        repository: repository.clone(),
        holders: vec![envelope.id.region],
    };
    match &envelope.event {
        Event::ManifestPut {
            repository,
            manifest,
            blobs,
            children,
            ..
        } => {
            let mut wants = vec![want(repository, Kind::Manifest, manifest)];
            wants.extend(
                children
                    .iter()
                    .map(|it| want(repository, Kind::Manifest, it)),
            );
            wants.extend(blobs.iter().map(|it| want(repository, Kind::Blob, it)));
            // A manifest may name a blob twice.
            let mut seen = std::collections::BTreeSet::new();
            wants.retain(|want| seen.insert(want.body));
            wants
        }
        Event::BlobPut {
            repository, blob, ..
        } if with_blobs => vec![want(repository, Kind::Blob, blob)],
        Event::RegistryCreated { .. }
        | Event::ManifestDeleted { .. }
        | Event::TagDeleted { .. }
        | Event::BlobPut { .. }
        | Event::BlobDeleted { .. }
        | Event::Replicated(_)
        | Event::ReplicatedAll { .. }
        | Event::Heartbeat { .. }
        | Event::AttributesSet { .. }
        | Event::RepositoryDeleted { .. }
        | Event::WebhookSet { .. } => Vec::new(),
    }
}

/// The manifest that an event puts, whose body may go into the entry that merges it.
pub(crate) fn manifest(envelope: &Envelope) -> Option<Body> {
    match &envelope.event {
        Event::ManifestPut { manifest, .. } => Some(Body {
            registry: envelope.registry,
            digest: manifest.digest,
        }),
        _ => None,
    }
}

/// Whether bodies may be needed no more once an event is merged.
pub(crate) const fn frees(event: &Event) -> bool {
    matches!(
        event,
        Event::ManifestDeleted { .. } | Event::BlobDeleted { .. } | Event::RepositoryDeleted { .. }
    )
}
