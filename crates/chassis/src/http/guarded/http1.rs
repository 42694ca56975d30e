//! What was read of an HTTP/1 connection, and what the library may see of it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::super::guard::{Limits, Scanner, Violation};
use super::super::pulse::Pulse;
use super::super::refusal::Refusal;

/// What the library sees instead of a head that is refused.
pub(super) const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

#[derive(Debug)]
pub(super) struct Http1 {
    pub(super) scanner: Scanner,
    /// The head that is not complete.
    pub(super) held: BytesMut,
    pub(super) end: Option<End>,
}

/// Why nothing more is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// A head was refused; the library has its replacement.
    Refused,
    /// A body is malformed; the library gets an error.
    Malformed(Violation),
}

/// What a read brought.
pub(super) enum Read {
    /// The client sends no more.
    End,
    /// Bytes that the library may see, beside those that are in its buffer already.
    Cleared(Bytes),
}

// === impl Http1 ===

impl Http1 {
    pub(super) fn new(limits: Limits, first: &[u8]) -> Self {
        Self {
            scanner: Scanner::new(limits),
            held: BytesMut::from(first),
            end: None,
        }
    }

    /// Whether the client may be sending a request still.
    pub(super) const fn is_amid_a_request(&self) -> bool {
        self.end.is_some() || !self.scanner.between_requests()
    }

    /// Reads into the library's own buffer, and takes back from its end what it may not see.
    pub(super) fn read_in_place<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
        pulse: &Pulse,
    ) -> Poll<io::Result<Read>> {
        let before = into.filled().len();
        ready!(Pin::new(io).poll_read(cx, into))?;
        let new = &into.filled()[before..];
        if new.is_empty() {
            return Poll::Ready(Ok(Read::End));
        }
        let fed = self.scanner.feed(new);
        let instead = self.conclude(fed.violation, pulse);
        if fed.violation.is_none() {
            self.held.extend_from_slice(&new[fed.cleared..]);
        }
        into.set_filled(before + fed.cleared);
        Poll::Ready(Ok(Read::Cleared(instead)))
    }

    /// Reads more of a head that is not complete.
    pub(super) fn read_held<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
        pulse: &Pulse,
    ) -> Poll<io::Result<Read>> {
        let before = self.held.len();
        self.held.reserve(4096);
        let read = ready!(poll_read_buf(Pin::new(io), cx, &mut self.held))?;
        if read == 0 {
            return Poll::Ready(Ok(Read::End));
        }
        Poll::Ready(Ok(Read::Cleared(self.scan_held(before, pulse))))
    }

    /// Scans what is held, of which the first `before` bytes were scanned already.
    pub(super) fn scan_held(&mut self, before: usize, pulse: &Pulse) -> Bytes {
        let fed = self.scanner.feed(&self.held[before..]);
        let mut ready = BytesMut::new();
        if fed.cleared > 0 {
            ready = self.held.split_to(before + fed.cleared);
        }
        let instead = self.conclude(fed.violation, pulse);
        if self.held.is_empty() {
            // Lets go of the allocation as well.
            self.held = BytesMut::new();
        }
        if instead.is_empty() {
            return ready.freeze();
        }
        ready.extend_from_slice(&instead);
        ready.freeze()
    }

    /// Carries out a verdict. Returns what the library is to see behind what was cleared.
    fn conclude(&mut self, violation: Option<Violation>, pulse: &Pulse) -> Bytes {
        let Some(why) = violation else {
            return Bytes::new();
        };
        tracing::debug!(%why, "request refused");
        if self.scanner.refused_in_head() {
            return self.refuse(why.into(), pulse);
        }
        self.end = Some(End::Malformed(why));
        Bytes::new()
    }

    pub(super) fn refuse(&mut self, why: Refusal, pulse: &Pulse) -> Bytes {
        self.held = BytesMut::new();
        self.end = Some(End::Refused);
        pulse.refuse(self.scanner.heads(), why);
        Bytes::from_static(REFUSED)
    }
}
