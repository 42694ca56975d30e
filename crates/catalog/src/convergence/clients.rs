//! What clients and collectors do, in whichever region they are.

use std::collections::BTreeSet;

use meridian_event::webhook::{Action, Format, Scope, Sealed, Status, Webhook, WebhookName};
use meridian_event::{Attributes, Leaf, RegistryId, Target};
use meridian_oci::{Digest, MediaType, RegistryName, RepositoryName, Tag};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;

use super::world::{DEFAULT, World};
use crate::{
    BlobPlace, Collect, Command, Encoding, NewBlob, NewManifest, NewWebhook, Reply, query,
};

impl World {
    pub(super) fn registry(&mut self) -> RegistryName {
        let is_other = self.random.random_bool(0.12);
        let name = if is_other { "other" } else { DEFAULT };
        name.parse().unwrap()
    }

    pub(super) fn repository(&mut self) -> RepositoryName {
        let at = usize::from(self.random.random_bool(0.15));
        self.content.repositories[at].clone()
    }

    /// Uploads what a manifest needs, and puts it.
    pub(super) fn push(&mut self, at: usize) -> Result<(), String> {
        let (registry, repository) = (self.registry(), self.repository());
        let (digest, body) = self.content.manifests.choose(&mut self.random).unwrap();
        let (digest, mut media_type) = (*digest, body.media_type.clone());
        let chance = if body.subject.is_some() { 0.5 } else { 0.2 };
        if self.random.random_bool(chance) {
            media_type = MediaType::DOCKER_MANIFEST;
        }
        let body = self.content.body(digest, &media_type);
        for blob in &body.blobs {
            self.record(at, &registry, &repository, *blob)?;
        }
        let tags = self.content.tags.sample(&mut self.random, 2).cloned();
        let mut tags: Vec<_> = tags.collect();
        tags.truncate(self.random.random_range(0..3));
        let new = NewManifest {
            registry,
            repository,
            digest,
            media_type,
            bytes: body.bytes,
            blobs: body.blobs,
            foreign: body.foreign,
            children: body.children,
            subject: body.subject,
            referrer: body.referrer,
            tags,
            condition: None,
        };
        self.say(at, Command::PutManifest(Box::new(new)))?;
        Ok(())
    }

    fn target(&mut self, digest: Digest, tag: Tag) -> Target {
        match self.random.random_range(0..6) {
            0 => Target::Repository,
            1..4 => Target::Tag(tag),
            _ => Target::Manifest(digest),
        }
    }

    /// Locks something, or takes a lock from it.
    pub(super) fn set(&mut self, at: usize) -> Result<(), String> {
        let (registry, repository) = (self.registry(), self.repository());
        let digest = self.content.manifests.choose(&mut self.random).unwrap().0;
        let tag = self.content.tags.choose(&mut self.random).unwrap().clone();
        let set = Command::SetAttributes {
            registry,
            repository,
            target: self.target(digest, tag),
            attributes: self.attributes(),
        };
        self.say(at, set).map(drop)
    }

    /// Creates, changes or deletes a webhook.
    pub(super) fn webhook(&mut self, at: usize) -> Result<(), String> {
        let registry = self.registry();
        let name: WebhookName = ["hooks", "deploys"]
            .choose(&mut self.random)
            .unwrap()
            .parse()
            .unwrap();
        let store = &self.regions[at].store;
        let id = query::registry(store, &registry).unwrap();
        let stored = id.and_then(|id| query::webhook(store, id, &name).unwrap());
        let command = if self.random.random_bool(0.3) {
            Command::DeleteWebhook { registry, name }
        } else {
            Command::PutWebhook(Box::new(NewWebhook {
                registry,
                webhook: Webhook {
                    name,
                    region: None,
                    actions: [Action::Push].into(),
                    scope: Scope::default(),
                    status: *[Status::Enabled, Status::Disabled]
                        .choose(&mut self.random)
                        .unwrap(),
                    format: Format::Acr,
                    available_in: BTreeSet::new(),
                },
                sealed: Sealed(vec![self.random.random()]),
                expected: stored.map(|stored| stored.version),
                most: 2,
            }))
        };
        self.say(at, command).map(drop)
    }

    pub(super) fn delete_repository(&mut self, at: usize) -> Result<(), String> {
        let (registry, repository) = (self.registry(), self.repository());
        let delete = Command::DeleteRepository {
            registry,
            repository,
        };
        self.say(at, delete).map(drop)
    }

    /// Mostly enabled, or nobody would get anything done.
    fn attributes(&mut self) -> Attributes<Option<bool>> {
        Attributes::<()>::default().map(|()| {
            let is_given = self.random.random_bool(0.5);
            is_given.then(|| self.random.random_bool(0.75))
        })
    }

    fn record(
        &mut self,
        at: usize,
        registry: &RegistryName,
        repository: &RepositoryName,
        blob: Leaf,
    ) -> Result<(), String> {
        let place = BlobPlace::Stored(self.regions[at].object());
        let new = NewBlob {
            registry: registry.clone(),
            repository: repository.clone(),
            blob,
            encoding: Encoding::Plain,
            place,
            owner: None,
            instead_of: None,
        };
        self.say(at, Command::RecordBlob(Box::new(new))).map(drop)
    }

    pub(super) fn command(&mut self, at: usize) -> Result<(), String> {
        let (registry, repository) = (self.registry(), self.repository());
        let digest = self.content.manifests.choose(&mut self.random).unwrap().0;
        let tag = self.content.tags.choose(&mut self.random).unwrap().clone();
        let blob = *self.content.blobs.choose(&mut self.random).unwrap();
        let condition = None;
        let command = match self.random.random_range(0..20) {
            0..10 => Command::DeleteManifest {
                registry,
                repository,
                digest,
                condition,
            },
            10..13 => Command::DeleteTag {
                registry,
                repository,
                tag,
                condition,
            },
            13..15 => Command::DeleteBlob {
                registry,
                repository,
                digest: blob.digest,
            },
            15 => Command::MountBlob {
                registry,
                repository,
                from: None,
                digest: blob.digest,
            },
            16 | 17 => Command::CreateRegistry {
                name: "other".parse().unwrap(),
            },
            _ => return self.record(at, &registry, &repository, blob),
        };
        let name = match &command {
            Command::CreateRegistry { name } => Some(name.clone()),
            _ => None,
        };
        let reply = self.say(at, command)?;
        if let (Some(name), Reply::Done { version }) = (name, reply) {
            self.created.insert(RegistryId::new(version), name);
        }
        Ok(())
    }

    pub(super) fn collect(&mut self, at: usize) -> Result<(), String> {
        let due = query::due(&self.regions[at].store, self.now, 8).unwrap();
        let due: Vec<_> = due.iter().map(|due| (due.registry, due.digest)).collect();
        self.say(at, Command::Collect(Collect::Condemn(due.clone())))?;
        self.say(at, Command::Collect(Collect::Remove(due)))?;
        Ok(())
    }
}
