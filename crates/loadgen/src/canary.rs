//! A fixed piece of work that tells whether the machine is still the same.
//!
//! SHA-256 of 64 MiB and 20 times 4 KiB with fdatasync, run between blocks while the servers are
//! idle, on the servers' CPU. If its cost moves between the blocks of a pair, the pair compares
//! two machines. While it hashes, a task waits for a CPU only if somebody else runs as well; what
//! the servers used meanwhile, to finish what they began, is taken off, and the rest is pressure
//! from outside. (While it syncs, it waits for the kernel's own threads.)

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::affinity::Pinning;
use crate::content::Noise;
use crate::digest::Digest;
use crate::gauge::Pressure;
use crate::statistics::median;

const SYNCS: usize = 20;

/// Holds what the canary needs.
pub(crate) struct Canary {
    noise: Noise,
    file: File,
    pinning: Option<Pinning>,
}

/// One run of the canary.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Song {
    /// SHA-256 of 64 MiB, ms.
    pub(crate) hash_ms: f64,
    /// One fdatasync after 4 KiB, ms, the median.
    pub(crate) sync_ms: f64,
    /// Share of the hashing in which some task waited for a CPU, less what the servers used;
    /// nothing if the kernel cannot tell.
    pub(crate) pressure: Option<f64>,
}

// === impl Canary ===

impl Canary {
    /// The file lies in `folder`, which is on the disk that the servers use.
    pub(crate) fn new(noise: &Noise, folder: &Path, pinning: Option<Pinning>) -> io::Result<Self> {
        Ok(Self {
            noise: noise.clone(),
            file: File::create(folder.join("canary"))?,
            pinning,
        })
    }

    /// `servers` tells the CPU time that the servers have used so far.
    pub(crate) fn sing(&mut self, servers: impl Fn() -> Duration) -> io::Result<Song> {
        match self.pinning {
            Some(pinning) => pinning.on_servers_cpu(|| self.sing_here(servers)),
            None => self.sing_here(servers),
        }
    }

    fn sing_here(&mut self, servers: impl Fn() -> Duration) -> io::Result<Song> {
        let (used, pressure) = (servers(), Pressure::now());
        let start = Instant::now();
        let digest = Digest::of(self.noise.bytes());
        let hash = start.elapsed();
        std::hint::black_box(digest);
        let waited = Pressure::now()
            .zip(pressure)
            .map(|(now, then)| now.since(then));
        let used = servers().saturating_sub(used);
        let outside = |it: Duration| it.saturating_sub(used).as_secs_f64() / hash.as_secs_f64();
        let mut syncs = (0..SYNCS)
            .map(|_| self.sync().map(millis))
            .collect::<io::Result<Vec<f64>>>()?;
        self.file.rewind()?;
        self.file.set_len(0)?;
        Ok(Song {
            hash_ms: millis(hash),
            sync_ms: median(&mut syncs).unwrap_or(0.0),
            pressure: waited.map(outside),
        })
    }

    fn sync(&mut self) -> io::Result<Duration> {
        self.file.write_all(&self.noise.bytes()[..4096])?;
        let start = Instant::now();
        self.file.sync_data()?;
        Ok(start.elapsed())
    }
}

// === impl Song ===

impl Song {
    /// What the fixed work cost, ms. The median sync stands for all twenty, because single ones
    /// stall for reasons that pass before the next block.
    pub(crate) fn cost_ms(&self) -> f64 {
        const SYNCS: f64 = 20.0;
        self.hash_ms + SYNCS * self.sync_ms
    }

    /// CPU seconds that SHA-256 takes for one GB, the floor of every push.
    pub(crate) fn hash_s_per_gb(&self) -> f64 {
        const GIGABYTES: f64 = 0.067_108_864;
        self.hash_ms / 1000.0 / GIGABYTES
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canary_sings_and_leaves_an_empty_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut canary = Canary::new(&Noise::new(), folder.path(), None).unwrap();
        let song = canary.sing(|| Duration::ZERO).unwrap();
        assert!(song.hash_ms > 0.0 && song.sync_ms > 0.0 && song.cost_ms() > song.hash_ms);
        assert_eq!(folder.path().join("canary").metadata().unwrap().len(), 0);
    }
}
