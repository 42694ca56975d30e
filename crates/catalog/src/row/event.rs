//! Events as the outbox keeps them.
//!
//! Owns the form of an [`Envelope`] in the state: spelt out here, field by field, so that a change
//! of the kernel's type is a compile error and not another format under the same format byte. What
//! peers and consumers see is the event log's form, which is `proto`'s.

use meridian_clock::{Region, Version};
use meridian_event::webhook::{Registration, WebhookName};
use meridian_event::{
    Attributes, Envelope, Event, EventId, Leaf, Mark, Notice, RegistryId, Target, TraceContext,
};
use meridian_oci::{Digest, MediaType, RepositoryName, Tag};
use serde::{Deserialize, Serialize, Serializer};

use super::{Row, whole};

/// The format byte of a row without a trace, and of one with it.
const UNTRACED: u8 = 1;
const TRACED: u8 = 2;

/// A row of the outbox: an event that waits to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What is published.
    pub envelope: Envelope,
    /// The trace of the request that made it. It is published beside the event, not in it.
    pub trace: Option<TraceContext>,
}

/// What is read under [`UNTRACED`], and under [`TRACED`].
#[derive(Deserialize)]
#[serde(transparent)]
struct Untraced(#[serde(with = "EnvelopeForm")] Envelope);

#[derive(Deserialize)]
struct Traced {
    trace: TraceContext,
    envelope: Untraced,
}

/// What is written under them.
struct Shown<'a>(&'a Envelope);

#[derive(Serialize)]
struct TracedShown<'a> {
    trace: TraceContext,
    envelope: Shown<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Envelope")]
struct EnvelopeForm {
    id: EventId,
    version: Version,
    registry: RegistryId,
    #[serde(with = "EventForm")]
    event: Event,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Event")]
pub(crate) enum EventForm {
    RegistryCreated {
        name: Box<str>,
    },
    ManifestPut {
        repository: RepositoryName,
        #[serde(with = "crate::compact")]
        manifest: Leaf,
        #[serde(with = "crate::compact")]
        media_type: MediaType,
        tags: Vec<Tag>,
        #[serde(with = "crate::compact")]
        blobs: Vec<Leaf>,
        #[serde(with = "crate::compact")]
        children: Vec<Leaf>,
        #[serde(with = "crate::compact")]
        subject: Option<Digest>,
    },
    ManifestDeleted {
        repository: RepositoryName,
        #[serde(with = "crate::compact")]
        digest: Digest,
    },
    TagDeleted {
        repository: RepositoryName,
        tag: Tag,
        #[serde(with = "crate::compact")]
        digest: Digest,
    },
    BlobPut {
        repository: RepositoryName,
        #[serde(with = "crate::compact")]
        blob: Leaf,
        mounted_from: Option<RepositoryName>,
    },
    BlobDeleted {
        repository: RepositoryName,
        #[serde(with = "crate::compact")]
        digest: Digest,
    },
    Replicated(#[serde(with = "crate::compact")] Box<Notice>),
    ReplicatedAll {
        #[serde(with = "crate::compact")]
        notice: Box<Notice>,
        regions: Vec<Region>,
    },
    Heartbeat {
        #[serde(with = "crate::compact")]
        marks: Vec<Mark>,
    },
    AttributesSet {
        repository: RepositoryName,
        #[serde(with = "TargetForm")]
        target: Target,
        attributes: Attributes<Option<bool>>,
    },
    RepositoryDeleted {
        repository: RepositoryName,
    },
    WebhookSet {
        name: WebhookName,
        registration: Option<Box<Registration>>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Target")]
pub(crate) enum TargetForm {
    Repository,
    Tag(Tag),
    Manifest(#[serde(with = "crate::compact")] Digest),
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        EnvelopeForm::serialize(self.0, to)
    }
}

// === impl Outgoing ===

impl Serialize for Outgoing {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let envelope = Shown(&self.envelope);
        match self.trace {
            None => envelope.serialize(to),
            Some(trace) => TracedShown { trace, envelope }.serialize(to),
        }
    }
}

impl Row for Outgoing {
    const NAME: &'static str = "event";

    fn format(&self) -> u8 {
        match self.trace {
            None => UNTRACED,
            Some(_) => TRACED,
        }
    }

    fn read(format: u8, row: &[u8]) -> Option<Self> {
        let (Untraced(envelope), trace) = match format {
            UNTRACED => (whole(row)?, None),
            TRACED => {
                let Traced { trace, envelope } = whole(row)?;
                (envelope, Some(trace))
            }
            _ => return None,
        };
        Some(Self { envelope, trace })
    }
}
