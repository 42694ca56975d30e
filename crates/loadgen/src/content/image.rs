//! Small images, each a pure function of a counter.
//!
//! Keeps the invariant that images with different counters share no blob, so that no registry
//! gains from deduplication, and that an image can be made again from its counter, so that nothing
//! need be kept for checking it later.

use bytes::Bytes;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Descriptor, Manifest};
use crate::digest::push_hex;

const LAYERS: usize = 3;
const SIZES: std::ops::RangeInclusive<usize> = 1_000..=10_000;

/// A config, three layers of 1–10 kB, and the manifest that names them.
pub(crate) struct Image {
    pub(crate) blobs: Vec<(Descriptor, Bytes)>,
    pub(crate) manifest: Manifest,
}

// === impl Image ===

impl Image {
    /// The image with this number: a `ChaCha` stream keyed by it.
    pub(crate) fn numbered(counter: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(0x6d65_7269_6469_616e);
        random.set_stream(counter);
        let layers: Vec<(Descriptor, Bytes)> =
            (0..LAYERS).map(|_| described(layer(&mut random))).collect();
        let config = described(config(&mut random, &layers));
        let descriptors: Vec<Descriptor> = layers.iter().map(|(it, _)| it.clone()).collect();
        let manifest = Manifest::of(&config.0, &descriptors);
        let blobs = std::iter::once(config).chain(layers).collect();
        Self { blobs, manifest }
    }

    /// The bytes of all blobs and the manifest.
    pub(crate) fn size(&self) -> u64 {
        let blobs: u64 = self.blobs.iter().map(|(blob, _)| blob.size).sum();
        blobs + self.manifest.body.len() as u64
    }
}

fn described(content: Bytes) -> (Descriptor, Bytes) {
    (Descriptor::of(&content), content)
}

fn layer(random: &mut ChaCha8Rng) -> Bytes {
    let mut content = vec![0; random.random_range(SIZES)];
    random.fill_bytes(&mut content);
    content.into()
}

/// An image config of 1–10 kB, made long by a random variable of the environment.
fn config(random: &mut ChaCha8Rng, layers: &[(Descriptor, Bytes)]) -> Bytes {
    let mut noise = vec![0; random.random_range(SIZES) / 2 - 175];
    random.fill_bytes(&mut noise);
    let mut text = String::from(
        r#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin","NOISE="#,
    );
    push_hex(&mut text, &noise);
    text.push_str(r#""]},"rootfs":{"type":"layers","diff_ids":["#);
    for (n, (layer, _)) in layers.iter().enumerate() {
        text.push_str(if n > 0 { ",\"" } else { "\"" });
        text.push_str(layer.digest.as_str());
        text.push('"');
    }
    text.push_str("]}}");
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_gives_the_same_image_and_another_number_shares_no_blob() {
        let (one, again, other) = (Image::numbered(1), Image::numbered(1), Image::numbered(2));
        assert_eq!(one.manifest.digest, again.manifest.digest);
        for (blob, _) in &one.blobs {
            assert!(other.blobs.iter().all(|(it, _)| it.digest != blob.digest));
        }
    }

    #[test]
    fn an_image_has_a_json_config_and_three_layers_of_the_stated_sizes() {
        for counter in 0..200 {
            let image = Image::numbered(counter);
            assert_eq!(image.blobs.len(), 1 + LAYERS);
            assert!(serde_json::from_slice::<serde_json::Value>(&image.blobs[0].1).is_ok());
            for (blob, content) in &image.blobs {
                assert_eq!(blob.size, content.len() as u64);
                assert!((990..=10_010).contains(&blob.size), "{}", blob.size);
            }
        }
    }
}
