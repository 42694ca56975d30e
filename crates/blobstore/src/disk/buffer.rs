//! Aligned, reused buffers, and how large a piece anyone may take.
//!
//! Owns all memory through which bytes pass between sockets and disk. Keeps two bounds: what lies
//! idle stays below an eighth of the budget, and the more is lent, the smaller is the next loan, so
//! that an upload costs 2 MiB while few run and 128 KiB when thousands do. Nobody ever waits for a
//! buffer: a slow sender that sits on one cannot stop another.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};

/// Where direct I/O may begin, in memory and in a file. No disk in use asks for more.
pub(super) const ALIGNMENT: usize = 4096;

/// The capacities that exist. Each is a multiple of [`ALIGNMENT`].
const SIZES: [usize; 4] = [64 << 10, 256 << 10, 512 << 10, 1 << 20];

/// The smallest capacity.
pub(super) const SMALL: usize = SIZES[0];

/// Lends buffers and takes them back.
pub(super) struct BufferPool {
    budget: usize,
    lent: AtomicUsize,
    idle: AtomicUsize,
    shelves: [Mutex<Vec<Memory>>; SIZES.len()],
}

/// Memory with a place in it where aligned bytes begin.
struct Memory {
    bytes: Box<[u8]>,
    start: usize,
}

/// A buffer on loan: a filled front and room behind it. Dropping it gives it back.
pub(super) struct Buffer {
    /// Present until dropped.
    memory: Option<Memory>,
    size: usize,
    filled: usize,
    pool: Arc<BufferPool>,
}

// === impl BufferPool ===

impl BufferPool {
    /// A pool that begins to lend less when `budget` bytes are lent.
    pub(super) fn new(budget: usize) -> Arc<Self> {
        Arc::new(Self {
            budget,
            lent: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            shelves: Default::default(),
        })
    }

    /// How much an upload should gather before it writes.
    pub(super) fn piece_size(&self) -> usize {
        let lent = self.lent.load(Ordering::Relaxed);
        let step = [(1, SIZES[1]), (4, SIZES[2]), (16, SIZES[3])];
        let room = |(share, _): &&(usize, usize)| lent < self.budget / share;
        step.iter()
            .rev()
            .find(room)
            .map_or(SMALL, |(_, size)| *size)
    }

    /// How much a download should read at once: 128 KiB costs half as much CPU again (loopback, of
    /// `cargo xtask bench -- --workloads G1`).
    pub(super) fn chunk_size(&self) -> usize {
        let plenty = self.lent.load(Ordering::Relaxed) < self.budget / 2;
        if plenty { SIZES[1] } else { SMALL }
    }

    /// A buffer of the smallest capacity that holds `size` bytes; of the greatest, if none does.
    pub(super) fn lend(self: &Arc<Self>, size: usize) -> Buffer {
        let shelf = SIZES.iter().position(|s| *s >= size);
        let shelf = shelf.unwrap_or(SIZES.len() - 1);
        let size = SIZES[shelf];
        let memory = self.shelf(shelf).pop();
        if memory.is_some() {
            self.idle.fetch_sub(size, Ordering::Relaxed);
        }
        self.lent.fetch_add(size, Ordering::Relaxed);
        Buffer {
            memory: Some(memory.unwrap_or_else(|| Memory::new(size))),
            size,
            filled: 0,
            pool: Arc::clone(self),
        }
    }

    fn take_back(&self, memory: Memory, size: usize) {
        self.lent.fetch_sub(size, Ordering::Relaxed);
        let idle = self.idle.fetch_add(size, Ordering::Relaxed) + size;
        let shelf = SIZES.iter().position(|s| *s == size);
        match shelf {
            Some(shelf) if idle <= self.budget / 8 => self.shelf(shelf).push(memory),
            _ => {
                self.idle.fetch_sub(size, Ordering::Relaxed);
            }
        }
    }

