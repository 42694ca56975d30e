//! Another region, as this one hears of it: it stamps events and counts them, and keeps no state.

use std::collections::BTreeMap;

use meridian_catalog::{
    ArrivedBlob, ArrivedManifest, BlobPlace, Command, Counted, Encoding, Introduction,
    ManifestBody, NewManifest, RemoteEvent, RemoteEvents, query,
};
use meridian_clock::{Region, Version};
use meridian_event::{Attributes, Event, Leaf, RegistryId, Target, shard_of};
use meridian_oci::Digest;

use crate::stage::{DAWN, Manifested, Stage, object, repository, tag};

pub(crate) struct Peer {
    pub(crate) region: Region,
    pub(crate) registry: RegistryId,
    pub(crate) now: u64,
    last: Option<Version>,
    /// The last `seq` of each shard.
    seqs: BTreeMap<u16, u64>,
}

impl Peer {
    /// A region that shares the registry of the stage.
    pub(crate) fn of(stage: &Stage, name: &str) -> Self {
        Self {
            region: name.parse().unwrap(),
            registry: stage.id(),
            now: DAWN + 10,
            last: None,
            seqs: BTreeMap::new(),
        }
    }

    /// The version of the last event.
    pub(crate) fn last(&self) -> Version {
        self.last.unwrap()
    }

    /// Commits something.
    pub(crate) fn says(&mut self, event: Event) -> RemoteEvents {
        let shard = shard_of(self.registry, event.repository());
        self.says_in(shard, event)
    }

    /// The same, in a shard that is not that of a registry or a repository.
    pub(crate) fn says_in(&mut self, shard: u16, event: Event) -> RemoteEvents {
        let version = Version::next(self.last, self.now, self.region);
        self.last = Some(version);
        let seq = self.seqs.entry(shard).or_default();
        *seq += 1;
        let event = RemoteEvent {
            seq: *seq,
            version,
            registry: self.registry,
            event,
            body: None,
        };
        RemoteEvents {
            origin: self.region,
            epoch: 1,
            shard,
            events: vec![event],
        }
    }

    pub(crate) fn puts(&mut self, new: &NewManifest) -> RemoteEvents {
        self.says(Event::ManifestPut {
            repository: new.repository.clone(),
            manifest: new.leaf(),
            media_type: new.media_type.clone(),
            tags: new.tags.clone(),
            blobs: new.blobs.clone(),
            children: new.children.clone(),
            subject: new.subject,
        })
    }

    pub(crate) fn deletes(&mut self, name: &str, digest: Digest) -> RemoteEvents {
        self.says(Event::ManifestDeleted {
            repository: repository(name),
            digest,
        })
    }

    pub(crate) fn untags(&mut self, name: &str, which: &str, digest: Digest) -> RemoteEvents {
        self.says(Event::TagDeleted {
            repository: repository(name),
            tag: tag(which),
            digest,
        })
    }

    pub(crate) fn sets(
        &mut self,
        name: &str,
        target: &Target,
        attributes: Attributes<Option<bool>>,
    ) -> RemoteEvents {
        self.says(Event::AttributesSet {
            repository: repository(name),
            target: target.clone(),
            attributes,
        })
    }

    pub(crate) fn deletes_repository(&mut self, name: &str) -> RemoteEvents {
        self.says(Event::RepositoryDeleted {
            repository: repository(name),
        })
    }

    pub(crate) fn deletes_blob(&mut self, name: &str, digest: Digest) -> RemoteEvents {
        self.says(Event::BlobDeleted {
            repository: repository(name),
            digest,
        })
    }

    /// The bytes of a manifest.
    pub(crate) fn bytes(&self, new: &NewManifest) -> Command {
        Command::StoreManifest(Box::new(ArrivedManifest {
            registry: self.registry,
            repository: new.repository.clone(),
            digest: new.digest,
            body: body(new),
        }))
    }

    /// A blob's bytes, placed under the generation of its number.
    pub(crate) fn blob(&self, blob: Leaf) -> Command {
        Command::StoreBlob(Box::new(ArrivedBlob {
            registry: self.registry,
            blob,
            encoding: Encoding::Plain,
            place: BlobPlace::Stored(object(blob.size)),
            owner: Some(self.registry),
            instead_of: None,
        }))
    }
}

pub(crate) fn body(new: &NewManifest) -> ManifestBody {
    ManifestBody {
        media_type: new.media_type.clone(),
        bytes: new.bytes.clone(),
        blobs: new.blobs.clone(),
        foreign: new.foreign.clone(),
        children: new.children.clone(),
        subject: new.subject,
        referrer: new.referrer.clone(),
    }
}

/// Events of one shard as one batch.
pub(crate) fn batch(all: Vec<RemoteEvents>) -> RemoteEvents {
    let mut all = all.into_iter();
    let mut batch = all.next().unwrap();
    for more in all {
        assert_eq!(more.shard, batch.shard);
        batch.events.extend(more.events);
    }
    batch
}

pub(crate) fn merge(events: RemoteEvents) -> Command {
    Command::ApplyRemote(Box::new(events))
}

/// What of a repository this region wants.
pub(crate) fn wanted(stage: &Stage, name: &str) -> Vec<Digest> {
    let wanted = query::wanted_manifests(&stage.store, None, 10_000).unwrap();
    let name = repository(name);
    let wanted = wanted.into_iter().filter(|it| it.repository == name);
    wanted.map(|it| it.manifest.digest).collect()
}

/// Which blobs this region wants.
pub(crate) fn wanted_blobs(stage: &Stage) -> Vec<Leaf> {
    let mut found: Vec<Leaf> = Vec::new();
    let mut last = None;
    loop {
        let page = query::wanted_blobs(&stage.store, last.as_ref(), 2).unwrap();
        found.extend(page.iter().map(|wanted| wanted.blob));
        match page.last() {
            Some(wanted) => last = Some(wanted.clone()),
            None => return found,
        }
    }
}

/// This region meets another one, which counts on it, and has accepted that this one does so, too.
pub(crate) fn meet(stage: &mut Stage, region: Region) {
    let said = introduction(stage, region);
    stage.say(Command::Meet(Box::new(said.clone())));
    let since = acquaintance(stage, region).since;
    let counted = said.counted.map(|counted| Counted {
        accepted: Some(since),
        ..counted
    });
    let said = Introduction { counted, ..said };
    stage.say(Command::Meet(Box::new(said)));
}

/// What another region says that counts on this one, and has not accepted anything yet.
pub(crate) fn introduction(stage: &Stage, region: Region) -> Introduction {
    let at = |millis| Version {
        millis: DAWN + millis,
        counter: 0,
        region,
    };
    Introduction {
        region,
        born: at(1),
        counted: Some(Counted {
            born: query::born(&stage.store).unwrap(),
            since: at(2),
            accepted: None,
        }),
        last: at(3),
        floors: Vec::new(),
        merged: Vec::new(),
    }
}

/// How this region counts on another one.
pub(crate) fn acquaintance(stage: &Stage, region: Region) -> Counted {
    let known = query::acquaintances(&stage.store).unwrap();
    let known = known.iter().find(|it| it.region == region);
    known.unwrap().counted
}
