//! Manifests and tags.

use std::collections::BTreeSet;

use meridian_catalog::{Condition, NewManifest, Refusal};
use meridian_clock::Version;
use meridian_event::{Event, Leaf};
use meridian_oci::{Digest, RegistryName, RepositoryName, Tag};

use super::{Effect, Manifest, Model, Outcome, Registry, Repository};

/// A refusal names so many manifests at most.
const NAMED: usize = 16;

impl Model {
    pub(super) fn put_manifest(&mut self, new: &NewManifest, version: Version) -> Outcome {
        let registry = self.registry(&new.registry)?;
        let before = registry.repositories.get(&new.repository);
        let before = before.cloned().unwrap_or_default();
        if new.tags.is_empty() {
            let current = before.manifests.contains_key(&new.digest);
            decide(new.condition, current.then_some(new.digest))?;
        }
        for tag in &new.tags {
            decide(
                new.condition,
                before.tags.get(tag).map(|(digest, _)| *digest),
            )?;
        }
        registry.check_leaves(&before, new)?;

        let repository = registry
            .repositories
            .entry(new.repository.clone())
            .or_default();
        let manifest = Manifest {
            put: new.clone(),
            media_type: new.media_type.clone(),
            version,
            foreign: BTreeSet::new(),
        };
        let manifest = repository.manifests.entry(new.digest).or_insert(manifest);
        manifest.media_type = new.media_type.clone();
        manifest.put.referrer = new.referrer.clone();
        manifest.version = version;
        let found = new.foreign.iter().map(|leaf| leaf.digest);
        let found = found.filter(|digest| repository.leases.contains_key(digest));
        manifest.foreign.extend(found);
        let needed = manifest.needs();
        for digest in &needed {
            if repository.leases.contains_key(digest) {
                registry.blobs.get_mut(digest).unwrap().condemned = false;
            }
        }
        for child in &new.children {
            if let Some(child) = repository.manifests.get_mut(&child.digest) {
                child.version = version;
            }
        }
        for tag in &new.tags {
            repository.tags.insert(tag.clone(), (new.digest, version));
        }
        let event = Event::ManifestPut {
            repository: new.repository.clone(),
            manifest: Leaf {
                digest: new.digest,
                size: new.bytes.len() as u64,
            },
            media_type: new.media_type.clone(),
            tags: new.tags.clone(),
            blobs: new.blobs.clone(),
            children: new.children.clone(),
            subject: new.subject,
        };
        Ok(Effect::Event(registry.id, Box::new(event)))
    }

    pub(super) fn delete_manifest(
        &mut self,
        registry: &RegistryName,
        name: &RepositoryName,
        digest: Digest,
        condition: Option<Condition>,
        version: Version,
    ) -> Outcome {
        let settings = self.settings;
        let registry = self.registry(registry)?;
        let repository = registry.repositories.get(name);
        let is_present = repository.is_some_and(|it| it.manifests.contains_key(&digest));
        decide(condition, is_present.then_some(digest))?;
        let repository = registry.repository(name)?;
        if !is_present {
            return Err(Refusal::ManifestUnknown);
        }
        repository.check_unneeded(digest)?;
        let manifest = repository.manifests.remove(&digest).unwrap();
        repository.tags.retain(|_, (shown, _)| *shown != digest);
        let left = repository.clone();
        for leaf in manifest.needs() {
            // The end of the last reference begins the grace.
            if left.leases.contains_key(&leaf) && left.check_unneeded(leaf).is_ok() {
                registry
                    .blobs
                    .get_mut(&leaf)
                    .unwrap()
                    .touch(version, settings);
            }
        }
        let event = Event::ManifestDeleted {
            repository: name.clone(),
            digest,
        };
        Ok(Effect::Event(registry.id, Box::new(event)))
    }

    pub(super) fn delete_tag(
        &mut self,
        registry: &RegistryName,
        name: &RepositoryName,
        tag: &Tag,
        condition: Option<Condition>,
    ) -> Outcome {
        let registry = self.registry(registry)?;
        let repository = registry.repositories.get(name);
        let shown = repository.and_then(|repository| repository.tags.get(tag));
        let shown = shown.map(|(digest, _)| *digest);
        decide(condition, shown)?;
        let repository = registry.repository(name)?;
        let digest = shown.ok_or(Refusal::ManifestUnknown)?;
        repository.tags.remove(tag);
        let event = Event::TagDeleted {
            repository: name.clone(),
            tag: tag.clone(),
            digest,
        };
        Ok(Effect::Event(registry.id, Box::new(event)))
    }
}

impl Registry {
    fn repository(&mut self, name: &RepositoryName) -> Result<&mut Repository, Refusal> {
        self.repositories
            .get_mut(name)
            .ok_or(Refusal::RepositoryUnknown)
    }

    /// Blobs must be present as blobs, and children as manifests.
    fn check_leaves(&self, repository: &Repository, new: &NewManifest) -> Result<(), Refusal> {
        let blob = |digest| {
            let is_here = repository.leases.contains_key(digest);
            is_here.then(|| self.blobs[digest].size)
        };
        let manifest = |digest| {
            let manifest = repository.manifests.get(digest);
            manifest.map(|manifest| manifest.put.bytes.len() as u64)
        };
        let blobs = new.blobs.iter().map(|leaf| (leaf, blob(&leaf.digest)));
        let children = new
            .children
            .iter()
            .map(|leaf| (leaf, manifest(&leaf.digest)));
        let leaves: Vec<_> = blobs.chain(children).collect();
        let absent = leaves.iter().filter(|(_, size)| size.is_none());
        let absent: Vec<_> = absent.map(|(leaf, _)| leaf.digest).collect();
        if !absent.is_empty() {
            return Err(Refusal::LeavesUnknown(absent));
        }
        let other = leaves
            .iter()
            .filter(|(leaf, size)| *size != Some(leaf.size));
        let other: Vec<_> = other.map(|(leaf, _)| leaf.digest).collect();
        if !other.is_empty() {
            return Err(Refusal::SizesDiffer(other));
        }
        Ok(())
    }
}

impl Repository {
    /// Nothing here needs it.
    pub(crate) fn check_unneeded(&self, leaf: Digest) -> Result<(), Refusal> {
        let manifests = self.manifests.iter();
        let needing = manifests.filter(|(_, manifest)| manifest.needs().contains(&leaf));
        let digests: Vec<_> = needing.map(|(digest, _)| *digest).take(NAMED).collect();
        if digests.is_empty() {
            return Ok(());
        }
        Err(Refusal::InUse(digests))
    }
}

impl Manifest {
    fn needs(&self) -> BTreeSet<Digest> {
        let leaves = self.put.blobs.iter().chain(&self.put.children);
        let digests = leaves.map(|leaf| leaf.digest);
        digests.chain(self.foreign.iter().copied()).collect()
    }
}

fn decide(condition: Option<Condition>, current: Option<Digest>) -> Result<(), Refusal> {
    let is_met = match condition {
        None => true,
        Some(Condition::Absent) => current.is_none(),
        Some(Condition::PointsAt(wanted)) => current == Some(wanted),
    };
    if is_met {
        Ok(())
    } else {
        Err(Refusal::ConditionFailed(current))
    }
}
