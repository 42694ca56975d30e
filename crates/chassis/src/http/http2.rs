//! An HTTP/2 connection.
//!
//! Owns the settings of the HTTP library for it, which bound what one client can make us hold:
//! streams, headers, resets, unread bytes.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::server::conn::http2;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;

use super::driver::{Drain, Ended, drive};
use super::guarded::Guarded;
use super::pulse::{Patience, Pulse};
use super::streams::Streams;
use super::transport::Transport;
use super::{HttpConfig, PREFACE};

/// Serves a connection of which the preface was read.
pub(super) async fn serve<S, B>(
    config: &HttpConfig,
    transport: Transport,
    service: S,
    streams: Streams,
    pulse: Arc<Pulse>,
    stop: &CancellationToken,
) -> Result<(), Ended>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let preface = Bytes::from_static(PREFACE);
    let io = Guarded::http2(transport, Arc::clone(&pulse), preface);
    let patience = Patience {
        rest_after: None,
        ..Patience::new(config)
    };
    let connection = builder(config, streams).serve_connection(TokioIo::new(io), service);
    drive(Box::pin(connection).as_mut(), &pulse, &patience, stop).await?;
    Ok(())
}

fn builder(config: &HttpConfig, streams: Streams) -> http2::Builder<Streams> {
    let limits = &config.http2;
    let clamp = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
    let mut http2 = http2::Builder::new(streams);
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_header_list_size(clamp(limits.max_header_list.as_u64()))
        .max_pending_accept_reset_streams(limits.max_pending_reset_streams)
        .max_local_error_reset_streams(limits.max_error_reset_streams)
        .initial_stream_window_size(clamp(limits.stream_window.as_u64()))
        .initial_connection_window_size(clamp(limits.connection_window.as_u64()))
        .max_send_buf_size(config.buffer.as_usize())
        .keep_alive_interval(Some(limits.ping_every).filter(|every| !every.is_zero()));
    http2
}

impl<I, S, B, E> Drain for http2::Connection<I, S, E>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: Http2ServerConnExec<S::Future, B>,
{
    fn drain(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
