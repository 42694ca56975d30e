//! The byte stream as the HTTP library sees it.
//!
//! Owns what stands between a connection's bytes and the library: the scanner, whose verdicts it
//! carries out, and the reports to the connection's [`Pulse`]. Keeps two invariants: of a head,
//! the library sees all or nothing; and a refused head is replaced by a request of our own, so
//! that its answer takes its turn behind the answers to earlier requests. Bytes are scanned where
//! the library will read them; only an incomplete head is copied.

mod http1;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use self::http1::{End, Http1, Read};
use super::guard::Limits;
use super::pulse::Pulse;
use super::refusal::Refusal;

/// Bytes of an unread request that are taken in so that the client gets to read why: closing
/// with bytes unread would reset the connection and destroy the answer.
const MAX_LINGER: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Guarded<T> {
    io: T,
    pulse: Arc<Pulse>,
    protocol: Protocol,
    /// Bytes that the library may see but has not seen.
    ready: Bytes,
    linger: Option<usize>,
}

#[derive(Debug)]
enum Protocol {
    Http1(Box<Http1>),
    Http2,
}

// === impl Guarded ===

impl<T: AsyncRead + AsyncWrite + Unpin> Guarded<T> {
    /// A connection of HTTP/1 that began with `first`.
    pub(super) fn http1(io: T, pulse: Arc<Pulse>, limits: Limits, first: &[u8]) -> Self {
        let mut http1 = Http1::new(limits, first);
        let ready = http1.scan_held(0, &pulse);
        Self {
            io,
            pulse,
            protocol: Protocol::Http1(Box::new(http1)),
            ready,
            linger: None,
        }
    }

    /// A connection of HTTP/2 that began with `first`. Its frames leave nothing to guard.
    pub(super) const fn http2(io: T, pulse: Arc<Pulse>, first: Bytes) -> Self {
        Self {
            io,
            pulse,
            protocol: Protocol::Http2,
            ready: first,
            linger: None,
        }
    }

    /// Takes back bytes that the library has not used.
    pub(super) fn give_back(&mut self, unused: Bytes) {
        if !unused.is_empty() {
            self.ready = [unused, std::mem::take(&mut self.ready)].concat().into();
        }
    }

    /// Waits, without any buffer, for bytes of an HTTP/1 client. False if it closed instead.
    pub(super) async fn wake(&mut self) -> io::Result<bool> {
        std::future::poll_fn(|cx| self.poll_wake(cx)).await
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.ready.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let mut space = [0; 1024];
        let mut into = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut into))?;
        if let Protocol::Http1(http1) = &mut self.protocol {
            let before = http1.held.len();
            http1.held.extend_from_slice(into.filled());
            self.ready = http1.scan_held(before, &self.pulse);
        }
        Poll::Ready(Ok(!into.filled().is_empty()))
    }

    fn poll_http1(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.give(into) {
                self.pulse.fed();
                return Poll::Ready(Ok(()));
            }
            let Protocol::Http1(http1) = &mut self.protocol else {
                return Pin::new(&mut self.io).poll_read(cx, into);
            };
            match http1.end {
                Some(End::Refused) => return Poll::Pending,
                Some(End::Malformed(why)) => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, why);
                    return Poll::Ready(Err(error));
                }
                None if self.pulse.head_expired() => {
                    self.ready = http1.refuse(Refusal::SlowHead, &self.pulse);
                    continue;
                }
                None => {}
            }
            let before = into.filled().len();
            let read = if http1.held.is_empty() {
                http1.read_in_place(&mut self.io, cx, into, &self.pulse)
            } else {
                http1.read_held(&mut self.io, cx, &self.pulse)
            };
            match read {
                Poll::Ready(Ok(Read::End)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(Read::Cleared(ready))) => self.ready = ready,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.pulse.starved(http1.scanner.in_head(), Instant::now());
                    return Poll::Pending;
                }
            }
            if into.filled().len() > before {
                self.pulse.fed();
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Gives of what is ready. False if nothing is.
    fn give(&mut self, into: &mut ReadBuf<'_>) -> bool {
        let given = self.ready.len().min(into.remaining());
        into.put_slice(&self.ready[..given]);
        self.ready.advance(given);
        if self.ready.is_empty() {
            // Lets go of the allocation as well.
            self.ready = Bytes::new();
        }
        given > 0
    }

    /// Whether the client may be sending still. One of HTTP/2 says how far it has read, and would be
    /// answered by a reset, which destroys what it has not read yet.
    fn must_linger(&self) -> bool {
        match &self.protocol {
            Protocol::Http1(http1) => http1.is_amid_a_request(),
            Protocol::Http2 => true,
        }
    }

    /// Takes in what the client still sends, up to a limit, until it closes.
    fn poll_linger(&mut self, cx: &mut Context<'_>, taken: &mut usize) -> Poll<()> {
        let mut space = [0; 4096];
        while *taken < MAX_LINGER {
            let mut into = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut into)) {
                Ok(()) if !into.filled().is_empty() => {
                    *taken += into.filled().len();
                    if let Protocol::Http2 = self.protocol {
                        self.pulse.still_reads(Instant::now());
                    }
                }
                _end_or_error => break,
            }
        }
        Poll::Ready(())
    }

    fn observe<R>(&self, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match written {
            Poll::Pending => self.pulse.blocked(Instant::now()),
            Poll::Ready(_) => self.pulse.unblocked(),
        }
        written
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Protocol::Http1(_) = this.protocol {
            return this.poll_http1(cx, into);
        }
        if this.give(into) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.io).poll_read(cx, into)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.observe(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.observe(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.observe(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.pulse.shut(Instant::now());
        let mut taken = match this.linger {
            Some(taken) => taken,
            None => {
                ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
                if !this.must_linger() {
                    return Poll::Ready(Ok(()));
                }
                0
            }
        };
        let lingered = this.poll_linger(cx, &mut taken);
        this.linger = Some(taken);
        lingered.map(Ok)
    }
}

#[cfg(test)]
mod tests;
