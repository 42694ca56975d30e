//! Blobs, leases, collection.

use meridian_catalog::{BlobPlace, Collect, ObjectKey, Refusal, Reply, Settings};
use meridian_clock::Version;
use meridian_event::{Event, Leaf, RegistryId};
use meridian_oci::{Digest, RegistryName, RepositoryName};

use super::{Blob, Effect, Model, Outcome, Registry};

impl Model {
    pub(super) fn put_blob(
        &mut self,
        registry: &RegistryName,
        name: &RepositoryName,
        leaf: Leaf,
        place: &BlobPlace,
        (owner, instead_of): (Option<RegistryId>, Option<ObjectKey>),
        version: Version,
    ) -> Outcome {
        let settings = self.settings;
        let id = self.registry(registry)?.id;
        let known = self.registries[registry].blobs.get(&leaf.digest);
        if known.is_some_and(|known| known.size != leaf.size) {
            return Err(Refusal::SizesDiffer(vec![leaf.digest]));
        }
        let is_known = known.is_some();
        let lost = instead_of.map(BlobPlace::Stored);
        let is_lost = known.is_some_and(|known| Some(&known.place) == lost.as_ref());
        if owner.is_some_and(|owner| owner != id) {
            return Err(Refusal::ObjectForeign);
        }
        if let BlobPlace::Stored(object) = place {
            if !self.was_given(*object) {
                return Err(Refusal::ObjectForeign);
            }
            let is_fresh = self.spent.insert(*object);
            if is_known && is_fresh && !is_lost {
                self.doomed.insert(*object, id);
            }
            if (!is_known || is_lost) && !is_fresh {
                return Err(Refusal::BlobUnknown);
            }
        }
        if let Some(object) = instead_of.filter(|_| is_lost) {
            self.doomed.insert(object, id);
        }
        let registry = self.registry(registry)?;
        if let Some(blob) = registry.blobs.get_mut(&leaf.digest).filter(|_| is_lost) {
            blob.place = place.clone();
        }
        registry.blobs.entry(leaf.digest).or_insert_with(|| Blob {
            size: leaf.size,
            place: place.clone(),
            touched: 0,
            grace_end: 0,
            condemned: false,
        });
        registry.lease(name, leaf.digest, version, settings);
        let event = Event::BlobPut {
            repository: name.clone(),
            blob: leaf,
            mounted_from: None,
        };
        let event = Box::new(event);
        Ok(match registry.blobs[&leaf.digest].place {
            BlobPlace::Stored(object) if *place != BlobPlace::Stored(object) => {
                Effect::Kept(id, event, object)
            }
            _ => Effect::Event(id, event),
        })
    }

    pub(super) fn mount(
        &mut self,
        registry: &RegistryName,
        name: &RepositoryName,
        from: Option<&RepositoryName>,
        digest: Digest,
        version: Version,
    ) -> Outcome {
        let settings = self.settings;
        let registry = self.registry(registry)?;
        let is_there = registry
            .repositories
            .iter()
            .filter(|(name, _)| from.is_none_or(|from| from == *name))
            .any(|(_, repository)| repository.leases.contains_key(&digest));
        if !is_there {
            return Ok(Effect::Nothing);
        }
        registry.lease(name, digest, version, settings);
        let event = Event::BlobPut {
            repository: name.clone(),
            blob: Leaf {
                digest,
                size: registry.blobs[&digest].size,
            },
            mounted_from: from.cloned(),
        };
        Ok(Effect::Event(registry.id, Box::new(event)))
    }

    pub(super) fn touch(
        &mut self,
        registry: &RegistryName,
        name: &RepositoryName,
        digest: Digest,
        version: Version,
    ) -> Outcome {
        let settings = self.settings;
        let registry = self.registry(registry)?;
        if !registry.has(name, digest) {
            return Err(Refusal::BlobUnknown);
        }
        registry.lease(name, digest, version, settings);
        Ok(Effect::Regional)
    }

    pub(super) fn delete_blob(
        &mut self,
        registry: &RegistryName,
        name: &RepositoryName,
        digest: Digest,
        version: Version,
    ) -> Outcome {
        let settings = self.settings;
        let registry = self.registry(registry)?;
        if !registry.has(name, digest) {
            return Err(Refusal::BlobUnknown);
        }
        let repository = registry.repositories.get_mut(name).unwrap();
        repository.check_unneeded(digest)?;
        repository.leases.remove(&digest);
        let blob = registry.blobs.get_mut(&digest).unwrap();
        blob.touch(version, settings);
        let event = Event::BlobDeleted {
            repository: name.clone(),
            digest,
        };
        Ok(Effect::Event(registry.id, Box::new(event)))
    }

