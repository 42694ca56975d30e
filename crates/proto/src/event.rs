//! Events on the wire.

use meridian_event::{Attributes, Envelope, Event, EventId, Leaf, Mark, Notice, Target};
use prost::Message;

use crate::decode::{DecodeError, digest, leaf, registry, required, text, version};
use crate::meridian::event::v1 as wire;

/// The payload of an event's record.
#[must_use]
pub fn encode_envelope(envelope: &Envelope) -> Vec<u8> {
    wire::Envelope::from(envelope).encode_to_vec()
}

/// An event from the payload of its record.
///
/// # Errors
///
/// When the payload is no envelope, or one of a kind that this build does not know.
pub fn decode_envelope(payload: &[u8]) -> Result<Envelope, DecodeError> {
    wire::Envelope::decode(payload)?.try_into()
}

impl From<&Envelope> for wire::Envelope {
    fn from(envelope: &Envelope) -> Self {
        Self {
            id: Some(envelope.id.into()),
            version: Some(envelope.version.into()),
            registry: Some(envelope.registry.into()),
            event: Some(encode(&envelope.event)),
        }
    }
}

impl TryFrom<wire::Envelope> for Envelope {
    type Error = DecodeError;

    fn try_from(message: wire::Envelope) -> Result<Self, DecodeError> {
        Ok(Self {
            id: event_id(message.id, "id")?,
            version: version(message.version, "version")?,
            registry: registry(message.registry, "registry")?,
            event: decode(message.event.ok_or(DecodeError::UnknownEvent)?)?,
        })
    }
}

impl From<EventId> for wire::EventId {
    fn from(id: EventId) -> Self {
        Self {
            region: id.region.to_string(),
            epoch: id.epoch,
            shard: u32::from(id.shard),
            seq: id.seq,
        }
    }
}

/// The id of an event.
///
/// # Errors
///
/// When it is missing or invalid.
pub fn event_id(value: Option<wire::EventId>, field: &'static str) -> Result<EventId, DecodeError> {
    let id = required(value, field)?;
    Ok(EventId {
        region: text(&id.region, "id.region")?,
        epoch: id.epoch,
        shard: u16::try_from(id.shard).map_err(|_| DecodeError::Invalid("id.shard"))?,
        seq: id.seq,
    })
}

impl From<&Notice> for wire::Notice {
    fn from(notice: &Notice) -> Self {
        Self {
            push: Some(notice.push.into()),
            repository: notice.repository.to_string(),
            manifest: Some(notice.manifest.into()),
            media_type: notice.media_type.to_string(),
            tags: notice.tags.iter().map(ToString::to_string).collect(),
        }
    }
}

fn notice(value: Option<wire::Notice>) -> Result<Box<Notice>, DecodeError> {
    let notice = required(value, "notice")?;
    Ok(Box::new(Notice {
        push: event_id(notice.push, "push")?,
        repository: text(&notice.repository, "repository")?,
        manifest: leaf(notice.manifest, "manifest")?,
        media_type: text(&notice.media_type, "media_type")?,
        tags: texts(&notice.tags, "tags")?,
    }))
}

impl From<&Mark> for wire::Mark {
    fn from(mark: &Mark) -> Self {
        Self {
            origin: mark.origin.to_string(),
            epoch: mark.epoch,
            merged: mark.merged,
            version: mark.version.map(Into::into),
            copied: mark.copied,
            complete: mark.complete,
            except: mark.except.clone(),
        }
    }
}

/// One that names more exceptions than are understood here says less instead.
fn mark(mut mark: wire::Mark) -> Result<Mark, DecodeError> {
    let version = match mark.version {
        Some(it) => Some(version(Some(it), "version")?),
        None => None,
    };
    let is_ascending = mark.except.windows(2).all(|pair| pair[0] < pair[1]);
    if !is_ascending {
        return Err(DecodeError::Invalid("except"));
    }
    if let Some(next) = mark.except.get(Mark::EXCEPTIONS) {
        mark.complete = mark.complete.min(next.saturating_sub(1));
        mark.except.truncate(Mark::EXCEPTIONS);
    }
    Ok(Mark {
        origin: text(&mark.origin, "origin")?,
        epoch: mark.epoch,
        merged: mark.merged,
        version,
        copied: mark.copied,
        complete: mark.complete,
        except: mark.except,
    })
}

