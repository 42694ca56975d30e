//! Events on the wire.

use meridian_event::{Envelope, Event, EventId, Leaf};
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
            id: Some(wire::EventId {
                region: envelope.id.region.to_string(),
                epoch: envelope.id.epoch,
                shard: u32::from(envelope.id.shard),
                seq: envelope.id.seq,
            }),
            version: Some(envelope.version.into()),
            registry: Some(envelope.registry.into()),
            event: Some(encode(&envelope.event)),
        }
    }
}

impl TryFrom<wire::Envelope> for Envelope {
    type Error = DecodeError;

    fn try_from(message: wire::Envelope) -> Result<Self, DecodeError> {
        let id = required(message.id, "id")?;
        let shard = u16::try_from(id.shard).map_err(|_| DecodeError::Invalid("id.shard"))?;
        Ok(Self {
            id: EventId {
                region: text(&id.region, "id.region")?,
                epoch: id.epoch,
                shard,
                seq: id.seq,
            },
            version: version(message.version, "version")?,
            registry: registry(message.registry, "registry")?,
            event: decode(message.event.ok_or(DecodeError::UnknownEvent)?)?,
        })
    }
}

fn encode(event: &Event) -> wire::envelope::Event {
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
    }
}

fn decode(event: wire::envelope::Event) -> Result<Event, DecodeError> {
    use wire::envelope::Event as Wire;
    Ok(match event {
        Wire::RegistryCreated(it) => Event::RegistryCreated {
            name: it.name.into(),
        },
        Wire::ManifestPut(it) => Event::ManifestPut {
            repository: text(&it.repository, "repository")?,
            manifest: leaf(it.manifest, "manifest")?,
            media_type: text(&it.media_type, "media_type")?,
            tags: it
                .tags
                .iter()
                .map(|tag| text(tag, "tags"))
                .collect::<Result<_, _>>()?,
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
    })
}

fn leaves(
    values: Vec<crate::meridian::content::v1::Leaf>,
    field: &'static str,
) -> Result<Vec<Leaf>, DecodeError> {
    let leaves = values.into_iter().map(|value| leaf(Some(value), field));
    leaves.collect()
}
