//! A receiver of webhooks, in all its moods.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// With this status.
    Answers(u16),
    /// So many times with 500, and then with 200.
    Fails(usize),
    /// After this time, with 200.
    Slow(Duration),
    /// Not at all.
    Hangs,
    /// With 200, and a body that has no end.
    Endless,
    /// With a redirect to itself.
    Redirects,
    /// It breaks the connection off.
    Resets,
    /// With what is no HTTP.
    Garbage,
}

/// A request that it saw.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// Where to.
    pub path: String,
    /// Its headers, in lower case.
    pub headers: http::HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Whether it was taken.
    pub is_taken: bool,
}

/// Takes requests in, as long as it is held.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct State {
    seen: Mutex<Vec<SeenRequest>>,
    manners: Mutex<BTreeMap<String, VecDeque<Manner>>>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

// === impl Receiver ===

impl Receiver {
    /// One on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let mut serving = JoinSet::new();
        serving.spawn({
            let state = Arc::clone(&state);
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(converse(stream, Arc::clone(&state)));
                    while connections.try_join_next().is_some() {}
                }
            }
        });
        Self {
            address,
            state,
            _serving: serving,
        }
    }

    /// A URI of it.
    pub fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How it answers from now on what is sent to a path.
    pub fn behave(&self, path: &str, manner: Manner) {
        let mut manners = lock(&self.state.manners);
        manners.insert(path.to_owned(), [manner].into());
    }

    /// What came to a path, in order.
    pub fn seen(&self, path: &str) -> Vec<SeenRequest> {
        let seen = lock(&self.state.seen);
        let of_path = seen.iter().filter(|request| request.path == path);
        of_path.cloned().collect()
    }

    /// What came to a path and was taken, in order.
    pub fn taken(&self, path: &str) -> Vec<SeenRequest> {
        let mut seen = self.seen(path);
        seen.retain(|request| request.is_taken);
        seen
    }
}

// === impl SeenRequest ===

impl SeenRequest {
    /// Its body, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A header.
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn converse(mut stream: TcpStream, state: Arc<State>) {
    let is = |manner| {
        let manners = lock(&state.manners);
        let mut all = manners.values().flatten();
        all.any(|it| *it == manner)
    };
    // These know no path: they are a receiver's as a whole.
    if is(Manner::Garbage) {
        let _gone = stream
            .write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
            .await;
        return;
    }
    if is(Manner::Resets) {
        let _unset = stream.set_zero_linger();
        return;
    }
    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
    let _ended = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|it| it.to_bytes());
    let path = head.uri.path().to_owned();
    let manner = {
        let mut manners = lock(&state.manners);
        let manners = manners.entry(path.clone()).or_default();
        match manners.front_mut() {
            Some(Manner::Fails(0)) | None => Manner::Answers(200),
            Some(Manner::Fails(left)) => {
                *left -= 1;
                Manner::Answers(500)
            }
            Some(manner) => *manner,
        }
    };
    let is_taken = matches!(
        manner,
        Manner::Answers(200..=299) | Manner::Slow(_) | Manner::Endless
    );
    if let Ok(body) = body {
        lock(&state.seen).push(SeenRequest {
            path,
            headers: head.headers,
            body,
            is_taken,
        });
    }
    let status = |status: u16| {
        let mut answer = Response::new(Full::new(Bytes::from_static(b"seen")).boxed_unsync());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        answer
    };
    Ok(match manner {
        Manner::Answers(code) => status(code),
        Manner::Slow(wait) => {
            tokio::time::sleep(wait).await;
            status(200)
        }
        Manner::Endless => {
            let piece = || Ok(Frame::data(Bytes::from_static(&[b'x'; 65_536])));
            let pieces = stream::iter(std::iter::repeat_with(piece));
            Response::new(StreamBody::new(pieces).boxed_unsync())
        }
        Manner::Redirects => {
            let mut answer = status(307);
            let location = head.uri.path().parse().unwrap();
            answer.headers_mut().insert("location", location);
            answer
        }
        Manner::Hangs | Manner::Resets | Manner::Garbage | Manner::Fails(_) => {
            std::future::pending().await
        }
    })
}
