//! A client's command took effect only where no lock forbade it: judged over the state before, from the rows
//! and in as few words as possible.

use meridian_event::{Attributes, RegistryId, Target};
use meridian_oci::{Digest, RegistryName, RepositoryName, Tag as TagName};

use crate::row::{RepositoryCell, Rights, Row};
use crate::{Command, Entry, MemoryStore, Read as _, Reply, key, query};

/// A repository before the entry.
struct Before<'s> {
    store: &'s MemoryStore,
    registry: RegistryId,
    repository: &'s RepositoryName,
}

pub(super) fn check(
    before: &MemoryStore,
    after: &MemoryStore,
    entry: &Entry,
    reply: &Reply,
) -> Result<(), String> {
    if !matches!(reply, Reply::Done { .. } | Reply::Kept { .. }) || before == after {
        return Ok(());
    }
    let Some((registry, repository)) = place(&entry.command) else {
        return Ok(());
    };
    let registry = query::registry(before, registry).unwrap();
    let before = Before {
        store: before,
        registry: registry.expect("what takes effect has a registry"),
        repository,
    };
    match before.forbids(&entry.command) {
        true => Err("a lock was passed over".to_owned()),
        false => Ok(()),
    }
}

fn place(command: &Command) -> Option<(&RegistryName, &RepositoryName)> {
    match command {
        Command::PutManifest(new) => Some((&new.registry, &new.repository)),
        Command::RecordBlob(new) => Some((&new.registry, &new.repository)),
        Command::MountBlob {
            registry,
            repository,
            ..
        }
        | Command::DeleteManifest {
            registry,
            repository,
            ..
        }
        | Command::DeleteTag {
            registry,
            repository,
            ..
        }
        | Command::DeleteBlob {
            registry,
            repository,
            ..
        }
        | Command::DeleteRepository {
            registry,
            repository,
        } => Some((registry, repository)),
        _ => None,
    }
}

impl Before<'_> {
    fn forbids(&self, command: &Command) -> bool {
        let of_repository = self.own(&Target::Repository);
        match command {
            Command::PutManifest(new) => {
                let moves = |tag: &TagName| self.points_at(tag) != Some(new.digest);
                let mut tags = new.tags.iter();
                let is_tag_locked = tags.any(|tag| moves(tag) && !self.tag(tag).write);
                !of_repository.write || is_tag_locked
            }
            Command::RecordBlob(_) | Command::MountBlob { .. } => !of_repository.write,
            Command::DeleteBlob { .. } => !of_repository.may_be_deleted(),
            Command::DeleteTag { tag, .. } => {
                !of_repository.may_be_deleted() || !self.tag(tag).may_be_deleted()
            }
            Command::DeleteManifest { digest, .. } => {
                let tags = self.tags();
                let is_of_it = |tag: &&TagName| self.points_at(tag) == Some(*digest);
                !of_repository.may_be_deleted()
                    || !self.manifest(*digest).may_be_deleted()
                    || tags
                        .iter()
                        .filter(is_of_it)
                        .any(|tag| !self.tag(tag).may_be_deleted())
            }
            _ => {
                let is_kept = |tag: &TagName| {
                    self.points_at(tag).is_some() && !self.tag(tag).may_be_deleted()
                };
                !of_repository.may_be_deleted() || self.tags().iter().any(is_kept)
            }
        }
    }

    fn own(&self, target: &Target) -> Attributes<bool> {
        let (registry, repository) = (self.registry, self.repository);
        let cell = key::repository_cell(registry, repository);
        let cell = self.store.get(&cell, RepositoryCell::decode::<()>).unwrap();
        let cell = cell.map(|cell| cell.unwrap()).unwrap_or_default();
        let key = match target {
            Target::Repository => return cell.rights.in_force(cell.del),
            Target::Tag(tag) => key::tag_attributes(registry, repository).text(tag.as_str()),
            Target::Manifest(digest) => {
                key::manifest_attributes(registry, repository).digest(*digest)
            }
        };
        let rights = self.store.get(&key, Rights::decode::<()>).unwrap();
        let rights = rights.map(|rights| rights.unwrap()).unwrap_or_default();
        rights.in_force(cell.del)
    }

    fn tag(&self, tag: &TagName) -> Attributes<bool> {
        self.own(&Target::Tag(tag.clone()))
    }

    fn manifest(&self, digest: Digest) -> Attributes<bool> {
        self.own(&Target::Manifest(digest))
    }

    fn tags(&self) -> Vec<TagName> {
        let prefix = key::tag_cells(self.registry, self.repository);
        let keys = self.store.pairs().map(|(key, _)| key);
        let names = keys.filter_map(|key| key.strip_prefix(&*prefix));
        names.map(|name| key::parse(name).unwrap()).collect()
    }

    fn points_at(&self, tag: &TagName) -> Option<Digest> {
        let winner = query::tag_winner(self.store, self.registry, self.repository, tag);
        let winner = winner.unwrap()?;
        let is_alive = winner.fate != query::Fate::Gone;
        winner.digest.filter(|_| is_alive)
    }
}
