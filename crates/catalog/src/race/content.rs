//! One layer, and the images that need it.

use meridian_event::Leaf;
use meridian_oci::{Algorithm, Digest, MediaType, RegistryName, RepositoryName};

use crate::{NewManifest, ObjectKey};

pub(super) fn registry() -> RegistryName {
    "default".parse().unwrap()
}

pub(super) fn name(repository: &str) -> RepositoryName {
    repository.parse().unwrap()
}

pub(super) fn object(generation: u64) -> ObjectKey {
    ObjectKey {
        epoch: 1,
        generation,
    }
}

pub(super) fn layer() -> Leaf {
    Leaf {
        digest: Digest::of(Algorithm::Sha256, b"a layer"),
        size: 7,
    }
}

/// An author's image of the layer.
pub(super) fn image(repository: &str, author: u64) -> NewManifest {
    let bytes = author.to_be_bytes().to_vec();
    NewManifest {
        registry: registry(),
        repository: name(repository),
        digest: Digest::of(Algorithm::Sha256, &bytes),
        media_type: MediaType::OCI_IMAGE_MANIFEST,
        bytes,
        blobs: vec![layer()],
        foreign: Vec::new(),
        children: Vec::new(),
        subject: None,
        referrer: None,
        tags: Vec::new(),
        condition: None,
    }
}
