//! What a deletion of a repository covers is seen nowhere, from the entry on that brings it.

use std::ops::ControlFlow;

use meridian_clock::Version;
use meridian_event::{Envelope, Event, RegistryId};
use meridian_oci::{Digest, Reference, RepositoryName};

use crate::row::{Manifest, RepositoryCell, Row, TagCell};
use crate::{MemoryStore, key, query};

pub(super) fn check(store: &MemoryStore) -> Result<(), String> {
    for (key, value) in store.pairs().filter(|(key, _)| key[0] == b'K') {
        let cell = RepositoryCell::decode::<()>(value).unwrap();
        let (registry, name) = key::take_registry(&key[1..]).unwrap();
        if let Some(del) = cell.del {
            check_one(store, registry, &key::parse(name).unwrap(), del)?;
        }
    }
    Ok(())
}

/// Whether, in the end, a region has those deleted repositories that hold something, and none in which nothing
/// was put since: what only arrived later makes none.
pub(super) fn check_after(store: &MemoryStore, events: &[Envelope]) -> Result<(), String> {
    for (key, value) in store.pairs().filter(|(key, _)| key[0] == b'K') {
        let cell = RepositoryCell::decode::<()>(value).unwrap();
        let (registry, name) = key::take_registry(&key[1..]).unwrap();
        let name: RepositoryName = key::parse(name).unwrap();
        let Some(del) = cell.del else {
            continue;
        };
        let was_put = events.iter().any(|envelope| {
            let of = match &envelope.event {
                Event::ManifestPut { repository, .. } | Event::BlobPut { repository, .. } => {
                    repository
                }
                _ => return false,
            };
            envelope.registry == registry && *of == name && envelope.version > del
        });
        let prefix = key::manifests(registry, &name);
        let of_manifests = store.pairs().filter(|(key, _)| key.starts_with(&prefix));
        let mut rows = of_manifests.map(|(_, value)| Manifest::decode::<()>(value).unwrap());
        let holds = rows.any(|row| row.is_exposed());
        let is = query::is_repository(store, registry, &name).unwrap();
        if (holds && !is) || (is && !was_put && !holds) {
            return Err(format!("whether {name} is a repository: {is}"));
        }
    }
    Ok(())
}

fn check_one(
    store: &MemoryStore,
    registry: RegistryId,
    repository: &RepositoryName,
    del: Version,
) -> Result<(), String> {
    let tags = query::tags(store, registry, repository, None, 10).unwrap();
    for (key, value) in store.pairs() {
        let prefix = key::tag_cells(registry, repository);
        let Some(name) = key.strip_prefix(&*prefix) else {
            continue;
        };
        let name = key::parse::<meridian_oci::Tag>(name).unwrap();
        let cell = TagCell::decode::<()>(value).unwrap();
        let is_answered = answers(store, registry, repository, name.clone().into());
        if cell.version <= del && (is_answered || tags.items.contains(&name)) {
            return Err(format!("{repository}:{name} outlives its repository"));
        }
    }
    // Present is what was put since, and what that needs; one step at a time, with plain sets.
    let put_since = |row: &Manifest| row.add > row.del.max(Some(del));
    let mut dead = Vec::new();
    let mut alive = false;
    for (key, value) in store.pairs() {
        let prefix = key::manifests(registry, repository);
        let Some(rest) = key.strip_prefix(&*prefix) else {
            continue;
        };
        let (digest, _) = key::take_digest(rest).unwrap();
        let row = Manifest::decode::<()>(value).unwrap();
        if put_since(&row) || needed(store, registry, repository, digest, &put_since) {
            alive |= row.is_exposed();
        } else {
            dead.push(digest);
        }
    }
    for digest in &dead {
        if answers(store, registry, repository, (*digest).into()) {
            return Err(format!("{repository}@{digest} outlives its repository"));
        }
        let visit = |referrer: Digest, _: Option<&str>, _| {
            ControlFlow::<(), bool>::Continue(dead.contains(&referrer))
        };
        for subject in store.pairs().filter_map(|(key, _)| {
            let prefix = key::referrers(registry, repository);
            key::take_digest(key.strip_prefix(&*prefix)?)
        }) {
            let listed = query::referrers(store, registry, repository, subject.0, None, visit);
            if !listed.unwrap().items.is_empty() {
                return Err(format!("a referrer of {} outlives {repository}", subject.0));
            }
        }
    }
    let listed = query::repositories(store, registry, None, 10).unwrap();
    if !alive && listed.items.contains(repository) {
        return Err(format!("{repository} outlives itself in the catalog"));
    }
    Ok(())
}

fn answers(
    store: &MemoryStore,
    registry: RegistryId,
    repository: &RepositoryName,
    reference: Reference,
) -> bool {
    let stat = query::manifest_stat(store, registry, repository, &reference);
    stat.unwrap().is_some()
}

/// Whether something that was put since needs a manifest, through however many others.
fn needed(
    store: &MemoryStore,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    put_since: &dyn Fn(&Manifest) -> bool,
) -> bool {
    let prefix = key::needs(registry, repository);
    let mut parents = store.pairs().filter_map(|(key, value)| {
        let (parent, _) = key::take_digest(key.strip_prefix(&*prefix)?)?;
        let needs = crate::row::Needs::decode::<()>(value).unwrap();
        let is_child = needs.children.iter().any(|leaf| leaf.digest == digest);
        is_child.then_some(parent)
    });
    parents.any(|parent| {
        let of = key::manifests(registry, repository).digest(parent);
        let row = store.pairs().find(|(key, _)| *key == &*of).unwrap().1;
        put_since(&Manifest::decode::<()>(row).unwrap())
            || needed(store, registry, repository, parent, put_since)
    })
}
