//! Everything that the regions push, tag and delete. Little, so that they meet: images that share
//! blobs, indexes of images and of an index, a referrer, and bytes that are a manifest here and a blob
//! there.

use std::collections::BTreeMap;

use meridian_event::Leaf;
use meridian_oci::{Algorithm, Digest, MediaType, RepositoryName, Tag};

use crate::ManifestBody;

pub(super) struct Content {
    pub(super) repositories: Vec<RepositoryName>,
    pub(super) tags: Vec<Tag>,
    pub(super) blobs: Vec<Leaf>,
    /// In the order in which they can be pushed.
    pub(super) manifests: Vec<(Digest, ManifestBody)>,
    places: BTreeMap<Digest, usize>,
}

impl Content {
    pub(super) fn new() -> Self {
        let blobs: Vec<_> = (0..4).map(blob).collect();
        let mut content = Self {
            repositories: ["a", "a/b"].map(|name| name.parse().unwrap()).to_vec(),
            tags: ["x", "y"].map(|name| name.parse().unwrap()).to_vec(),
            blobs: blobs.clone(),
            manifests: Vec::new(),
            places: BTreeMap::new(),
        };
        let bare = content.add(&[], &[], None);
        let first = content.add(&[blobs[0], blobs[1]], &[], None);
        let second = content.add(&[blobs[0], blobs[2]], &[], None);
        let pair = content.add(&[], &[first, second], None);
        content.add(&[], &[pair, bare], None);
        content.add(&[blobs[3]], &[], Some(first.digest));
        content.add(&[blobs[1], bare], &[], None);
        content.add(&[], &[second], None);
        content.blobs.push(bare);
        content.manifests[1].1.foreign = vec![blobs[3]];
        content
    }

    /// What the bytes of a manifest say, read under a media type.
    pub(super) fn body(&self, digest: Digest, media_type: &MediaType) -> ManifestBody {
        let (_, body) = &self.manifests[self.places[&digest]];
        let describe = || (None, describe(digest, media_type));
        ManifestBody {
            media_type: media_type.clone(),
            referrer: body.subject.map(|_| describe()),
            ..body.clone()
        }
    }

    /// The children of a manifest.
    pub(super) fn children(&self, digest: Digest) -> impl Iterator<Item = Digest> {
        let place = self.places.get(&digest);
        let children = place.map(|place| self.manifests[*place].1.children.iter());
        children.into_iter().flatten().map(|leaf| leaf.digest)
    }

    /// What a manifest refers to.
    pub(super) fn subject(&self, digest: Digest) -> Option<Digest> {
        let place = self.places.get(&digest)?;
        self.manifests[*place].1.subject
    }

    fn add(&mut self, blobs: &[Leaf], children: &[Leaf], subject: Option<Digest>) -> Leaf {
        let media_type = if children.is_empty() {
            MediaType::OCI_IMAGE_MANIFEST
        } else {
            MediaType::OCI_IMAGE_INDEX
        };
        let bytes = format!("manifest {}", self.manifests.len()).into_bytes();
        let leaf = Leaf {
            digest: Digest::of(Algorithm::Sha256, &bytes),
            size: bytes.len() as u64,
        };
        let body = ManifestBody {
            media_type,
            bytes,
            blobs: blobs.to_vec(),
            foreign: Vec::new(),
            children: children.to_vec(),
            subject,
            referrer: None,
        };
        self.places.insert(leaf.digest, self.manifests.len());
        self.manifests.push((leaf.digest, body));
        leaf
    }
}

/// A descriptor for the referrers list; a part of it is the media type.
pub(super) fn describe(digest: Digest, media_type: &MediaType) -> String {
    format!("{digest} as {media_type}")
}

fn blob(number: u64) -> Leaf {
    Leaf {
        digest: Digest::of(Algorithm::Sha256, &number.to_be_bytes()),
        size: 10 + number,
    }
}
