//! A repository of a registry, and the keys in it.

use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, RepositoryName, Tag as TagName};

use crate::key::{self, Key};

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) registry: RegistryId,
    pub(super) repository: RepositoryName,
}

// === impl Place ===

impl Place {
    pub(super) fn new(registry: RegistryId, repository: &RepositoryName) -> Self {
        Self {
            registry,
            repository: repository.clone(),
        }
    }

    pub(super) fn manifest(&self, digest: Digest) -> Key {
        key::manifests(self.registry, &self.repository).digest(digest)
    }

    pub(super) fn body(&self, digest: Digest) -> Key {
        key::bodies(self.registry, &self.repository).digest(digest)
    }

    pub(super) fn needs(&self, digest: Digest) -> Key {
        key::needs(self.registry, &self.repository).digest(digest)
    }

    pub(super) fn wanted(&self, digest: Digest) -> Key {
        key::wanted(self.registry, digest).text(self.repository.as_str())
    }

    pub(super) fn referrer(&self, subject: Digest, digest: Digest) -> Key {
        let referrers = key::referrers(self.registry, &self.repository);
        referrers.digest(subject).digest(digest)
    }

    /// Prefix of the holders of a leaf.
    pub(super) fn holders(&self, leaf: Digest) -> Key {
        key::holders(self.registry, &self.repository).digest(leaf)
    }

    /// Prefix of those who wait for a child.
    pub(super) fn waiting_for_child(&self, child: Digest) -> Key {
        key::waiting_for_child(self.registry, &self.repository).digest(child)
    }

    /// A manifest that waits for a blob.
    pub(super) fn waiter(&self, blob: Digest, manifest: Digest) -> Key {
        key::waiter(self.registry, blob, &self.repository, manifest)
    }

    pub(super) fn link(&self, digest: Digest) -> Key {
        key::links(self.registry, &self.repository).digest(digest)
    }

    /// The link of a blob, if it ended with the repository.
    pub(super) fn ended(&self, digest: Digest) -> Key {
        key::ended(self.registry, digest).text(self.repository.as_str())
    }

    pub(super) fn tag_cell(&self, name: &TagName) -> Key {
        key::tag_cell(self.registry, &self.repository, name)
    }

    pub(super) fn tag(&self, name: &TagName) -> Key {
        key::tag(self.registry, &self.repository, name)
    }

    /// Prefix of the tags that show a manifest.
    pub(super) fn tags_of(&self, digest: Digest) -> Key {
        key::tags_of(self.registry, &self.repository).digest(digest)
    }

    /// Prefix of the pushes elsewhere that wait for a manifest.
    pub(super) fn pushes_waiting_for(&self, digest: Digest) -> Key {
        key::pushes_waiting_for(self.registry, &self.repository).digest(digest)
    }

    /// The attributes of a tag, or of a manifest; those of the repository are in its cell.
    pub(super) fn attributes(&self, target: &Target) -> Option<Key> {
        match target {
            Target::Repository => None,
            Target::Tag(tag) => {
                let tags = key::tag_attributes(self.registry, &self.repository);
                Some(tags.text(tag.as_str()))
            }
            Target::Manifest(digest) => {
                let manifests = key::manifest_attributes(self.registry, &self.repository);
                Some(manifests.digest(*digest))
            }
        }
    }

    /// Where it is written down that what has its attributes under a key must not be deleted.
    pub(super) fn locked(&self, attributes: &[u8]) -> Vec<u8> {
        let all = key::tag_attributes(self.registry, &self.repository);
        let own = [&attributes[..1], &attributes[all.len()..]].concat();
        [&*key::locked(self.registry, &self.repository), &own].concat()
    }

    /// Prefix of the tags that wait for a manifest.
    pub(super) fn tags_waiting_for(&self, digest: Digest) -> Key {
        key::tags_waiting_for(self.registry, &self.repository).digest(digest)
    }
}