    fn shelf(&self, index: usize) -> std::sync::MutexGuard<'_, Vec<Memory>> {
        let shelf = self.shelves[index].lock();
        shelf.unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Memory ===

impl Memory {
    fn new(size: usize) -> Self {
        let bytes = vec![0; size + ALIGNMENT].into_boxed_slice();
        // The address is that of the heap block, so it does not move with the box. Should it ever
        // be misaligned, direct I/O is refused by the kernel and not used.
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { bytes, start }
    }
}

// === impl Buffer ===

impl Buffer {
    fn memory(&self) -> &Memory {
        self.memory.as_ref().expect("taken only by drop")
    }

    /// The filled front.
    pub(super) fn filled(&self) -> &[u8] {
        let Memory { bytes, start } = self.memory();
        &bytes[*start..start + self.filled]
    }

    /// The first `len` bytes, or all there are, to be overwritten; then [`Self::set_filled`].
    pub(super) fn front_mut(&mut self, len: usize) -> &mut [u8] {
        let len = len.min(self.size);
        let memory = self.memory.as_mut().expect("taken only by drop");
        &mut memory.bytes[memory.start..memory.start + len]
    }

    /// Says how much of the front is filled.
    pub(super) fn set_filled(&mut self, len: usize) {
        self.filled = len.min(self.size);
    }

    pub(super) const fn len(&self) -> usize {
        self.filled
    }

    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Moves as much of `chunk` into the room as fits.
    pub(super) fn fill(&mut self, chunk: &mut Bytes) {
        let from = self.filled;
        let to = self.size.min(from + chunk.len());
        let room = &mut self.front_mut(to)[from..];
        room.copy_from_slice(&chunk[..room.len()]);
        chunk.advance(to - from);
        self.filled = to;
    }

    /// A buffer for `size` bytes, with the filled bytes at its front.
    pub(super) fn moved(&self, size: usize) -> Self {
        let mut other = self.pool.lend(size.max(self.filled));
        other.front_mut(self.filled).copy_from_slice(self.filled());
        other.filled = self.filled;
        other
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.filled()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.pool.take_back(memory, self.size);
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} of {})", self.filled, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn pieces_shrink_while_more_is_lent() {
        let pool = BufferPool::new(64 * MIB);
        let mut loans = Vec::new();
        let mut sizes = Vec::new();
        for _ in 0..1_000 {
            let size = pool.piece_size();
            loans.push(pool.lend(size));
            sizes.push(size);
        }
        assert!(sizes.is_sorted_by(|a, b| a >= b));
        assert_eq!(sizes[..4], [MIB; 4]);
        assert_eq!(sizes[4], MIB / 2);
        assert_eq!(sizes[999], SMALL);
        let lent = pool.lent.load(Ordering::Relaxed);
        assert!(lent <= 64 * MIB + 1_000 * SMALL);
        drop(loans);
        assert_eq!(pool.lent.load(Ordering::Relaxed), 0);
        assert!(pool.idle.load(Ordering::Relaxed) <= 8 * MIB);
        assert_eq!(pool.piece_size(), MIB);
    }

    #[test]
    fn buffers_are_aligned_and_reused() {
        let pool = BufferPool::new(64 * MIB);
        let addresses: Vec<_> = (0..3)
            .map(|_| {
                let mut buffer = pool.lend(SMALL + 1);
                assert_eq!(buffer.size(), 256 << 10);
                let address = buffer.front_mut(1).as_ptr();
                assert!(address.align_offset(ALIGNMENT) == 0);
                address
            })
            .collect();
        assert_eq!(addresses[0], addresses[2]);
    }

    #[test]
    fn a_chunk_fills_what_fits_and_the_rest_stays() {
        let pool = BufferPool::new(MIB);
        let mut buffer = pool.lend(1);
        let mut chunk = Bytes::from(vec![7; SMALL + 10]);
        buffer.fill(&mut chunk);
        assert_eq!(buffer.len(), buffer.size());
        assert_eq!(chunk.len(), 10);
        let larger = buffer.moved(MIB);
        assert_eq!((larger.filled(), larger.size()), (buffer.filled(), MIB));
    }
}
