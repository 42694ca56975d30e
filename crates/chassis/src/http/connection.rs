//! One connection: from its first byte to the protocol that it speaks.
//!
//! Owns the steps before HTTP, each with its time: the handshake, the first bytes, the choice of
//! the protocol. What is needed for one step only is freed after it, so that an idle connection
//! costs little.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::body::RequestBody;
use super::driver::Ended;
use super::http1::Http1;
use super::listener::Peer;
use super::pulse::Pulse;
use super::reception::{House, Latest, Reception};
use super::refusal::Refusal;
use super::security::{Handshake, Security};
use super::streams::Streams;
use super::transport::Transport;
use super::{HttpConfig, PREFACE, http2};
use crate::Spawner;

/// Bytes that are taken in from a client that does not speak TLS, so that it gets to read why.
const MOST_UNREAD: u64 = 64 * 1024;

/// What the connections of one server share.
pub(super) struct Server {
    pub(super) config: HttpConfig,
    pub(super) house: Arc<House>,
    pub(super) handshake: Option<Handshake>,
    pub(super) spawner: Spawner,
    pub(super) stop: CancellationToken,
}

/// A connection that has shown its protocol.
struct Opened {
    transport: Transport,
    security: Security,
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
    #[error("the client speaks plain HTTP where TLS is spoken")]
    Plain,
    #[error("the client closed before its first request")]
    Closed,
    #[error("the connection broke")]
    Broken(#[from] io::Error),
}

// === impl Server ===

impl Server {
    /// Serves one connection to its end.
    pub(super) async fn serve<S, B>(self: Arc<Self>, service: S, transport: Transport, peer: Peer)
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let opened = Box::pin(self.open(transport));
        let why = match self.stop.run_until_cancelled(opened).await {
            Some(Ok(opened)) => match Box::pin(self.live(service, opened, peer)).await {
                Ok(()) => return,
                Err(why) => meridian_error::chain(&why),
            },
            Some(Err(why)) => {
                if let (Some(handshake), NotOpened::Handshake(error)) = (&self.handshake, &why) {
                    handshake.failed(peer, error);
                }
                meridian_error::chain(&why)
            }
            None => return,
        };
        tracing::debug!(why, ?peer, "connection ended");
    }

    async fn open(&self, transport: Transport) -> Result<Opened, NotOpened> {
        let (transport, security) = match &self.handshake {
            Some(handshake) => {
                let limit = self.config.tls_handshake_timeout;
                let secured = tokio::time::timeout(limit, self.secure(transport, handshake));
                let secured = secured.await.map_err(|_late| NotOpened::SlowHandshake)??;
                let security = handshake.security(&secured);
                (secured, security)
            }
            None => (transport, Security::Plain),
        };
        let mut opened = Opened::new(transport, security);
        opened.read(self.config.first_byte_timeout).await?;
        let limit = Instant::now() + self.config.head_timeout;
        while opened.may_be_http2() && opened.len < PREFACE.len() {
            opened.read(limit - Instant::now()).await?;
        }
        Ok(opened)
    }

    /// Does the handshake. Whoever speaks plain HTTP instead is told so, in plain HTTP.
    async fn secure(
        &self,
        mut transport: Transport,
        handshake: &Handshake,
    ) -> Result<Transport, NotOpened> {
        if transport.begins_with_a_letter().await? {
            transport.write_all(&self.house.raw(Refusal::Plain)).await?;
            transport.shutdown().await?;
            // Closing with bytes unread would reset the connection and destroy the answer.
            let mut unread = transport.take(MOST_UNREAD);
            tokio::io::copy(&mut unread, &mut tokio::io::sink()).await?;
            return Err(NotOpened::Plain);
        }
        let secured = transport.secure(&handshake.acceptor()).await;
        secured.map_err(NotOpened::Handshake)
    }

    /// Speaks until the connection ends. When it is old it is drained, as when the process stops,
    /// so that its client makes another.
    async fn live<S, B>(&self, service: S, opened: Opened, peer: Peer) -> Result<(), Ended>
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let age = self.config.max_connection_age;
        if age.is_zero() {
            return self.speak(service, opened, peer, &self.stop).await;
        }
        let leave = self.stop.child_token();
        let mut spoken = pin!(self.speak(service, opened, peer, &leave));
        tokio::select! {
            ended = &mut spoken => return ended,
            () = tokio::time::sleep(age) => {}
        }
        leave.cancel();
        spoken.await
    }

    async fn speak<S, B>(
        &self,
        service: S,
        opened: Opened,
        peer: Peer,
        stop: &CancellationToken,
    ) -> Result<(), Ended>
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let pulse = Arc::new(Pulse::new(Instant::now()));
        let latest = Latest::default();
        let reception = Reception {
            service,
            house: Arc::clone(&self.house),
            pulse: Arc::clone(&pulse),
            peer,
            security: opened.security,
            latest: latest.clone(),
        };
        let (config, transport) = (&self.config, opened.transport);
        if PREFACE.starts_with(&opened.first[..opened.len]) {
            let streams = Streams {
                spawner: self.spawner.clone(),
                latest,
                stall: config.write_stall_timeout,
            };
            Box::pin(http2::serve(
                config, transport, reception, streams, pulse, stop,
            ))
            .await
        } else {
            let first = &opened.first[..opened.len];
            let http1 = Http1::new(config, transport, first, reception, pulse);
            Box::pin(http1.run(stop)).await
        }
    }
}

// === impl Opened ===

impl Opened {
    const fn new(transport: Transport, security: Security) -> Self {
        Self {
            transport,
            security,
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
            Err(_late) => Err(NotOpened::Silent),
        }
    }

    fn may_be_http2(&self) -> bool {
        PREFACE.starts_with(&self.first[..self.len])
    }
}
