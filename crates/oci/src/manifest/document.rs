//! Reading the members of a manifest, whatever its kind.
//!
//! Owns which members a registry interprets and how they become a [`Manifest`]. Keeps the invariant
//! that the descriptors of a manifest do not contradict one another. Leaves how strictly JSON is
//! read to `strict`, what makes a descriptor lawful to `descriptor`, and which members go together
//! to `shape`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};

use super::descriptor::{self, DescriptorReader};
use super::list::ListReader;
use super::strict::{Nullable, Skipped, StringMap, Text, Verdict, members, skip};
use super::{Annotations, DescriptorPlace, Manifest, ManifestKind, ParseManifestError};
use crate::{Descriptor, Digest, MediaType};

/// The members of a manifest that a registry interprets. A list is `Some` when it is named, even
/// as `null`.
#[derive(Default)]
pub(super) struct Document<'de> {
    pub(super) schema_version: Option<u64>,
    pub(super) media_type: Option<Cow<'de, str>>,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Option<Vec<Descriptor>>,
    pub(super) manifests: Option<Vec<Descriptor>>,
    pub(super) blobs: Option<Vec<Descriptor>>,
    pub(super) has_fs_layers: bool,
    artifact_type: Option<Cow<'de, str>>,
    subject: Option<Descriptor>,
    annotations: Annotations,
}

const NAMES: [&str; 10] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "blobs",
    "subject",
    "annotations",
    "fsLayers",
];

/// Reads a manifest's bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Document<'_>, ParseManifestError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ParseManifestError::NotUtf8)?;
    let verdict = Verdict::default();
    let mut json = serde_json::Deserializer::from_str(text);
    DocumentReader(&verdict)
        .deserialize(&mut json)
        .and_then(|document| json.end().map(|()| document))
        .map_err(|error| verdict.reason(&error))
}

struct DocumentReader<'a>(&'a Verdict);

impl<'de> DeserializeSeed<'de> for DocumentReader<'_> {
    type Value = Document<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DocumentReader<'_> {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let verdict = self.0;
        let one = |place| DescriptorReader {
            verdict,
            place,
            depth: 1,
        };
        let list = |name| {
            Nullable(ListReader {
                verdict,
                name,
                depth: 1,
            })
        };
        let mut document = Document::default();
        let it = &mut document;
        members(verdict, &mut map, |name, map| {
            match name {
                "schemaVersion" => {
                    it.schema_version = Some(map.next_value_seed(SchemaVersion(verdict))?);
                }
                "mediaType" => it.media_type = Some(map.next_value_seed(Text)?),
                "artifactType" => it.artifact_type = map.next_value_seed(Nullable(Text))?,
                "config" => it.config = Some(map.next_value_seed(one(DescriptorPlace::Config))?),
                "subject" => {
                    it.subject = map.next_value_seed(Nullable(one(DescriptorPlace::Subject)))?;
                }
                "layers" => {
                    it.layers = Some(map.next_value_seed(list("layers"))?.unwrap_or_default());
                }
                "manifests" => {
                    it.manifests =
                        Some(map.next_value_seed(list("manifests"))?.unwrap_or_default());
                }
                "blobs" => {
                    it.blobs = Some(map.next_value_seed(list("blobs"))?.unwrap_or_default());
                }
                "annotations" => {
                    it.annotations = map
                        .next_value_seed(Nullable(StringMap(verdict)))?
                        .unwrap_or_default();
                }
                "fsLayers" => {
                    it.has_fs_layers = true;
                    map.next_value_seed(Skipped { verdict, depth: 1 })?;
                }
                _ => skip(verdict, 1, name, &NAMES, map)?,
            }
            Ok(())
        })?;
        Ok(document)
    }
}

/// An integer; which one is decided with the rest of the manifest.
struct SchemaVersion<'a>(&'a Verdict);

impl<'de> DeserializeSeed<'de> for SchemaVersion<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_u64(self)
    }
}

impl Visitor<'_> for SchemaVersion<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version")
    }

    fn visit_u64<E: Error>(self, version: u64) -> Result<u64, E> {
        Ok(version)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<u64, E> {
        Err(self.0.refuse(ParseManifestError::SchemaVersion))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<u64, E> {
        Err(self.0.refuse(ParseManifestError::SchemaVersion))
    }
}

// === impl Document ===

impl Document<'_> {
    /// Makes a manifest of a document whose shape is that of `kind`.
    pub(super) fn into_manifest(
        self,
        bytes: Bytes,
        media_type: MediaType,
        kind: ManifestKind,
    ) -> Result<Manifest, ParseManifestError> {
        self.check_sizes()?;
        let artifact_type = descriptor::artifact_type(self.artifact_type)
            .ok_or(ParseManifestError::ArtifactType)?
            .or_else(|| Some(self.config.as_ref()?.media_type.as_str().into()));
        let entries = self.manifests.into_iter().flatten();
        let (children, others) = entries.partition::<Vec<_>, _>(|d| d.media_type.is_manifest());
        let lists = [self.layers, self.blobs, Some(others)];
        let named = self
            .config
            .into_iter()
            .chain(lists.into_iter().flatten().flatten());
        let (foreign, blobs) = named.partition::<Vec<_>, _>(Descriptor::is_foreign);

        let mut seen = BTreeSet::new();
        Ok(Manifest {
            bytes,
            media_type,
            kind,
            blobs: once(blobs, &mut seen),
            foreign_blobs: once(foreign, &mut seen),
            children: once(children, &mut BTreeSet::new()),
            annotations: self
                .subject
                .as_ref()
                .map(|_| self.annotations)
                .unwrap_or_default(),
            subject: self.subject,
            artifact_type,
        })
    }

    /// Content has one size. Were two of them taken, only one would be held against what is stored.
    fn check_sizes(&self) -> Result<(), ParseManifestError> {
        let lists = [&self.layers, &self.manifests, &self.blobs];
        let mut sizes = BTreeMap::new();
        let mut all = lists
            .into_iter()
            .flatten()
            .flatten()
            .chain(&self.config)
            .chain(&self.subject);
        if all.all(|d| *sizes.entry(d.digest).or_insert(d.size) == d.size) {
            Ok(())
        } else {
            Err(ParseManifestError::ContradictorySizes)
        }
    }
}

/// What was not seen before, in order.
fn once(mut descriptors: Vec<Descriptor>, seen: &mut BTreeSet<Digest>) -> Vec<Descriptor> {
    descriptors.retain(|descriptor| seen.insert(descriptor.digest));
    descriptors
}
