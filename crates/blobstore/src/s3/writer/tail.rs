//! The end of an unfinished object, behind its last whole part.
//!
//! Owns where it is: in memory, or, between two requests, in the note alone if memory is short. Keeps
//! the invariant that whoever holds more than a few bytes has the right to a whole part.

use bytes::{Bytes, BytesMut};

use crate::BlobKey;
use crate::s3::Shared;
use crate::s3::checksum::Checksum;
use crate::s3::failure::Failure;
use crate::s3::memory::{FREE, Hold};
use crate::s3::note::{Mark, Noted};

/// The tail of one object.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: BytesMut,
    /// The right to what is in memory: to a part, or to what rests.
    hold: Option<Hold>,
    is_whole_part: bool,
    /// Where in the note it is, while it is not in memory.
    away: Option<Mark>,
}

// === impl Tail ===

impl Tail {
    /// The tail at a mark, which is in the note.
    pub(super) fn at(mark: Mark) -> Self {
        Self {
            away: (mark.tail > 0).then_some(mark),
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> u64 {
        match &self.away {
            Some(mark) => mark.tail,
            None => self.bytes.len() as u64,
        }
    }

    /// Its mark behind so many parts.
    pub(super) fn mark(&self, parts: usize) -> Mark {
        match self.away {
            Some(mark) => Mark { parts, ..mark },
            None => {
                let Checksum { crc, len } = Checksum::of(&self.bytes);
                let (at, tail) = (0, len);
                Mark {
                    parts,
                    at,
                    tail,
                    crc,
                    id: 0,
                }
            }
        }
    }

    /// Gets it into memory, with room for `wanted` bytes in all of a part of `size`.
    pub(super) async fn load(
        &mut self,
        store: &Shared,
        key: &BlobKey,
        noted: &Noted,
        wanted: usize,
        size: usize,
    ) -> Result<(), Failure> {
        let is_more = wanted > FREE || self.len() > FREE as u64;
        if is_more && !self.is_whole_part {
            self.hold = Some(store.memory.part(size).await);
            self.is_whole_part = true;
        }
        if let Some(mark) = self.away {
            let bytes = store.tail(key, noted, &mark).await?;
            self.bytes = BytesMut::from(bytes);
            self.away = None;
        }
        Ok(())
    }

    /// How many bytes may be pushed, of a part of `size`.
    pub(super) fn room(&self, size: usize) -> usize {
        let most = if self.is_whole_part {
            size
        } else {
            FREE.min(size)
        };
        most.saturating_sub(self.bytes.len())
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        debug_assert!(self.away.is_none(), "a tail that is in memory");
        self.bytes.extend_from_slice(bytes);
    }

    /// A copy of its first `len` bytes, if it is in memory and has so many.
    pub(super) fn front(&self, len: u64) -> Option<Bytes> {
        let len = usize::try_from(len).ok()?;
        let bytes = self.bytes.get(..len).filter(|_| self.away.is_none())?;
        Some(Bytes::copy_from_slice(bytes))
    }

    /// Cuts it off, if it is in memory and has so many bytes.
    pub(super) fn cut(&mut self, len: u64) -> bool {
        match usize::try_from(len) {
            Ok(len) if self.away.is_none() && len <= self.bytes.len() => {
                self.bytes.truncate(len);
                true
            }
            _ => false,
        }
    }

    /// Gives it away as a part, with the right to its memory.
    pub(super) fn take(&mut self) -> (Bytes, Option<Hold>) {
        debug_assert!(self.away.is_none(), "a tail that is in memory");
        self.is_whole_part = false;
        (std::mem::take(&mut self.bytes).freeze(), self.hold.take())
    }

    /// The note has it at this mark from now on, if it is not in memory.
    pub(super) fn noted(&mut self, mark: &Mark) {
        if let Some(away) = &mut self.away {
            *away = *mark;
        }
    }

    /// Lets go of the right to a part: what fits among what rests stays in memory, all else is in
    /// the note, at `mark`.
    pub(super) fn rest(&mut self, store: &Shared, mark: &Mark) {
        if self.away.is_some() || !self.is_whole_part {
            return;
        }
        self.is_whole_part = false;
        self.hold = store.memory.rest(self.bytes.len());
        if self.hold.is_some() || self.bytes.len() <= FREE {
            self.bytes = BytesMut::from(&self.bytes[..]);
        } else {
            *self = Self::at(*mark);
        }
    }
}