    pub(super) fn collect(&mut self, step: &Collect, version: Version) -> Effect {
        let now = version.millis;
        let (mut objects, mut bytes) = (0, 0);
        match step {
            Collect::Condemn(candidates) => {
                for (registry, digest) in candidates {
                    let is_kept = self.is_kept(*registry, *digest, now);
                    if let Some(blob) = self.blob(*registry, *digest) {
                        if !is_kept && !blob.condemned {
                            objects += 1;
                            bytes += blob.size;
                        }
                        blob.condemned = !is_kept;
                    }
                }
            }
            Collect::Remove(candidates) => {
                for (registry, digest) in candidates {
                    let is_kept = self.is_kept(*registry, *digest, now);
                    if let Some(blob) = self.blob(*registry, *digest) {
                        blob.condemned &= !is_kept;
                        if blob.condemned {
                            objects += 1;
                            bytes += blob.size;
                            self.remove(*registry, *digest);
                        }
                    }
                }
            }
            Collect::Deleted(keys) => {
                let known = keys.iter().filter(|key| self.doomed.remove(key).is_some());
                objects = known.count() as u64;
            }
            Collect::Doom(strays) => {
                for (registry, object) in strays {
                    let is_ours = self.was_given(*object) && self.registry_of(*registry).is_some();
                    let mut blobs = self.registries.values().flat_map(|it| it.blobs.values());
                    let is_named = blobs.any(|blob| blob.place == BlobPlace::Stored(*object));
                    if is_ours && !is_named && !self.doomed.contains_key(object) {
                        self.spent.insert(*object);
                        self.doomed.insert(*object, *registry);
                        objects += 1;
                    }
                }
            }
        }
        Effect::Answer(Reply::Collected { objects, bytes })
    }

    fn was_given(&self, object: ObjectKey) -> bool {
        let next = (self.epoch, self.next_generation);
        object.generation > 0 && (object.epoch, object.generation) < next
    }

    fn registry_of(&mut self, id: RegistryId) -> Option<&mut Registry> {
        let mut registries = self.registries.values_mut();
        registries.find(|registry| registry.id == id)
    }

    fn blob(&mut self, registry: RegistryId, digest: Digest) -> Option<&mut Blob> {
        self.registry_of(registry)?.blobs.get_mut(&digest)
    }

    /// A blob is kept while a manifest needs it, to the end of its last lease, and for the grace.
    pub(crate) fn is_kept(&mut self, registry: RegistryId, digest: Digest, now: u64) -> bool {
        let grace = self.settings.grace_millis;
        let Some(registry) = self.registry_of(registry) else {
            return false;
        };
        let holding = registry.repositories.values();
        let mut holding = holding.filter(|repository| repository.leases.contains_key(&digest));
        let is_held = holding.any(|repository| {
            repository.leases[&digest] > now || repository.check_unneeded(digest).is_err()
        });
        let blob = registry.blobs.get(&digest);
        is_held || blob.is_some_and(|blob| blob.touched + grace > now)
    }

    fn remove(&mut self, registry: RegistryId, digest: Digest) {
        let registry = self.registry_of(registry).unwrap();
        let (id, blob) = (registry.id, registry.blobs.remove(&digest).unwrap());
        for repository in registry.repositories.values_mut() {
            repository.leases.remove(&digest);
        }
        if let BlobPlace::Stored(object) = blob.place {
            self.doomed.insert(object, id);
        }
    }
}

impl Registry {
    fn has(&self, name: &RepositoryName, digest: Digest) -> bool {
        let repository = self.repositories.get(name);
        repository.is_some_and(|repository| repository.leases.contains_key(&digest))
    }

    /// A push that relies on a blob keeps it for a while.
    fn lease(
        &mut self,
        name: &RepositoryName,
        digest: Digest,
        version: Version,
        settings: Settings,
    ) {
        let end = version.millis + settings.lease_millis;
        let repository = self.repositories.entry(name.clone()).or_default();
        let lease = repository.leases.entry(digest).or_default();
        *lease = end.max(*lease);
        let blob = self.blobs.get_mut(&digest).unwrap();
        blob.touch(version, settings);
    }
}

impl Blob {
    /// Begins its grace, and takes it back from collection.
    pub(super) fn touch(&mut self, version: Version, settings: Settings) {
        self.touched = version.millis;
        self.grace_end = version.millis + settings.grace_millis;
        self.condemned = false;
    }

    /// Is told of new settings.
    pub(super) fn hear(&mut self, settings: Settings) {
        self.grace_end = self.grace_end.max(self.touched + settings.grace_millis);
    }
}