fn encode(event: &Event) -> wire::envelope::Event {
    use wire::attributes_set::Target as Of;
    use wire::envelope::Event as Wire;
    match event {
        Event::RegistryCreated { name } => Wire::RegistryCreated(wire::RegistryCreated {
            name: name.to_string(),
        }),
        Event::ManifestPut {
            repository,
            manifest,
            media_type,
            tags,
            blobs,
            children,
            subject,
        } => Wire::ManifestPut(wire::ManifestPut {
            repository: repository.to_string(),
            manifest: Some((*manifest).into()),
            media_type: media_type.to_string(),
            tags: tags.iter().map(ToString::to_string).collect(),
            blobs: blobs.iter().map(|leaf| (*leaf).into()).collect(),
            children: children.iter().map(|leaf| (*leaf).into()).collect(),
            subject: subject.map(Into::into),
        }),
        Event::ManifestDeleted { repository, digest } => {
            Wire::ManifestDeleted(wire::ManifestDeleted {
                repository: repository.to_string(),
                digest: Some((*digest).into()),
            })
        }
        Event::TagDeleted {
            repository,
            tag,
            digest,
        } => Wire::TagDeleted(wire::TagDeleted {
            repository: repository.to_string(),
            tag: tag.to_string(),
            digest: Some((*digest).into()),
        }),
        Event::BlobPut {
            repository,
            blob,
            mounted_from,
        } => Wire::BlobPut(wire::BlobPut {
            repository: repository.to_string(),
            blob: Some((*blob).into()),
            mounted_from: mounted_from
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }),
        Event::BlobDeleted { repository, digest } => Wire::BlobDeleted(wire::BlobDeleted {
            repository: repository.to_string(),
            digest: Some((*digest).into()),
        }),
        Event::Replicated(notice) => Wire::Replicated(wire::Replicated {
            notice: Some((&**notice).into()),
        }),
        Event::ReplicatedAll { notice, regions } => Wire::ReplicatedAll(wire::ReplicatedAll {
            notice: Some((&**notice).into()),
            regions: regions.iter().map(ToString::to_string).collect(),
        }),
        Event::Heartbeat { marks } => Wire::Heartbeat(wire::Heartbeat {
            marks: marks.iter().map(Into::into).collect(),
        }),
        Event::AttributesSet {
            repository,
            target,
            attributes,
        } => Wire::AttributesSet(wire::AttributesSet {
            repository: repository.to_string(),
            target: match target {
                Target::Repository => None,
                Target::Tag(tag) => Some(Of::Tag(tag.to_string())),
                Target::Manifest(digest) => Some(Of::Manifest((*digest).into())),
            },
            delete_enabled: attributes.delete,
            write_enabled: attributes.write,
            read_enabled: attributes.read,
            list_enabled: attributes.list,
        }),
        Event::RepositoryDeleted { repository } => {
            Wire::RepositoryDeleted(wire::RepositoryDeleted {
                repository: repository.to_string(),
            })
        }
        Event::WebhookSet { name, registration } => Wire::WebhookSet(wire::WebhookSet {
            name: name.as_str().to_owned(),
            registration: registration.as_deref().map(Into::into),
        }),
    }
}

fn decode(event: wire::envelope::Event) -> Result<Event, DecodeError> {
    use wire::attributes_set::Target as Of;
    use wire::envelope::Event as Wire;
    Ok(match event {
        Wire::RegistryCreated(it) => Event::RegistryCreated {
            name: it.name.into(),
        },
        Wire::ManifestPut(it) => Event::ManifestPut {
            repository: text(&it.repository, "repository")?,
            manifest: leaf(it.manifest, "manifest")?,
            media_type: text(&it.media_type, "media_type")?,
            tags: texts(&it.tags, "tags")?,
            blobs: leaves(it.blobs, "blobs")?,
            children: leaves(it.children, "children")?,
            subject: it
                .subject
                .map(|subject| digest(Some(subject), "subject"))
                .transpose()?,
        },
        Wire::ManifestDeleted(it) => Event::ManifestDeleted {
            repository: text(&it.repository, "repository")?,
            digest: digest(it.digest, "digest")?,
        },
        Wire::TagDeleted(it) => Event::TagDeleted {
            repository: text(&it.repository, "repository")?,
            tag: text(&it.tag, "tag")?,
            digest: digest(it.digest, "digest")?,
        },
        Wire::BlobPut(it) => Event::BlobPut {
            repository: text(&it.repository, "repository")?,
            blob: leaf(it.blob, "blob")?,
            mounted_from: match it.mounted_from.as_str() {
                "" => None,
                name => Some(text(name, "mounted_from")?),
            },
        },
        Wire::BlobDeleted(it) => Event::BlobDeleted {
            repository: text(&it.repository, "repository")?,
            digest: digest(it.digest, "digest")?,
        },
        Wire::Replicated(it) => Event::Replicated(notice(it.notice)?),
        Wire::ReplicatedAll(it) => Event::ReplicatedAll {
            notice: notice(it.notice)?,
            regions: texts(&it.regions, "regions")?,
        },
        Wire::Heartbeat(it) => Event::Heartbeat {
            marks: it.marks.into_iter().map(mark).collect::<Result<_, _>>()?,
        },
        Wire::AttributesSet(it) => Event::AttributesSet {
            repository: text(&it.repository, "repository")?,
            target: match it.target {
                None => Target::Repository,
                Some(Of::Tag(tag)) => Target::Tag(text(&tag, "tag")?),
                Some(Of::Manifest(it)) => Target::Manifest(digest(Some(it), "manifest")?),
            },
            attributes: Attributes {
                delete: it.delete_enabled,
                write: it.write_enabled,
                read: it.read_enabled,
                list: it.list_enabled,
            },
        },
        Wire::RepositoryDeleted(it) => Event::RepositoryDeleted {
            repository: text(&it.repository, "repository")?,
        },
        Wire::WebhookSet(it) => Event::WebhookSet {
            name: text(&it.name, "name")?,
            registration: match it.registration {
                Some(it) => Some(Box::new(it.try_into()?)),
                None => None,
            },
        },
    })
}

fn texts<T: std::str::FromStr>(
    values: &[String],
    field: &'static str,
) -> Result<Vec<T>, DecodeError> {
    values.iter().map(|value| text(value, field)).collect()
}

fn leaves(
    values: Vec<crate::meridian::content::v1::Leaf>,
    field: &'static str,
) -> Result<Vec<Leaf>, DecodeError> {
    let leaves = values.into_iter().map(|value| leaf(Some(value), field));
    leaves.collect()
}
