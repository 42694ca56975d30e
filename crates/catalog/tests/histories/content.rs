//! Everything that a history may name. Little, so that commands meet; with names that begin alike,
//! both algorithms, a blob that is also a manifest, a child that is a blob, a chain of indexes, a
//! descriptor that lies, and a tag that is one of a crowd.

use meridian_catalog::NewManifest;
use meridian_event::Leaf;
use meridian_oci::{Algorithm, Digest, MediaType, RegistryName, RepositoryName, Tag};

pub(crate) struct Content {
    pub(crate) registries: Vec<RegistryName>,
    pub(crate) repositories: Vec<RepositoryName>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) blobs: Vec<Leaf>,
    /// Manifests without place, tags and condition.
    pub(crate) manifests: Vec<NewManifest>,
}

impl Content {
    pub(crate) fn new() -> Self {
        let of = |algorithm, number: u64| Leaf {
            digest: Digest::of(algorithm, &number.to_le_bytes()),
            size: 100 + number,
        };
        let mut blobs: Vec<_> = (0..5).map(|number| of(Algorithm::Sha256, number)).collect();
        blobs.push(of(Algorithm::Sha512, 5));
        let manifests = manifests(&blobs);
        // The bytes of a manifest, pushed as a blob.
        blobs.push(leaf(&manifests[0]));
        Self {
            registries: names(&["default", "other"]),
            repositories: names(&["a", "a/b", "a-b"]),
            tags: names(&["1", "10", "1.0", "latest", "t1500"]),
            blobs,
            manifests,
        }
    }

    /// Every digest that is anything.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        let blobs = self.blobs.iter().map(|leaf| leaf.digest);
        let manifests = self.manifests.iter().map(|new| new.digest);
        blobs.chain(manifests).collect()
    }
}

fn manifests(blobs: &[Leaf]) -> Vec<NewManifest> {
    let mut all = Vec::new();
    let mut add = |media_type, blobs: &[Leaf], foreign: &[Leaf], children: &[Leaf]| {
        let bytes = format!("{} {media_type}", all.len()).into_bytes();
        let new = NewManifest {
            registry: "default".parse().unwrap(),
            repository: "a".parse().unwrap(),
            digest: Digest::of(Algorithm::Sha256, &bytes),
            media_type,
            bytes,
            blobs: blobs.to_vec(),
            foreign: foreign.to_vec(),
            children: children.to_vec(),
            subject: None,
            referrer: None,
            tags: Vec::new(),
            condition: None,
        };
        let leaf = leaf(&new);
        all.push(new);
        leaf
    };
    let image = MediaType::OCI_IMAGE_MANIFEST;
    let index = MediaType::OCI_IMAGE_INDEX;
    let first = add(image.clone(), &[blobs[0], blobs[1]], &[], &[]);
    let second = add(image.clone(), &[blobs[0], blobs[2]], &[], &[]);
    let windows = add(image.clone(), &[blobs[3]], &[blobs[4], blobs[0]], &[]);
    let platforms = add(index.clone(), &[], &[], &[first, second]);
    add(index.clone(), &[], &[], &[platforms, windows]);
    add(index.clone(), &[], &[], &[first, blobs[5]]);
    add(index, &[], &[], &[]);
    let liar = Leaf {
        size: 1,
        ..blobs[1]
    };
    add(image.clone(), &[blobs[0], liar], &[], &[]);
    let signature = add(image.clone(), &[blobs[1]], &[], &[]);
    add(image, &[], &[], &[]);
    for (artifact, subject, kind) in [(8, first, Some("signature")), (9, signature, None)] {
        all[artifact].subject = Some(subject.digest);
        let descriptor = format!("{{\"artifact\":{artifact}}}");
        all[artifact].referrer = Some((kind.map(str::to_owned), descriptor));
    }
    all
}

fn leaf(new: &NewManifest) -> Leaf {
    Leaf {
        digest: new.digest,
        size: new.bytes.len() as u64,
    }
}

fn names<T: std::str::FromStr<Err: std::fmt::Debug>>(names: &[&str]) -> Vec<T> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}
