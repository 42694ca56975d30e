//! Random content that is the same in every run with the same seed, and digests of what passes.

use std::io::{self, Read, Write};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// An endless stream of bytes that no compression shortens.
pub(crate) struct Noise(ChaCha8Rng);

impl Noise {
    /// Other labels give other bytes.
    pub(crate) fn new(seed: u64, label: &str) -> Self {
        let hash = Sha256::new()
            .chain_update(seed.to_le_bytes())
            .chain_update(label)
            .finalize();
        Self(ChaCha8Rng::from_seed(hash.into()))
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.fill_bytes(buffer);
        Ok(buffer.len())
    }
}

/// Counts and hashes what is written through it.
pub(crate) struct Digesting<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Digesting<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            size: 0,
        }
    }

    /// The writer, the digest as OCI writes it, and the size in bytes.
    pub(crate) fn finish(self) -> (W, String, u64) {
        (self.inner, written(self.hash), self.size)
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The digest and the size of all that `source` has.
pub(crate) fn digest(mut source: impl Read) -> io::Result<(String, u64)> {
    let mut sink = Digesting::new(io::sink());
    let mut buffer = vec![0; 256 << 10];
    loop {
        match source.read(&mut buffer)? {
            0 => break,
            read => sink.write_all(&buffer[..read])?,
        }
    }
    let (_, digest, size) = sink.finish();
    Ok((digest, size))
}

fn written(hash: Sha256) -> String {
    let hash = hash.finalize();
    hash.iter().fold("sha256:".to_owned(), |text, byte| {
        format!("{text}{byte:02x}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_repeats_by_seed_and_label() {
        let digest = |seed, label| digest(Noise::new(seed, label).take(1000)).unwrap();
        assert_eq!(digest(1, "a"), digest(1, "a"));
        assert_ne!(digest(1, "a"), digest(1, "b"));
        assert_ne!(digest(1, "a"), digest(2, "a"));
        assert_eq!(digest(1, "a").1, 1000);
    }

    #[test]
    fn a_digest_is_the_one_that_everybody_knows() {
        let (digest, size) = digest(&b"{}"[..]).unwrap();
        assert_eq!(size, 2);
        assert_eq!(
            digest,
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }
}
