//! Writes: a request becomes a command, its reply an outcome.

use meridian_catalog::{
    self as catalog, ArrivedBlob, Command, ManifestBody, NewBlob, NewManifest, Refusal, Reply,
};
use meridian_clients::{
    BlobLocation, BlobPut, Collect, CollectOutcome, Condition, DeleteManifest, Encoding,
    Generations, PutBlob, PutManifest, ReadError, RequestId, StorageKey, StoreBlob, WriteError,
};
use meridian_clock::{Region, Version};
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Descriptor, Digest, Manifest, Reference};

type Result<T> = std::result::Result<T, WriteError>;

pub(crate) fn request(id: RequestId) -> catalog::RequestId {
    catalog::RequestId(id.0)
}

pub(crate) fn put_manifest(request: PutManifest) -> Command {
    let PutManifest {
        repository,
        manifest,
        digest,
        tags,
        condition,
        request: _,
    } = request;
    let body = body(&manifest, &digest);
    Command::PutManifest(Box::new(NewManifest {
        registry: repository.registry,
        repository: repository.name,
        digest,
        media_type: body.media_type,
        bytes: body.bytes,
        blobs: body.blobs,
        foreign: body.foreign,
        children: body.children,
        subject: body.subject,
        referrer: body.referrer,
        tags,
        condition: condition.map(to_condition),
    }))
}

/// What the state has to know of what a manifest says.
pub(crate) fn body(manifest: &Manifest, digest: &Digest) -> ManifestBody {
    let subject = manifest.subject().map(|subject| subject.digest);
    let referrer = subject.and_then(|_| manifest.referrer_descriptor(digest));
    let artifact_type = manifest.artifact_type().map(ToOwned::to_owned);
    ManifestBody {
        media_type: manifest.media_type().clone(),
        bytes: manifest.bytes().to_vec(),
        blobs: manifest.blobs().map(leaf).collect(),
        foreign: manifest.foreign_blobs().map(leaf).collect(),
        children: manifest.children().map(leaf).collect(),
        subject,
        referrer: referrer.map(|descriptor| (artifact_type, descriptor)),
    }
}

fn leaf(descriptor: &Descriptor) -> Leaf {
    Leaf {
        digest: descriptor.digest,
        size: descriptor.size,
    }
}

const fn to_condition(condition: Condition) -> catalog::Condition {
    match condition {
        Condition::PointsAt(digest) => catalog::Condition::PointsAt(digest),
        Condition::Absent => catalog::Condition::Absent,
    }
}

pub(crate) fn delete_manifest(request: DeleteManifest) -> Command {
    let DeleteManifest {
        repository,
        reference,
        condition,
        request: _,
    } = request;
    let (registry, repository) = (repository.registry, repository.name);
    let condition = condition.map(to_condition);
    match reference {
        Reference::Tag(tag) => Command::DeleteTag {
            registry,
            repository,
            tag,
            condition,
        },
        Reference::Digest(digest) => Command::DeleteManifest {
            registry,
            repository,
            digest,
            condition,
        },
    }
}

pub(crate) fn put_blob(request: PutBlob) -> Command {
    let (place, owner) = place(request.location);
    Command::RecordBlob(Box::new(NewBlob {
        registry: request.repository.registry,
        repository: request.repository.name,
        blob: Leaf {
            digest: request.digest,
            size: request.size,
        },
        encoding: encoding(request.encoding),
        place,
        owner,
        instead_of: request.instead_of.as_ref().map(object),
    }))
}

pub(crate) fn store_blob(request: StoreBlob) -> Command {
    let (place, owner) = place(request.location);
    Command::StoreBlob(Box::new(ArrivedBlob {
        registry: request.registry,
        blob: request.blob,
        encoding: encoding(request.encoding),
        place,
        owner,
        instead_of: request.instead_of.as_ref().map(object),
    }))
}

/// Where bytes are, and among whose objects.
fn place(location: BlobLocation) -> (catalog::BlobPlace, Option<RegistryId>) {
    match location {
        BlobLocation::Inline(bytes) => (catalog::BlobPlace::Inline(bytes.to_vec()), None),
        BlobLocation::Stored(key) => {
            let place = catalog::BlobPlace::Stored(object(&key));
            (place, Some(key.registry))
        }
    }
}

const fn encoding(encoding: Encoding) -> catalog::Encoding {
    match encoding {
        Encoding::Plain => catalog::Encoding::Plain,
    }
}

pub(crate) fn collect(step: Collect) -> Command {
    Command::Collect(match step {
        Collect::Condemn(candidates) => catalog::Collect::Condemn(candidates),
        Collect::Remove(candidates) => catalog::Collect::Remove(candidates),
        Collect::Deleted(keys) => catalog::Collect::Deleted(keys.iter().map(object).collect()),
        Collect::Doom(keys) => {
            let strays = keys.iter().map(|key| (key.registry, object(key)));
            catalog::Collect::Doom(strays.collect())
        }
    })
}

