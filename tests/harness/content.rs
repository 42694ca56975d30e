//! Content that nobody has pushed before, from a seed.

use bytes::Bytes;
use meridian_oci::{Algorithm, Digest};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A source of fresh content.
pub struct Content {
    random: ChaCha8Rng,
}

/// An image: its blobs, and the manifest that names them.
#[derive(Debug, Clone)]
pub struct Image {
    /// Configuration first, then layers.
    pub blobs: Vec<Bytes>,
    /// The manifest.
    pub manifest: Bytes,
}

// === impl Content ===

impl Content {
    /// The source of that seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// A number in a range.
    pub fn number(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.random.random_range(range)
    }

    /// Fresh bytes.
    pub fn bytes(&mut self, length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        self.random.fill_bytes(&mut bytes);
        bytes.into()
    }

    /// A fresh image with layers of these sizes.
    pub fn image(&mut self, layers: &[usize]) -> Image {
        let config = format!(r#"{{"nonce":"{:x}"}}"#, self.random.random::<u128>());
        let mut blobs = vec![Bytes::from(config)];
        blobs.extend(layers.iter().map(|length| self.bytes(*length)));
        Image::of(blobs)
    }
}

// === impl Image ===

impl Image {
    /// The image of a configuration and layers.
    pub fn of(blobs: Vec<Bytes>) -> Self {
        let describe = |media_type: &str, blob: &Bytes| {
            serde_json::json!({
                "mediaType": media_type,
                "digest": digest(blob).to_string(),
                "size": blob.len(),
            })
        };
        let config = describe("application/vnd.oci.image.config.v1+json", &blobs[0]);
        let layers: Vec<_> = blobs[1..]
            .iter()
            .map(|blob| describe("application/vnd.oci.image.layer.v1.tar", blob))
            .collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": layers,
        });
        Self {
            blobs,
            manifest: manifest.to_string().into(),
        }
    }

    /// The manifest's digest.
    pub fn digest(&self) -> Digest {
        digest(&self.manifest)
    }
}

/// The sha256 digest of bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}
