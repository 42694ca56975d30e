//! Requests whose target goes out as it is written, over HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use harness::Answer;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::{http1, http2};
use hyper::header::HOST;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.1
    Http1,
    /// HTTP/2 without TLS, with prior knowledge.
    Http2,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Whole(Bytes),
    /// Without a `Content-Length`.
    Pieces(Vec<Bytes>),
}

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A request without body or headers.
pub(crate) fn ask(method: &'static str, target: impl Into<String>) -> Request {
    Request {
        method,
        target: target.into(),
        headers: Vec::new(),
        body: Content::Whole(Bytes::new()),
    }
}

pub(crate) fn get(target: impl Into<String>) -> Request {
    ask("GET", target)
}

pub(crate) fn head(target: impl Into<String>) -> Request {
    ask("HEAD", target)
}

pub(crate) fn post(target: impl Into<String>) -> Request {
    ask("POST", target)
}

pub(crate) fn patch(target: impl Into<String>) -> Request {
    ask("PATCH", target)
}

pub(crate) fn put(target: impl Into<String>) -> Request {
    ask("PUT", target)
}

pub(crate) fn delete(target: impl Into<String>) -> Request {
    ask("DELETE", target)
}

/// A target with one more parameter.
pub(crate) fn with(target: &str, name: &str, value: impl fmt::Display) -> String {
    let separator = if target.contains('?') { '&' } else { '?' };
    format!("{target}{separator}{name}={value}")
}

/// What a server answers to a request on a connection of its own.
pub(crate) async fn exchange(address: SocketAddr, version: Version, request: &Request) -> Answer {
    match timeout(DEADLINE, send(address, version, request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => panic!("{request}: {error}"),
        Err(_elapsed) => panic!("{request}: no answer within {DEADLINE:?}"),
    }
}

async fn send(address: SocketAddr, version: Version, request: &Request) -> Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = TokioIo::new(stream);
    let request = request.outgoing(address, version)?;
    match version {
        Version::Http1 => {
            let (mut sender, connection) = http1::handshake(stream).await?;
            let exchange = async move { receive(sender.send_request(request).await?).await };
            tokio::join!(exchange, connection).0
        }
        Version::Http2 => {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            let exchange = async move { receive(sender.send_request(request).await?).await };
            tokio::join!(exchange, connection).0
        }
    }
}

async fn receive(response: hyper::Response<hyper::body::Incoming>) -> Result<Answer> {
    let (head, body) = response.into_parts();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
    })
}

// === impl Request ===

impl Request {
    pub(crate) fn header(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn body(mut self, content: impl Into<Bytes>) -> Self {
        self.body = Content::Whole(content.into());
        self
    }

    /// A body of these pieces, whose length is not told beforehand.
    pub(crate) fn streamed(mut self, pieces: &[&[u8]]) -> Self {
        let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece));
        self.body = Content::Pieces(pieces.collect());
        self
    }

    fn outgoing(&self, address: SocketAddr, version: Version) -> Result<hyper::Request<Body>> {
        let body = match &self.body {
            Content::Whole(content) => Full::new(content.clone()).boxed_unsync(),
            Content::Pieces(pieces) => {
                let frames = pieces
                    .clone()
                    .into_iter()
                    .map(|piece| Ok(Frame::data(piece)));
                StreamBody::new(stream::iter(frames)).boxed_unsync()
            }
        };
        let target = &self.target;
        let mut request = hyper::Request::builder().method(self.method);
        request = match version {
            Version::Http1 => request.uri(target).header(HOST, address.to_string()),
            Version::Http2 => request.uri(format!("http://{address}{target}")),
        };
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        Ok(request.body(body)?)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:.300}", self.method, self.target)?;
        for (name, value) in &self.headers {
            write!(f, "; {name}: {value:.120}")?;
        }
        match &self.body {
            Content::Whole(content) if content.is_empty() => Ok(()),
            Content::Whole(content) => write!(f, "; {} bytes", content.len()),
            Content::Pieces(pieces) => write!(f, "; {} pieces", pieces.len()),
        }
    }
}
