//! Everything that can be asked of a state, asked of it and of the model.

use std::ops::ControlFlow;

use meridian_catalog::{MemoryStore, Usage, query};
use meridian_event::{RegistryId, SHARDS};
use meridian_oci::{Digest, Reference, RegistryName, RepositoryName};

use super::content::Content;
use crate::model::{Model, Registry, Repository};

/// Panics where they differ. `now` is a reader's clock.
pub(crate) fn check(model: &mut Model, store: &MemoryStore, content: &Content, now: u64) {
    let system = query::system(store).unwrap().unwrap();
    assert_eq!(system.last, model.last);
    assert_eq!(system.settings, model.settings);
    assert_eq!(system.next_generation, model.next_generation);
    events(model, store);
    assert_eq!(query::doomed(store, usize::MAX).unwrap(), model.doomed());
    // Tags of deleted manifests that wait for a sweep are hidden, but counted.
    let is_swept = !query::has_sweeps(store).unwrap();
    for name in &content.registries {
        let id = query::registry(store, name).unwrap();
        assert_eq!(id, model.registries.get(name).map(|registry| registry.id));
        let Some(id) = id else { continue };
        if is_swept {
            assert_eq!(query::usage(store, id).unwrap(), model.usage(name));
        } else {
            let uncounted = |usage| Usage {
                tags: 0,
                repositories: 0,
                ..usage
            };
            let usage = query::usage(store, id).unwrap();
            assert_eq!(uncounted(usage), uncounted(model.usage(name)));
        }
        registry(model, store, content, name, id, now);
        turns(model, store, name, id, now);
    }
}

fn events(model: &Model, store: &MemoryStore) {
    let streams = query::streams(store).unwrap();
    for (shard, (stream, expected)) in (0..SHARDS).zip(streams.iter().zip(&model.streams)) {
        assert_eq!(stream.next, expected.next);
        assert_eq!(stream.epoch, model.epoch);
        let waiting = query::outbox(store, shard, 0, usize::MAX).unwrap();
        let envelopes = waiting.iter().map(|outgoing| &outgoing.envelope);
        assert!(envelopes.eq(&expected.waiting), "shard {shard}");
        assert_eq!(stream.acknowledged + waiting.len() as u64 + 1, stream.next);
    }
}

fn registry(
    model: &Model,
    store: &MemoryStore,
    content: &Content,
    name: &RegistryName,
    id: RegistryId,
    now: u64,
) {
    let registry = &model.registries[name];
    let listed = registry.repositories.iter();
    let listed = listed.filter(|(_, repository)| !repository.manifests.is_empty());
    let listed: Vec<_> = listed.map(|(name, _)| name.clone()).collect();
    pages(&listed, |after, limit| {
        query::repositories(store, id, after, limit).unwrap()
    });
    for name in &content.repositories {
        let empty = Repository::default();
        let repository = registry.repositories.get(name).unwrap_or(&empty);
        let tags: Vec<_> = repository.tags.keys().cloned().collect();
        pages(&tags, |after, limit| {
            query::tags(store, id, name, after, limit).unwrap()
        });
        for tag in &content.tags {
            let shown = repository.tags.get(tag);
            let found = manifest(store, id, name, &tag.clone().into());
            let expected = shown.map(|(digest, version)| {
                let manifest = &repository.manifests[digest];
                let bytes = manifest.put.bytes.clone();
                (*digest, manifest.media_type.clone(), *version, bytes)
            });
            assert_eq!(found, expected, "{name}:{tag}");
        }
        for digest in content.digests() {
            let expected = repository.manifests.get(&digest).map(|manifest| {
                let bytes = manifest.put.bytes.clone();
                (digest, manifest.media_type.clone(), manifest.version, bytes)
            });
            let found = manifest(store, id, name, &digest.into());
            assert_eq!(found, expected, "{name}@{digest}");
            referrers(repository, store, id, name, digest);
            blob(
                registry,
                model.settings.lease_millis,
                store,
                name,
                digest,
                now,
            );
        }
    }
}

type Shown = (
    Digest,
    meridian_oci::MediaType,
    meridian_clock::Version,
    Vec<u8>,
);

fn manifest(
    store: &MemoryStore,
    id: RegistryId,
    name: &RepositoryName,
    reference: &Reference,
) -> Option<Shown> {
    let found = query::manifest(store, id, name, reference, <[u8]>::to_vec).unwrap();
    found.map(|(view, bytes)| {
        assert_eq!(view.size, bytes.len() as u64);
        (view.digest, view.media_type, view.version, bytes)
    })
}

/// Reads a list in small pages.
fn pages<T: Clone + PartialEq + std::fmt::Debug>(
    expected: &[T],
    read: impl Fn(Option<&T>, usize) -> query::Listed<T>,
) {
    let limit = usize::max(3, expected.len() / 2);
    let mut found = Vec::new();
    loop {
        let page = read(found.last(), limit);
        assert!(page.items.len() == limit || !page.more);
        found.extend(page.items);
        if !page.more {
            break;
        }
    }
    assert_eq!(found, expected);
}

fn referrers(
    repository: &Repository,
    store: &MemoryStore,
    id: RegistryId,
    name: &RepositoryName,
    subject: Digest,
) {
    let wanted = |_, _: Option<&str>, _| ControlFlow::Continue(true);
    let listed = query::referrers(store, id, name, subject, None, wanted).unwrap();
    let manifests = repository.manifests.iter();
    let referring = manifests.filter(|(_, manifest)| manifest.put.subject == Some(subject));
    let expected = referring.map(|(digest, manifest)| {
        let (_, descriptor) = manifest.put.referrer.clone().unwrap();
        (*digest, descriptor)
    });
    assert!(listed.items.into_iter().eq(expected), "{name}@{subject}");
}

fn blob(
    registry: &Registry,
    lease_millis: u64,
    store: &MemoryStore,
    name: &RepositoryName,
    digest: Digest,
    now: u64,
) {
    let view = query::blob(store, registry.id, name, digest, now).unwrap();
    let repository = registry.repositories.get(name);
    let lease = repository.and_then(|repository| repository.leases.get(&digest));
    let Some((repository, lease)) = repository.zip(lease) else {
        return assert_eq!(view, None, "{name}@{digest}");
    };
    let (view, blob) = (view.unwrap(), &registry.blobs[&digest]);
    assert_eq!((view.size, &view.place), (blob.size, &blob.place));
    let is_needed = repository.check_unneeded(digest).is_err();
    let is_short = lease.saturating_sub(now) < lease_millis / 2;
    assert_eq!(
        view.wants_touch,
        !is_needed && (blob.condemned || is_short),
        "{name}@{digest}"
    );
}

/// Collection sees everything that nothing keeps, and a hint is never wrong about what is kept.
fn turns(model: &mut Model, store: &MemoryStore, name: &RegistryName, id: RegistryId, now: u64) {
    let due = query::due(store, now, usize::MAX).unwrap();
    for digest in model.registries[name]
        .blobs
        .keys()
        .copied()
        .collect::<Vec<_>>()
    {
        let is_kept = model.is_kept(id, digest, now);
        let hint = due
            .iter()
            .find(|due| (due.registry, due.digest) == (id, digest));
        let blob = &model.registries[name].blobs[&digest];
        let may_wait = is_kept || blob.grace_end > now;
        assert!(hint.is_some() || may_wait, "{digest} would stay for ever");
        if let Some(hint) = hint {
            assert_eq!(
                (hint.held, hint.condemned),
                (is_kept, blob.condemned),
                "{digest}"
            );
        }
    }
}
