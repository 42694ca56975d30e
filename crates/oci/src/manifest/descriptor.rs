//! Reading the descriptors of a manifest.
//!
//! Owns what makes a descriptor lawful (image-spec `descriptor.md`): media type, digest and size
//! are there, the size is one that can exist, and embedded `data` is the content that digest and
//! size speak of. Leaves `urls` and annotations unread beyond their form.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::strict::{Nullable, StringMap, Text, Verdict, members, skip};
use super::{DescriptorFault, DescriptorPlace, ParseManifestError};
use crate::{Descriptor, Digest, MediaType};

/// Reads one descriptor. `depth` is the number of arrays and objects around it.
#[derive(Clone, Copy)]
pub(super) struct DescriptorReader<'a> {
    pub(super) verdict: &'a Verdict,
    pub(super) place: DescriptorPlace,
    pub(super) depth: usize,
}

const NAMES: [&str; 8] = [
    "mediaType",
    "digest",
    "size",
    "urls",
    "annotations",
    "data",
    "artifactType",
    "platform",
];

#[derive(Default)]
struct Fields<'de> {
    media_type: Option<Cow<'de, str>>,
    digest: Option<Cow<'de, str>>,
    size: Option<u64>,
    has_urls: bool,
    data: Option<Cow<'de, str>>,
    artifact_type: Option<Cow<'de, str>>,
}

impl DescriptorReader<'_> {
    fn refuse<E: Error>(&self, fault: DescriptorFault) -> E {
        self.verdict.refuse(ParseManifestError::Descriptor {
            place: self.place,
            fault,
        })
    }
}

impl<'de> DeserializeSeed<'de> for DescriptorReader<'_> {
    type Value = Descriptor;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Descriptor, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DescriptorReader<'_> {
    type Value = Descriptor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a descriptor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Descriptor, A::Error> {
        let mut fields = Fields::default();
        members(self.verdict, &mut map, |name, map| {
            match name {
                "mediaType" => fields.media_type = Some(map.next_value_seed(Text)?),
                "digest" => fields.digest = Some(map.next_value_seed(Text)?),
                "size" => fields.size = Some(map.next_value_seed(Size(self))?),
                "urls" => {
                    fields.has_urls = map.next_value_seed(Nullable(Urls))?.unwrap_or(false);
                }
                "annotations" => {
                    map.next_value_seed(Nullable(StringMap(self.verdict)))?;
                }
                "data" => fields.data = map.next_value_seed(Nullable(Text))?,
                "artifactType" => fields.artifact_type = map.next_value_seed(Nullable(Text))?,
                "platform" => skip(self.verdict, self.depth + 1, name, &[], map)?,
                _ => skip(self.verdict, self.depth + 1, name, &NAMES, map)?,
            }
            Ok(())
        })?;
        fields.check().map_err(|fault| self.refuse(fault))
    }
}

impl Fields<'_> {
    fn check(self) -> Result<Descriptor, DescriptorFault> {
        let media_type = self
            .media_type
            .ok_or(DescriptorFault::Missing("mediaType"))?;
        let digest = self.digest.ok_or(DescriptorFault::Missing("digest"))?;
        let descriptor = Descriptor {
            media_type: MediaType::from_header(&media_type)
                .map_err(|_| DescriptorFault::MediaType)?,
            digest: digest.parse().map_err(DescriptorFault::Digest)?,
            size: self.size.ok_or(DescriptorFault::Missing("size"))?,
            artifact_type: artifact_type(self.artifact_type)
                .ok_or(DescriptorFault::ArtifactType)?,
            has_urls: self.has_urls,
        };
        match self.data {
            Some(data) if !is_content(&data, &descriptor) => Err(DescriptorFault::Data),
            _ => Ok(descriptor),
        }
    }
}

/// An artifact's type as written, if it is a media type; Go's encoders write "" for none. The outer
/// `None` means that it is malformed.
pub(super) fn artifact_type(text: Option<Cow<'_, str>>) -> Option<Option<Box<str>>> {
    match text {
        None => Some(None),
        Some(text) if text.is_empty() => Some(None),
        Some(text) if text.len() > MediaType::MAX_BYTES => None,
        Some(text) => MediaType::from_header(&text)
            .is_ok()
            .then(|| Some(text.into())),
    }
}

/// Decoding is refused early when the length alone tells, so that it never costs more than `size`.
fn is_content(data: &str, descriptor: &Descriptor) -> bool {
    let Ok(size) = usize::try_from(descriptor.size) else {
        return false;
    };
    data.len() == size.div_ceil(3).saturating_mul(4)
        && BASE64_STANDARD.decode(data).is_ok_and(|content| {
            content.len() == size
                && Digest::of(descriptor.digest.algorithm(), &content) == descriptor.digest
        })
}

/// A length that can exist.
struct Size<'a>(DescriptorReader<'a>);

impl<'de> DeserializeSeed<'de> for Size<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_u64(self)
    }
}

impl Visitor<'_> for Size<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length")
    }

    fn visit_u64<E: Error>(self, size: u64) -> Result<u64, E> {
        if i64::try_from(size).is_ok() {
            Ok(size)
        } else {
            Err(self.0.refuse(DescriptorFault::Size))
        }
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<u64, E> {
        Err(self.0.refuse(DescriptorFault::Size))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<u64, E> {
        Err(self.0.refuse(DescriptorFault::Size))
    }
}

/// Whether there is any URL.
struct Urls;

impl<'de> DeserializeSeed<'de> for Urls {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Urls {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of URLs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let mut any = false;
        while seq.next_element_seed(Text)?.is_some() {
            any = true;
        }
        Ok(any)
    }
}
