//! The byte stream below HTTP, whichever it is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConnection;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a silent TCP peer is believed to live.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// One type for all, so that the HTTP library is compiled once.
#[derive(Debug)]
pub(super) enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

// === impl Transport ===

impl Transport {
    /// Errors of the options are those of a peer that is gone already: the first read says so.
    pub(super) fn tcp(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let keepalive = TcpKeepalive::new().with_time(TCP_KEEPALIVE);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        Self::Tcp(stream)
    }

    pub(super) const fn unix(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }

    /// Does the handshake on a TCP stream. A Unix socket needs none: nobody is in between.
    pub(super) async fn secure(self, acceptor: &TlsAcceptor) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => {
                let stream = acceptor.accept(stream).await?;
                Ok(Self::Tls(Box::new(stream)))
            }
            other => Ok(other),
        }
    }

    /// Whether the first byte of a TCP client, which stays unread, is an upper-case letter: what
    /// every method begins with, and no TLS record.
    pub(super) async fn begins_with_a_letter(&self) -> io::Result<bool> {
        let Self::Tcp(stream) = self else {
            return Ok(false);
        };
        let mut first = [0];
        stream.peek(&mut first).await?;
        Ok(first[0].is_ascii_uppercase())
    }

    /// The TLS session, if there is one.
    pub(super) fn session(&self) -> Option<&ServerConnection> {
        match self {
            Self::Tls(stream) => Some(stream.get_ref().1),
            _ => None,
        }
    }

    /// Writes what fits at once, for a client that is turned away before anything is known of it.
    pub(super) fn try_write(&self, bytes: &[u8]) {
        let _sent = match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
            Self::Tls(_) => Ok(0),
        };
    }
}

macro_rules! delegate {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Transport::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Transport::Tls(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
            Transport::Unix(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, stream => stream.poll_read(cx, into))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => stream.poll_shutdown(cx))
    }
}
