//! A walk over the frames of a file, from one position up to another, in bounded memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::format::{Damage, Frame, MAX_RECORD_FRAME};

/// How much is read at once.
const BLOCK: usize = 64 << 10;

/// Why the walk ended before its end.
#[derive(Debug)]
pub(super) enum FrameFault {
    /// The file could not be read.
    Io(io::Error),
    /// There is no frame at `position`.
    Damaged { position: u64, what: Damage },
}

/// Yields frames one after the other, without verifying checksums.
pub(super) struct Frames<'a> {
    file: &'a File,
    /// Where the next frame begins.
    position: u64,
    end: u64,
    /// Bytes of the file from `block_at` on.
    block: Vec<u8>,
    block_at: u64,
}

// === impl Frames ===

impl<'a> Frames<'a> {
    /// Walks from `position`, where a frame begins, to `end`, where one ends.
    pub(super) const fn new(file: &'a File, position: u64, end: u64) -> Self {
        Self {
            file,
            position,
            end,
            block: Vec::new(),
            block_at: position,
        }
    }

    /// Where the next frame begins.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// The next frame, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, FrameFault> {
        let position = self.position;
        if position >= self.end {
            return Ok(None);
        }
        let damaged = |what| FrameFault::Damaged { position, what };
        let prefix = self
            .window(4)?
            .and_then(|bytes| bytes.first_chunk::<4>().copied());
        let prefix = prefix.ok_or_else(|| damaged("a frame is cut"))?;
        let size = Frame::size_at(prefix).ok_or_else(|| damaged("a frame has no content"))?;
        if size > MAX_RECORD_FRAME {
            return Err(damaged("a frame is longer than any record"));
        }
        let bytes = self
            .window(size)?
            .and_then(|bytes| Frame::parse(bytes, position));
        // The borrow of the window ends with this look, so the position can move.
        if bytes.is_none() {
            return Err(damaged("a frame is cut"));
        }
        self.position += size as u64;
        let start = usize::try_from(position - self.block_at).expect("within the block");
        Ok(Frame::parse(&self.block[start..], position))
    }

    /// `length` bytes from the current position, or `None` when the end comes first.
    fn window(&mut self, length: usize) -> Result<Option<&[u8]>, FrameFault> {
        if self.end - self.position < length as u64 {
            return Ok(None);
        }
        let have = self.block_at + self.block.len() as u64;
        if self.position + length as u64 > have {
            let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
            self.block.resize(length.max(BLOCK).min(left), 0);
            self.block_at = self.position;
            let read = self.file.read_exact_at(&mut self.block, self.position);
            read.map_err(FrameFault::Io)?;
        }
        let start = usize::try_from(self.position - self.block_at).expect("within the block");
        Ok(Some(&self.block[start..start + length]))
    }
}
