//! The accept loop.
//!
//! Owns a server's listeners: it takes connections in, turns away those beyond the limits, and
//! stops taking them when the process stops. Keeps the invariant that nothing a connection does,
//! and no shortage of the system's, stops it from taking the next one. Leaves a connection to a
//! task of its own.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use tower::Service;

use super::HttpConfig;
use super::admission::Admission;
use super::body::RequestBody;
use super::connection::Server;
use super::listener::{Listener, Peer};
use super::reception::House;
use super::refusal::{Form, Refusal, Stamp};
use super::security::Handshake;
use super::transport::Transport;
use crate::identity::Identity;
use crate::metrics::Gauge;
use crate::tls::{Tls, TlsConfig, TlsError};
use crate::{Spawner, TaskResult};

/// After an error that the next attempt would meet as well, such as no file descriptor left.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Serves HTTP/1 and HTTP/2 on any number of listeners.
///
/// `service` gets requests that were understood in only one way: they have exactly one host (see
/// [`Origin`](super::Origin), which each carries as an extension), no forwarding header, a method
/// that a registry knows, and a body that arrives at a minimum rate. It is cloned for each
/// request. A `100 Continue` is sent when it first asks for the body. It never answers `101`:
/// connections do not change their protocol.
pub struct HttpServer<S> {
    listeners: Vec<Listener>,
    config: HttpConfig,
    handshake: Option<Handshake>,
    service: S,
    stamp: Stamp,
    open: Gauge,
}

// === impl HttpServer ===

impl<S, B> HttpServer<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// A server that does not run yet. With `tls`, TCP listeners speak nothing else; Unix sockets
    /// stay plain.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be used.
    pub fn new(
        listeners: impl IntoIterator<Item = Listener>,
        config: HttpConfig,
        tls: Option<TlsConfig>,
        service: S,
    ) -> Result<Self, TlsError> {
        let tls = tls.map(Tls::load).transpose()?;
        let handshake = tls.map(Handshake::OneSided);
        Ok(Self::with(listeners, config, handshake, service))
    }

    /// A server of our own services, that does not run yet. With `identity`, both sides of a TCP
    /// connection show a certificate, and [`Origin`](super::Origin) says whom the client's names;
    /// Unix sockets stay plain.
    #[must_use]
    pub fn internal(
        listeners: impl IntoIterator<Item = Listener>,
        config: HttpConfig,
        identity: Option<Identity>,
        service: S,
    ) -> Self {
        Self::with(listeners, config, identity.map(Handshake::Mutual), service)
    }

    fn with(
        listeners: impl IntoIterator<Item = Listener>,
        config: HttpConfig,
        handshake: Option<Handshake>,
        service: S,
    ) -> Self {
        Self {
            listeners: listeners.into_iter().collect(),
            config: config.within_reason(),
            handshake,
            service,
            stamp: Stamp::default(),
            open: Gauge::default(),
        }
    }

    /// Has `open` show how many connections there are.
    #[must_use]
    pub fn counting(mut self, open: Gauge) -> Self {
        self.open = open;
        self
    }

    /// Has `stamp` add headers to each answer that is given here before the service is asked, so
    /// that all answers of a port have what its protocol wants on all of them. What an answer says
    /// of itself it cannot change.
    ///
    /// The HTTP/2 library's own answer to a too large header list (431) stays without them.
    #[must_use]
    pub fn stamping(mut self, stamp: impl Fn(&mut HeaderMap) + Send + Sync + 'static) -> Self {
        let form = self.stamp.form;
        self.stamp = Stamp::new(stamp);
        self.stamp.form = form;
        self
    }

    /// Gives what is refused here the form of RFC 9457 (`application/problem+json`), as the service
    /// gives it to its own errors.
    #[must_use]
    pub const fn with_problems(mut self) -> Self {
        self.stamp.form = Form::Problem;
        self
    }

    /// Accepts connections until the spawner's token is cancelled.
    ///
    /// Returns when no more are accepted. The connections that are open then drain in tasks of
    /// their own, which the supervisor waits for: idle ones close, others answer what they are
    /// at, HTTP/1 with `Connection: close` and HTTP/2 with GOAWAY.
    ///
    /// # Errors
    ///
    /// None today; the type is that of a supervised task.
    pub async fn run(self, spawner: Spawner) -> TaskResult {
        let stop = spawner.token();
        if let Some(handshake) = &self.handshake {
            handshake.maintain(&spawner, stop.clone());
        }
        for address in self.listeners.iter().filter_map(Listener::address) {
            tracing::info!(%address, tls = self.handshake.is_some(), "listening");
        }
        let admission = Admission::new(&self.config);
        let server = Arc::new(Server {
            house: Arc::new(House::new(&self.config, self.stamp)),
            handshake: self.handshake,
            config: self.config,
            spawner,
            stop: stop.clone(),
        });
        let service = self.service;
        let mut entrance = Entrance::new(self.listeners);
        while let Some((transport, peer)) = stop.run_until_cancelled(entrance.accept()).await {
            match admission.admit(peer) {
                Ok(permit) => {
                    let permit = (permit, Open::new(&self.open));
                    let connection = Arc::clone(&server).serve(service.clone(), transport, peer);
                    let connection = Box::pin(connection);
                    server.spawner.spawn_child("http connection", async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(why) => turn_away(&server, &transport, peer, why),
            }
        }
        Ok(())
    }
}

/// Tells a client why, if it can be told without a handshake and without waiting.
fn turn_away(server: &Server, transport: &Transport, peer: Peer, why: Refusal) {
    tracing::debug!(%why, ?peer, "connection turned away");
    if server.handshake.is_none() || peer == Peer::Unix {
        transport.try_write(&server.house.raw(why));
    }
}

/// A connection that is counted.
struct Open(Gauge);

// === impl Open ===

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// All listeners of a server as one.
struct Entrance {
    listeners: Vec<Listener>,
    next: usize,
    pause: Duration,
}

// === impl Entrance ===

impl Entrance {
    const fn new(listeners: Vec<Listener>) -> Self {
        Self {
            listeners,
            next: 0,
            pause: FIRST_PAUSE,
        }
    }

    async fn accept(&mut self) -> (Transport, Peer) {
        loop {
            match std::future::poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(accepted) => {
                    self.pause = FIRST_PAUSE;
                    return accepted;
                }
                Err(error) if concerns_one_client(&error) => {}
                Err(error) => self.wait_out(&error).await,
            }
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Transport, Peer)>> {
        for _ in 0..self.listeners.len() {
            let listener = &self.listeners[self.next];
            self.next = (self.next + 1) % self.listeners.len();
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }

    /// Clients wait in the kernel's queue meanwhile.
    async fn wait_out(&mut self, error: &io::Error) {
        tracing::error!(%error, pause_ms = self.pause.as_millis(), "cannot accept a connection");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// Linux hands the errors of a connection that broke in the queue to whoever accepts it.
fn concerns_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::TimedOut
            | io::ErrorKind::Interrupted
    )
}
