//! One connection: from its first byte to the protocol that it speaks.
//!
//! Owns the steps before HTTP (the handshake, the first bytes, the choice of the protocol), each
//! with its time, and the settings of the HTTP library. What is needed for one step only is freed
//! after it, so that an idle connection costs little.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::HttpConfig;
use super::body::RequestBody;
use super::driver::drive;
use super::guarded::Guarded;
use super::listener::Peer;
use super::pulse::{Patience, Pulse};
use super::reception::{House, Latest, Reception};
use super::streams::Streams;
use super::transport::Transport;
use crate::Spawner;

/// How an HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the connections of one server share.
pub(super) struct Server<S> {
    pub(super) service: S,
    pub(super) config: HttpConfig,
    pub(super) house: Arc<House>,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) spawner: Spawner,
    pub(super) stop: CancellationToken,
}

/// A connection that has shown its protocol.
struct Opened {
    transport: Transport,
    first: [u8; PREFACE.len()],
    len: usize,
}

/// Why a connection ended before it spoke HTTP.
#[derive(Debug, thiserror::Error)]
enum NotOpened {
    #[error("the client was silent for too long")]
    Silent,
    #[error("the TLS handshake took too long")]
    SlowHandshake,
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the client closed before its first request")]
    Closed,
    #[error("the connection broke")]
    Broken(#[from] io::Error),
}

// === impl Server ===

impl<S, B> Server<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Serves one connection to its end.
    pub(super) async fn serve(self: Arc<Self>, transport: Transport, peer: Peer) {
        let opened = Box::pin(self.open(transport));
        match self.stop.run_until_cancelled(opened).await {
            Some(Ok(opened)) => self.speak(opened, peer).await,
            Some(Err(why)) => {
                let why = meridian_error::chain(&why);
                tracing::debug!(why, ?peer, "connection without a request");
            }
            None => {}
        }
    }

    async fn open(&self, transport: Transport) -> Result<Opened, NotOpened> {
        let transport = match &self.acceptor {
            Some(acceptor) => {
                let limit = self.config.tls_handshake_timeout;
                let secured = tokio::time::timeout(limit, transport.secure(acceptor));
                let secured = secured.await.map_err(|_late| NotOpened::SlowHandshake)?;
                secured.map_err(NotOpened::Handshake)?
            }
            None => transport,
        };
        let mut opened = Opened::new(transport);
        opened.read(self.config.first_byte_timeout).await?;
        while opened.may_be_http2() && opened.len < PREFACE.len() {
            opened.read(self.config.head_timeout).await?;
        }
        Ok(opened)
    }

    async fn speak(&self, opened: Opened, peer: Peer) {
        let pulse = Arc::new(Pulse::new(Instant::now()));
        let patience = Patience::new(&self.config);
        let reception = Reception {
            service: self.service.clone(),
            house: Arc::clone(&self.house),
            pulse: Arc::clone(&pulse),
            peer,
            secure: opened.transport.is_secure(),
            latest: Latest::default(),
        };
        let ended = if opened.may_be_http2() {
            let first = Bytes::copy_from_slice(PREFACE);
            let io = Guarded::http2(opened.transport, Arc::clone(&pulse), first);
            let connection = self.http2(&reception.latest);
            let connection = connection.serve_connection(TokioIo::new(io), reception);
            drive(Box::pin(connection).as_mut(), &pulse, &patience, &self.stop).await
        } else {
            let first = &opened.first[..opened.len];
            let limits = self.config.head_limits();
            let io = Guarded::http1(opened.transport, Arc::clone(&pulse), limits, first);
            let connection = self.http1().serve_connection(TokioIo::new(io), reception);
            drive(Box::pin(connection).as_mut(), &pulse, &patience, &self.stop).await
        };
        if let Err(why) = ended {
            tracing::debug!(why = meridian_error::chain(&why), ?peer, "connection ended");
        }
    }

    /// The scanner has limited what a head may be, and the driver its time.
    fn http1(&self) -> http1::Builder {
        let mut http1 = http1::Builder::new();
        http1.header_read_timeout(None::<Duration>);
        let head = self.config.max_head.as_usize();
        http1.max_buf_size(self.config.buffer.as_usize().max(head).max(8192));
        if self.config.max_headers != 100 {
            http1.max_headers(usize::from(self.config.max_headers));
        }
        http1
    }

    fn http2(&self, latest: &Latest) -> http2::Builder<Streams> {
        let config = &self.config.http2;
        let clamp = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
        let mut http2 = http2::Builder::new(Streams {
            spawner: self.spawner.clone(),
            latest: latest.clone(),
            stall: self.config.write_stall_timeout,
        });
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.max_concurrent_streams)
            .max_header_list_size(clamp(config.max_header_list.as_u64()))
            .max_pending_accept_reset_streams(config.max_pending_reset_streams)
            .max_local_error_reset_streams(config.max_error_reset_streams)
            .initial_stream_window_size(clamp(config.stream_window.as_u64()))
            .initial_connection_window_size(clamp(config.connection_window.as_u64()))
            .max_send_buf_size(self.config.buffer.as_usize())
            .keep_alive_interval(config.ping_every);
        http2
    }
}

// === impl Opened ===

impl Opened {
    const fn new(transport: Transport) -> Self {
        Self {
            transport,
            first: [0; PREFACE.len()],
            len: 0,
        }
    }

    async fn read(&mut self, limit: Duration) -> Result<(), NotOpened> {
        let space = &mut self.first[self.len..];
        let read = tokio::time::timeout(limit, self.transport.read(space));
        match read.await {
            Ok(Ok(0)) => Err(NotOpened::Closed),
            Ok(Ok(read)) => {
                self.len += read;
                Ok(())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_late) => {
                let _closed = self.transport.shutdown().await;
                Err(NotOpened::Silent)
            }
        }
    }

    fn may_be_http2(&self) -> bool {
        PREFACE.starts_with(&self.first[..self.len])
    }
}
