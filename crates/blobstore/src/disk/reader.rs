//! Reading a finished file.
//!
//! Owns the choice of thread. What lies in the page cache is read on the spot, with calls that never
//! wait for a disk; only what does not goes to a blocking thread, which also asks the kernel to read
//! ahead, so that the next chunk is often there. Chunks are buffers of the pool, given back when the
//! last reference to their bytes goes. The open file keeps its bytes though it be deleted.

use std::fs::File;
use std::io::{self, ErrorKind, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use rustix::fs::{Advice, Mode, OFlags, ResolveFlags, fadvise, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::{JoinHandle, coop, spawn_blocking};

use super::buffer::{Buffer, BufferPool};

/// How far ahead of a cold read the kernel is asked to read, in bytes.
const READ_AHEAD: u64 = 4 << 20;

/// What the kernel can do without waiting, found out by trying.
pub(super) struct Unwaiting {
    opens: AtomicBool,
    reads: AtomicBool,
}

/// The bytes of a range of a file, which is at least that long.
pub(super) struct FileStream {
    file: Arc<File>,
    rest: Range<u64>,
    /// Up to where the kernel was asked to read ahead.
    asked: u64,
    pool: Arc<BufferPool>,
    unwaiting: Arc<Unwaiting>,
    /// The read on its way on a blocking thread.
    read: Option<JoinHandle<io::Result<Buffer>>>,
}

// === impl Unwaiting ===

impl Default for Unwaiting {
    fn default() -> Self {
        Self {
            opens: AtomicBool::new(true),
            reads: AtomicBool::new(true),
        }
    }
}

impl Unwaiting {
    /// Opens `path` under `root` if the kernel knows the answer by heart; `None` if it has to look.
    pub(super) fn open(&self, root: &OwnedFd, path: &Path) -> Option<io::Result<File>> {
        if !self.opens.load(Ordering::Relaxed) {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::CACHED | ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(root, path, flags, Mode::empty(), resolve) {
            Ok(file) => Some(Ok(file.into())),
            Err(Errno::NOENT) => Some(Err(Errno::NOENT.into())),
            Err(Errno::NOSYS | Errno::INVAL | Errno::PERM | Errno::OPNOTSUPP) => {
                self.opens.store(false, Ordering::Relaxed);
                None
            }
            Err(_) => None,
        }
    }

    /// Reads what of `buffer` the page cache holds; `None` if that is nothing.
    fn read(&self, file: &File, buffer: &mut [u8], at: u64) -> Option<io::Result<usize>> {
        if !self.reads.load(Ordering::Relaxed) {
            return None;
        }
        let mut slices = [IoSliceMut::new(buffer)];
        match preadv2(file.as_fd(), &mut slices, at, ReadWriteFlags::NOWAIT) {
            Ok(read) => Some(Ok(read)),
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {
                self.reads.store(false, Ordering::Relaxed);
                None
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(error) => Some(Err(error.into())),
        }
    }
}

// === impl FileStream ===

impl FileStream {
    pub(super) fn new(
        file: File,
        range: Range<u64>,
        pool: Arc<BufferPool>,
        unwaiting: Arc<Unwaiting>,
    ) -> Self {
        Self {
            file: Arc::new(file),
            asked: range.start,
            rest: range,
            pool,
            unwaiting,
            read: None,
        }
    }

    /// A buffer, and how much of it to fill.
    fn buffer(&self) -> (Buffer, usize) {
        let left = usize::try_from(self.rest.end - self.rest.start).unwrap_or(usize::MAX);
        let wanted = left.min(self.pool.chunk_size());
        (self.pool.lend(wanted), wanted)
    }

    fn read_waiting(
        &mut self,
        mut buffer: Buffer,
        wanted: usize,
    ) -> JoinHandle<io::Result<Buffer>> {
        let (file, at) = (Arc::clone(&self.file), self.rest.start);
        let ahead = (at >= self.asked).then(|| self.rest.end.min(at + READ_AHEAD));
        self.asked = ahead.unwrap_or(self.asked);
        spawn_blocking(move || {
            if let Some(end) = ahead {
                // Advice: the read below is right without it.
                let _advice = fadvise(&file, at, NonZeroU64::new(end - at), Advice::WillNeed);
            }
            loop {
                match file.read_at(buffer.front_mut(wanted), at) {
                    Ok(read) => {
                        buffer.set_filled(read);
                        return Ok(buffer);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        })
    }

    /// Yields a read; one of nothing is an end before the promised one.
    fn yielded(&mut self, read: io::Result<Buffer>) -> Option<io::Result<Bytes>> {
        let read = read.and_then(|buffer| match buffer.len() {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(buffer),
        });
        match read {
            Ok(buffer) => {
                self.rest.start += buffer.len() as u64;
                Some(Ok(Bytes::from_owner(buffer)))
            }
            Err(error) => {
                self.rest.start = self.rest.end;
                Some(Err(error))
            }
        }
    }
}

impl Stream for FileStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        // A cached file never makes its reader wait: without this it could keep a worker for itself.
        let turn = ready!(coop::poll_proceed(cx));
        if self.read.is_none() {
            let (mut buffer, wanted) = self.buffer();
            let at = self.rest.start;
            let cached = {
                let room = buffer.front_mut(wanted);
                self.unwaiting.read(&self.file, room, at)
            };
            if let Some(read) = cached {
                turn.made_progress();
                let read = read.map(|len| {
                    buffer.set_filled(len);
                    buffer
                });
                return Poll::Ready(self.yielded(read));
            }
            self.read = Some(self.read_waiting(buffer, wanted));
        }
        let Some(read) = &mut self.read else {
            return Poll::Ready(None);
        };
        let outcome = ready!(Pin::new(read).poll(cx));
        turn.made_progress();
        self.read = None;
        let outcome = outcome.map_err(io::Error::from).and_then(|outcome| outcome);
        Poll::Ready(self.yielded(outcome))
    }
}
