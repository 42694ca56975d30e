//! What a manifest says about content that it names.

use crate::{Digest, MediaType};

/// A descriptor (image-spec `descriptor.md`), reduced to what a registry acts upon. Everything else
/// in it stays where it is: in the manifest's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The content's media type.
    pub media_type: MediaType,
    /// The content's digest.
    pub digest: Digest,
    /// The content's length in bytes, at most 2⁶³ − 1.
    pub size: u64,
    /// The type of the artifact that the content is, as written.
    pub artifact_type: Option<Box<str>>,
    /// Whether it lists places to download the content from. They are never used.
    pub has_urls: bool,
}

impl Descriptor {
    /// Whether a registry must take a manifest that names this content without having it: it can
    /// be had elsewhere, or may not be distributed (distribution-spec "Pushing manifests").
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.has_urls || self.media_type.is_nondistributable()
    }
}