const fn object(key: &StorageKey) -> catalog::ObjectKey {
    catalog::ObjectKey {
        epoch: key.epoch,
        generation: key.generation,
    }
}

/// The version of something that took effect.
pub(crate) fn done(reply: Reply) -> Result<Version> {
    match reply {
        Reply::Done { version } => Ok(version),
        other => Err(refused(other)),
    }
}

/// A blob that was recorded.
pub(crate) fn recorded(reply: Reply) -> Result<BlobPut> {
    let (version, kept) = match reply {
        Reply::Kept {
            version,
            registry,
            object,
        } => {
            let kept = StorageKey {
                registry,
                epoch: object.epoch,
                generation: object.generation,
            };
            (version, Some(kept))
        }
        other => (done(other)?, None),
    };
    Ok(BlobPut { version, kept })
}

/// The version of something that took effect, unless there was nothing to do.
pub(crate) fn done_or_nothing(reply: Reply) -> Result<Option<Version>> {
    match reply {
        Reply::Nothing => Ok(None),
        other => done(other).map(Some),
    }
}

/// Generations that were reserved.
pub(crate) fn reserved(reply: Reply) -> Result<Generations> {
    match reply {
        Reply::Reserved {
            epoch,
            first,
            count,
        } => Ok(Generations {
            epoch,
            first,
            count,
        }),
        other => Err(refused(other)),
    }
}

/// What a step of garbage collection did.
pub(crate) fn collected(reply: Reply) -> Result<CollectOutcome> {
    match reply {
        Reply::Collected { objects, bytes } => Ok(CollectOutcome {
            blobs: objects,
            bytes,
        }),
        Reply::Nothing => Ok(CollectOutcome::default()),
        other => Err(refused(other)),
    }
}

/// What a refusal, or an answer to something else, means to whoever asked.
pub(crate) fn refused(reply: Reply) -> WriteError {
    let Reply::Refused(refusal) = reply else {
        return ReadError::Internal {
            reason: format!("the state machine answered `{reply}`"),
        }
        .into();
    };
    match refusal {
        Refusal::RegistryUnknown => ReadError::RegistryUnknown.into(),
        Refusal::RepositoryUnknown => ReadError::RepositoryUnknown.into(),
        Refusal::ManifestUnknown => ReadError::ManifestUnknown.into(),
        Refusal::BlobUnknown => ReadError::BlobUnknown.into(),
        Refusal::Locked => ReadError::Locked.into(),
        Refusal::ConditionFailed(current) => WriteError::ConditionFailed { current },
        Refusal::LeavesUnknown(digests) => WriteError::LeavesUnknown(digests),
        Refusal::SizesDiffer(digests) => WriteError::SizesDiffer(digests),
        Refusal::InUse(digests) => WriteError::InUse(digests),
        Refusal::Echo => malformed("it happened in this region"),
        Refusal::Malformed => malformed("it is not of its shard, or not in order"),
        // Time will bring it near.
        Refusal::Ahead(version) => ReadError::Unavailable {
            reason: format!("version {version} is too far ahead of the clock of this region"),
        }
        .into(),
        Refusal::Stranger(region) => ReadError::Unavailable {
            reason: format!("this region and {region} have not met yet"),
        }
        .into(),
        Refusal::Joining(regions) => ReadError::Unavailable {
            reason: joining(&regions),
        }
        .into(),
        Refusal::NotInitialized
        | Refusal::OtherRegion(_)
        | Refusal::RegistryExists
        | Refusal::ObjectForeign
        | Refusal::GenerationsExhausted
        | Refusal::Gap { .. }
        | Refusal::EpochUnknown { .. }
        | Refusal::Outdated(_)
        | Refusal::WebhookExists
        | Refusal::WebhookUnknown
        | Refusal::WebhookChanged
        | Refusal::TooManyWebhooks { .. }
        | Refusal::Superseded => ReadError::Internal {
            reason: format!("the state machine refused: {refusal:?}"),
        }
        .into(),
    }
}

/// What keeps a new region from taking writes.
fn joining(regions: &[Region]) -> String {
    let regions: Vec<_> = regions.iter().map(Region::as_str).collect();
    let regions = regions.join(", ");
    format!(
        "this region is new and takes no pushes before all others count on it; still to come: {regions}. Name this region, [regions], in the settings of the metadata service there, and see that the agents of both reach each other"
    )
}

pub(crate) fn malformed(reason: impl ToString) -> WriteError {
    WriteError::Malformed {
        reason: reason.to_string(),
    }
}
