//! Reading a list of descriptors, up to the number that this registry takes.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};

use super::descriptor::DescriptorReader;
use super::strict::Verdict;
use super::{DescriptorPlace, MAX_DESCRIPTORS, ParseManifestError};
use crate::Descriptor;

/// Reads the list of descriptors that the manifest calls `name`.
pub(super) struct ListReader<'a> {
    pub(super) verdict: &'a Verdict,
    pub(super) name: &'static str,
    pub(super) depth: usize,
}

impl<'de> DeserializeSeed<'de> for ListReader<'_> {
    type Value = Vec<Descriptor>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Vec<Descriptor>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ListReader<'_> {
    type Value = Vec<Descriptor>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of descriptors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Descriptor>, A::Error> {
        let mut descriptors = Vec::new();
        loop {
            let next = DescriptorReader {
                verdict: self.verdict,
                place: DescriptorPlace::Entry {
                    list: self.name,
                    index: descriptors.len(),
                },
                depth: self.depth + 1,
            };
            let Some(descriptor) = seq.next_element_seed(next)? else {
                return Ok(descriptors);
            };
            if descriptors.len() == MAX_DESCRIPTORS {
                let limit = MAX_DESCRIPTORS;
                return Err(self.verdict.refuse(ParseManifestError::TooMany { limit }));
            }
            descriptors.push(descriptor);
        }
    }
}
