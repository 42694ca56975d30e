//! One HTTP/1.1 connection, driven by the task that uses it.
//!
//! Owns the client's overhead: no pool, no second task, no channel between a request and its
//! connection. The connection makes progress only while one of its methods is awaited. Keeps the
//! invariant that a request is sent at most once: a connection that was closed while idle is
//! opened again before a request is handed to it, never after. Leaves deadlines to the caller.

mod payload;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(crate) use payload::{Paced, Payload};

/// Why a call to a registry failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("this is no registry")]
    Nowhere,
    #[error("cannot connect to {address}")]
    Connect {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the connection broke")]
    Transport(#[from] hyper::Error),
    #[error("the connection ended before the answer")]
    Ended,
    #[error("a request could not be built")]
    Request(#[from] http::Error),
    #[error("{what} was answered {status}: {body}")]
    Status {
        what: &'static str,
        status: StatusCode,
        body: String,
    },
    #[error("{what} was answered without a usable {header} header")]
    Header {
        what: &'static str,
        header: &'static str,
    },
    #[error("{what} gave other bytes than were pushed")]
    Content { what: String },
    #[error("an answer is longer than {limit} bytes")]
    TooLong { limit: usize },
    /// Of a service that is no registry.
    #[error("{what} failed")]
    Service {
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A connection to a registry, opened again when the server closed it between two calls.
pub(crate) struct Connection {
    address: SocketAddr,
    wire: Wire,
}

struct Wire {
    sender: http1::SendRequest<Payload>,
    driver: http1::Connection<TokioIo<TcpStream>, Payload>,
    ended: bool,
}

// === impl CallError ===

impl CallError {
    /// For `map_err`.
    pub(crate) fn of<E>(what: &'static str) -> impl Fn(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Service {
            what,
            source: source.into(),
        }
    }
}

// === impl Connection ===

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, CallError> {
        let wire = Wire::open(address).await?;
        Ok(Self { address, wire })
    }

    /// Sends a request and waits for the head of its answer. The body must be taken by one of
    /// the methods below before the next call.
    pub(crate) async fn call(
        &mut self,
        request: Request<Payload>,
    ) -> Result<Response<Incoming>, CallError> {
        if !self.wire.ready().await {
            self.wire = Wire::open(self.address).await?;
        }
        let answer = self.wire.sender.send_request(request);
        Ok(self.wire.drive(answer).await.ok_or(CallError::Ended)??)
    }

    /// The next bytes of a body, or nothing at its end.
    pub(crate) async fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, CallError> {
        while !body.is_end_stream() {
            match self.wire.drive(body.frame()).await {
                None => return Err(CallError::Ended),
                Some(None) => break,
                Some(Some(frame)) => {
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Reads a body to its end and returns its length.
    pub(crate) async fn discard(&mut self, mut body: Incoming) -> Result<u64, CallError> {
        let mut length = 0;
        while let Some(data) = self.next(&mut body).await? {
            length += data.len() as u64;
        }
        Ok(length)
    }

    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn read(
        &mut self,
        mut body: Incoming,
        limit: usize,
    ) -> Result<Bytes, CallError> {
        let mut whole = BytesMut::new();
        while let Some(data) = self.next(&mut body).await? {
            if whole.len() + data.len() > limit {
                return Err(CallError::TooLong { limit });
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }
}

// === impl Wire ===

impl Wire {
    async fn open(address: SocketAddr) -> Result<Self, CallError> {
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = connect
            .await
            .map_err(|source| CallError::Connect { address, source })?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            sender,
            driver,
            ended: false,
        })
    }

    /// Whether a request can be sent: waits for the end of the last exchange, and looks whether
    /// the server has closed the connection since.
    async fn ready(&mut self) -> bool {
        let Self {
            sender,
            driver,
            ended,
        } = self;
        poll_fn(|cx| {
            *ended = *ended || Pin::new(&mut *driver).poll(cx).is_ready();
            match sender.poll_ready(cx) {
                Poll::Ready(ready) => Poll::Ready(ready.is_ok() && !*ended),
                Poll::Pending if *ended => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Lets the connection work until `future` is ready; nothing if the connection ended first.
    async fn drive<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let Self { driver, ended, .. } = self;
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            *ended = *ended || Pin::new(&mut *driver).poll(cx).is_ready();
            match future.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if *ended => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests;
