//! A manifest as it was pushed.
//!
//! Owns the exact bytes and the one reading of them. Keeps two invariants: the digest is that of
//! the bytes that were received, which is why nothing here serialises a manifest again; and no
//! other reader takes the same bytes for something else (CVE-2021-41190): what names a member
//! twice, spells it in another case, or has the members of two kinds of manifests, is refused.
//! Memory is bounded by the manifest's length, whatever it contains. Whether the content that it
//! names is there, and of the size that it says, is the metadata service's.

mod descriptor;
mod document;
mod error;
mod list;
mod shape;
mod strict;

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::Serialize;

pub use error::{DescriptorFault, DescriptorPlace, ParseManifestError};

use crate::{Algorithm, Descriptor, Digest, MediaType};

/// The greatest length of a manifest; every registry must take that much (distribution-spec
/// "Pushing manifests"), and clients give up beyond.
pub const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// The greatest number of descriptors in a list.
pub const MAX_DESCRIPTORS: usize = 10_000;

/// The greatest number of members of a JSON object, annotations and unknown objects included.
pub const MAX_MEMBERS: usize = 10_000;

/// The greatest number of JSON arrays and objects inside one another, the manifest itself included.
pub const MAX_DEPTH: usize = 64;

/// A manifest: its bytes and what a registry must know of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Manifest {
    bytes: Bytes,
    media_type: MediaType,
    kind: ManifestKind,
    blobs: Vec<Descriptor>,
    foreign_blobs: Vec<Descriptor>,
    children: Vec<Descriptor>,
    subject: Option<Descriptor>,
    artifact_type: Option<Box<str>>,
    /// Only of a manifest with a subject; the others' are never asked for.
    annotations: Annotations,
}

/// What a manifest stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// One image, or an artifact in the shape of one: `config` and `layers`.
    Image,
    /// A list of manifests: `manifests`.
    Index,
    /// An artifact in the shape that preceded version 1.1: `blobs`.
    Artifact,
}

type Annotations = BTreeMap<Box<str>, Box<str>>;

impl Manifest {
    /// Reads a manifest that was pushed with this `Content-Type`; without one, what the manifest
    /// says of itself, or else its shape, decides.
    ///
    /// # Errors
    ///
    /// [`ParseManifestError`] tells why it is refused, and by which code clients know that.
    pub fn parse(content_type: Option<&str>, bytes: Bytes) -> Result<Self, ParseManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ParseManifestError::TooLarge);
        }
        let declared = shape::declared(content_type)?;
        let document = document::read(&bytes)?;
        let media_type = shape::media_type(declared, &document)?;
        let kind = shape::kind(&media_type, &document)?;
        document.into_manifest(bytes.clone(), media_type, kind)
    }

    /// The bytes, as they were received.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The type under which it was pushed and is served.
    #[must_use]
    pub const fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// What it stands for.
    #[must_use]
    pub const fn kind(&self) -> ManifestKind {
        self.kind
    }

    /// The digest of its bytes. Computed anew by each call.
    #[must_use]
    pub fn digest(&self, algorithm: Algorithm) -> Digest {
        Digest::of(algorithm, &self.bytes)
    }

    /// The blobs that must be present, each once: configuration first, then in the manifest's
    /// order. Without [foreign](Descriptor::is_foreign) ones. Of an index, what its entries name
    /// that is not a manifest; build caches are pushed like that.
    pub fn blobs(&self) -> impl ExactSizeIterator<Item = &Descriptor> {
        self.blobs.iter()
    }

    /// The [foreign](Descriptor::is_foreign) blobs that it names, each once. They may be absent, but
    /// those that were pushed are as much in use as the others.
    pub fn foreign_blobs(&self) -> impl ExactSizeIterator<Item = &Descriptor> {
        self.foreign_blobs.iter()
    }

    /// The manifests that an index names, each once, in the index's order.
    pub fn children(&self) -> impl ExactSizeIterator<Item = &Descriptor> {
        self.children.iter()
    }

    /// The manifest that this one refers to. It need not be present.
    #[must_use]
    pub const fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }

    /// The type of artifact that the referrers API shows (distribution-spec "Listing Referrers"):
    /// the manifest's `artifactType`; if an image has none, the media type of its configuration.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        self.artifact_type.as_deref()
    }

    /// The descriptor under which the referrers API lists this manifest, as JSON; `None` if it has
    /// no subject. `digest` is the one under which it is kept.
    #[must_use]
    pub fn referrer_descriptor(&self, digest: &Digest) -> Option<String> {
        self.subject.as_ref()?;
        let descriptor = ReferrerDescriptor {
            media_type: &self.media_type,
            digest,
            size: self.bytes.len(),
            artifact_type: self.artifact_type(),
            annotations: &self.annotations,
        };
        Some(serde_json::to_string(&descriptor).expect("it consists of strings and a number"))
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("media_type", &self.media_type)
            .field("size_bytes", &self.bytes.len())
            .field("blobs", &self.blobs.len())
            .field("children", &self.children.len())
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferrerDescriptor<'a> {
    media_type: &'a MediaType,
    digest: &'a Digest,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a Annotations,
}

#[cfg(test)]
mod tests;
