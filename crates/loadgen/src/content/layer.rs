//! Layers of any size that cost the generator no CPU while they are sent.
//!
//! A layer is made of 1 MiB pieces. Each piece is a marker of 16 bytes (the layer's key and the
//! number of the piece) followed by a slice of one random block of 64 MiB that all layers share:
//!
//! ```text
//! piece 0           piece 1           …  piece 64          …
//! [key|0][noise  0] [key|1][noise  1]    [key|64][noise 0]
//! ```
//!
//! Sending hands the kernel references to the block, without a copy in user space. No two pieces
//! are equal, in one layer or between two, so that deduplication of blobs or of fixed chunks of a
//! piece's size or larger finds nothing; a registry that cuts content by its bytes could find the
//! block again after 64 MiB. The digest is computed when the layer is made, outside every timed
//! window.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::digest::{Digest, Hasher};

/// The unit of a layer, in bytes.
pub(crate) const PIECE: usize = 1 << 20;
const NOISE: usize = 64 << 20;
const MARKER: usize = 16;

/// The random block that layers are made of.
#[derive(Clone)]
pub(crate) struct Noise(Bytes);

/// One layer with its own content.
#[derive(Clone)]
pub(crate) struct Layer {
    noise: Noise,
    markers: Bytes,
    pub(crate) size: u64,
    pub(crate) digest: Arc<Digest>,
}

/// Which part of a layer is still to be sent.
pub(crate) struct Remaining {
    layer: Layer,
    range: Range<u64>,
}

// === impl Noise ===

impl Noise {
    pub(crate) fn new() -> Self {
        let mut block = vec![0; NOISE];
        ChaCha8Rng::seed_from_u64(0x006e_6f69_7365).fill_bytes(&mut block);
        Self(block.into())
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.0
    }
}

// === impl Layer ===

impl Layer {
    /// Makes the layer with this key, and hashes it.
    pub(crate) fn new(noise: &Noise, key: u64, size: u64) -> Self {
        let mut markers = Vec::new();
        for piece in 0..size.div_ceil(PIECE as u64) {
            markers.extend_from_slice(&key.to_le_bytes());
            markers.extend_from_slice(&piece.to_le_bytes());
        }
        let mut layer = Self {
            noise: noise.clone(),
            markers: markers.into(),
            size,
            digest: Arc::new(Digest::of(b"")),
        };
        let mut hasher = Hasher::default();
        for part in layer.part(0..size) {
            hasher.update(&part);
        }
        layer.digest = Arc::new(hasher.finish());
        layer
    }

    /// The bytes of `range`, in order.
    pub(crate) fn part(&self, range: Range<u64>) -> Remaining {
        Remaining {
            range: range.start..range.end.min(self.size),
            layer: self.clone(),
        }
    }

    /// The longest contiguous memory that begins at `at`.
    fn at(&self, at: u64) -> Bytes {
        let (piece, inside) = split(at);
        if inside < MARKER {
            let marker = piece * MARKER;
            return self.markers.slice(marker + inside..marker + MARKER);
        }
        let noise = piece * PIECE % NOISE;
        self.noise.0.slice(noise + inside..noise + PIECE)
    }
}

/// The number of the piece that a position lies in, and the position inside it.
fn split(at: u64) -> (usize, usize) {
    let at = usize::try_from(at).expect("layers are smaller than the address space");
    (at / PIECE, at % PIECE)
}

// === impl Remaining ===

impl Remaining {
    pub(crate) fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }
}

impl Iterator for Remaining {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let left = self.len();
        if left == 0 {
            return None;
        }
        let mut part = self.layer.at(self.range.start);
        if left < part.len() as u64 {
            part.truncate(usize::try_from(left).expect("less than the length of a slice"));
        }
        self.range.start += part.len() as u64;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_join_to_the_whole_and_hash_to_its_digest() {
        let layer = Layer::new(&Noise::new(), 7, 3 * PIECE as u64 + 5);
        let mut joined = Vec::new();
        for range in [0..1, 1..20, 20..(2 << 20), (2 << 20)..u64::MAX] {
            layer.part(range).for_each(|part| joined.extend(part));
        }
        assert_eq!(joined.len() as u64, layer.size);
        assert_eq!(Digest::of(&joined), *layer.digest);
    }

    #[test]
    fn two_layers_differ_in_every_piece() {
        let noise = Noise::new();
        let size = 66 * PIECE as u64;
        let (one, two) = (Layer::new(&noise, 1, size), Layer::new(&noise, 2, size));
        assert_ne!(one.digest, two.digest);
        let piece = |layer: &Layer, n: u64| -> Vec<u8> {
            let start = n * PIECE as u64;
            layer.part(start..start + PIECE as u64).flatten().collect()
        };
        assert_ne!(piece(&one, 0), piece(&two, 0));
        assert_ne!(piece(&one, 1), piece(&one, 65));
    }
}
