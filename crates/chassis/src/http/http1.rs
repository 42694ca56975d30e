//! An HTTP/1 connection.
//!
//! Owns the settings of the HTTP library for it, and its rest: a connection that waits for its
//! next request for a while gives back the library's buffers, which are most of what it costs,
//! and gets new ones with the next byte.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::HttpConfig;
use super::driver::{Drain, Ended, Left, drive};
use super::guarded::Guarded;
use super::pulse::{Patience, Pulse};
use super::transport::Transport;

pub(super) struct Http1<S> {
    http1: http1::Builder,
    io: Guarded<Transport>,
    service: S,
    pulse: Arc<Pulse>,
    patience: Patience,
}

// === impl Http1 ===

impl<S, B> Http1<S>
where
    S: hyper::service::Service<Request<Incoming>, Response = http::Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// A connection that began with `first`.
    pub(super) fn new(
        config: &HttpConfig,
        transport: Transport,
        first: &[u8],
        service: S,
        pulse: Arc<Pulse>,
    ) -> Self {
        let limits = config.head_limits();
        Self {
            http1: builder(config),
            io: Guarded::http1(transport, Arc::clone(&pulse), limits, first),
            service,
            pulse,
            patience: Patience::new(config),
        }
    }

    pub(super) async fn run(self, stop: &CancellationToken) -> Result<(), Ended> {
        let Self {
            http1,
            mut io,
            mut service,
            pulse,
            patience,
        } = self;
        loop {
            let connection = http1.serve_connection(TokioIo::new(io), service);
            let mut connection = Box::new(connection);
            let left = drive(Pin::new(&mut *connection), &pulse, &patience, stop).await?;
            if left == Left::Closed {
                return Ok(());
            }
            let parts = connection.into_parts();
            io = parts.io.into_inner();
            service = parts.service;
            io.give_back(parts.read_buf);
            if !rest(&mut io, &pulse, &patience, stop).await? {
                return Ok(());
            }
        }
    }
}

/// Waits for the next byte. False when the connection is closed instead.
async fn rest(
    io: &mut Guarded<Transport>,
    pulse: &Pulse,
    patience: &Patience,
    stop: &CancellationToken,
) -> io::Result<bool> {
    let idle = pulse.idle_since();
    let woken = timeout_at(idle + patience.keep_alive, io.wake());
    if let Some(Ok(woken)) = stop.run_until_cancelled(woken).await {
        return woken;
    }
    let limit = tokio::time::Instant::now() + patience.leave;
    let _closed = timeout_at(limit, io.shutdown()).await;
    Ok(false)
}

/// The scanner has limited what a head may be, and the driver its time.
fn builder(config: &HttpConfig) -> http1::Builder {
    let mut http1 = http1::Builder::new();
    http1.header_read_timeout(None::<Duration>);
    http1.max_buf_size(config.buffer.as_usize());
    if config.max_headers > 100 {
        // Up to its own limit of 100 the library needs no allocation for them.
        http1.max_headers(usize::from(config.max_headers));
    }
    http1
}

impl<I, S, B> Drain for http1::Connection<I, S>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn drain(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
