//! A way to the server on which things go wrong.
//!
//! Owns which request meets which fault: scripted, for a test that wants one at one place, or by a
//! seed, for a test that wants many everywhere. What happens to a request is the server's: a fault
//! comes before it is sent there, or after it was answered.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Answer = Result<Response<Body>, io::Error>;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// Of an object.
    Head,
    /// Of an object.
    Get,
    /// Of an object.
    Put,
    /// Of an object.
    Delete,
    /// Of a bucket.
    List,
    /// An upload in parts begins.
    Begin,
    /// A part of it.
    Part,
    /// It is complete.
    Complete,
    /// It is given up.
    Abort,
}

/// What goes wrong.
#[derive(Clone)]
pub enum Fault {
    /// Nothing is done; 503 `SlowDown`, with a `Retry-After` if it is given.
    SlowDown(Option<u64>),
    /// Nothing is done; this status and code.
    Refused(u16, &'static str),
    /// Nothing is done, and the connection is cut.
    ResetBefore,
    /// It is done, and 500 is answered.
    ErrorAfter,
    /// It is done, and the connection is cut.
    ResetAfter,
    /// It is done, and nothing is ever answered.
    SilenceAfter,
    /// Nothing is done, or it is; 200 is answered, with an error in it.
    ErrorInSuccess {
        /// Whether it is done.
        done: bool,
    },
    /// A part is thrown away, and said to be stored.
    Lose,
    /// The body of the answer breaks off after so many bytes.
    BreakOff(usize),
    /// The body of the answer is so long, and says that this is all.
    Shorten(usize),
    /// One bit of the body of the answer is wrong.
    Flip,
    /// It is done, then this, then it is answered.
    Then(Arc<dyn Fn() + Send + Sync>),
}

/// The way.
pub struct S3Proxy {
    address: SocketAddr,
    plan: Arc<Plan>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Plan {
    script: Mutex<Vec<(Call, VecDeque<Option<Fault>>)>>,
    /// One in so many meets a fault; 0 is none.
    one_in: AtomicUsize,
    dice: AtomicU64,
    met: AtomicUsize,
    calls: Mutex<Vec<Call>>,
    parts_now: AtomicUsize,
    parts_most: AtomicUsize,
}

// === impl Call ===

impl Call {
    fn of(request: &Request<Incoming>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let names: Vec<_> = query
            .split('&')
            .map(|it| it.split('=').next().unwrap())
            .collect();
        let has = |name| names.contains(&name);
        match *request.method() {
            Method::HEAD => Self::Head,
            Method::GET if has("list-type") => Self::List,
            Method::GET => Self::Get,
            Method::PUT if has("partNumber") => Self::Part,
            Method::PUT => Self::Put,
            Method::POST if has("uploads") => Self::Begin,
            Method::POST => Self::Complete,
            Method::DELETE if has("uploadId") => Self::Abort,
            _ => Self::Delete,
        }
    }
}

// === impl S3Proxy ===

impl S3Proxy {
    /// A way to `server` on which nothing goes wrong yet.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let plan = Arc::<Plan>::default();
        let shared = Arc::clone(&plan);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let plan = Arc::clone(&shared);
                connections.spawn(async move {
                    let pass = |request| pass(server, Arc::clone(&plan), request);
                    let served = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service_fn(pass));
                    // Cut off by a fault, or by the client.
                    drop(served.await);
                });
            }
        });
        Self {
            address,
            plan,
            _tasks: tasks,
        }
    }

    /// Where it is found.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets the next `times` requests of this kind meet `fault`.
    pub fn script(&self, call: Call, times: usize, fault: Fault) {
        let faults = (0..times).map(|_| Some(fault.clone())).collect();
        self.plan.script.lock().unwrap().push((call, faults));
    }

    /// Lets the request number `nth` of this kind, counted from now and from 0, meet `fault`.
    pub fn script_nth(&self, call: Call, nth: usize, fault: Fault) {
        let mut faults: VecDeque<_> = (0..nth).map(|_| None).collect();
        faults.push_back(Some(fault));
        self.plan.script.lock().unwrap().push((call, faults));
    }

    /// Lets one request in `one_in` meet some fault, by chance; none if that is 0.
    pub fn chance(&self, seed: u64, one_in: usize) {
        self.plan.dice.store(seed, Ordering::SeqCst);
        self.plan.one_in.store(one_in, Ordering::SeqCst);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.plan.one_in.store(0, Ordering::SeqCst);
        self.plan.script.lock().unwrap().clear();
    }

    /// How many faults were met.
    pub fn met(&self) -> usize {
        self.plan.met.load(Ordering::SeqCst)
    }

    /// How many requests of a kind came.
    pub fn count(&self, call: Call) -> usize {
        let calls = self.plan.calls.lock().unwrap();
        calls.iter().filter(|it| **it == call).count()
    }

    /// How many parts were on their way at once, at most.
    pub fn most_parts(&self) -> usize {
        self.plan.parts_most.load(Ordering::SeqCst)
    }
}

// === impl Plan ===

impl Plan {
    fn next(&self, call: Call) -> Option<Fault> {
        self.calls.lock().unwrap().push(call);
        let fault = self.scripted(call).or_else(|| self.by_chance(call));
        if fault.is_some() {
            self.met.fetch_add(1, Ordering::SeqCst);
        }
        fault
    }

    fn scripted(&self, call: Call) -> Option<Fault> {
        let mut script = self.script.lock().unwrap();
        let is_it = |(of, faults): &&mut (Call, VecDeque<_>)| *of == call && !faults.is_empty();
        let (_, faults) = script.iter_mut().find(is_it)?;
        faults.pop_front().flatten()
    }

    fn by_chance(&self, call: Call) -> Option<Fault> {
        let one_in = self.one_in.load(Ordering::SeqCst);
        if one_in == 0 || !self.roll().is_multiple_of(one_in as u64) {
            return None;
        }
        let most = usize::try_from(self.roll() % 100_000).unwrap();
        Some(match self.roll() % 6 {
            0 => Fault::SlowDown(None),
            1 => Fault::ResetBefore,
            2 => Fault::ErrorAfter,
            3 => Fault::ResetAfter,
            4 if call == Call::Get => Fault::BreakOff(most),
            5 if call == Call::Get => Fault::Shorten(most),
            4 if call == Call::Complete => Fault::ErrorInSuccess { done: true },
            5 if call == Call::Complete => Fault::ErrorInSuccess { done: false },
            _ => Fault::Refused(500, "InternalError"),
        })
    }

    fn roll(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut z = self
            .dice
            .fetch_add(step, Ordering::SeqCst)
            .wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

async fn pass(server: SocketAddr, plan: Arc<Plan>, request: Request<Incoming>) -> Answer {
    let call = Call::of(&request);
    let is_head = *request.method() == Method::HEAD;
    let fault = plan.next(call);
    if call == Call::Part {
        let now = plan.parts_now.fetch_add(1, Ordering::SeqCst) + 1;
        plan.parts_most.fetch_max(now, Ordering::SeqCst);
    }
    let answer = meet(server, request, fault, is_head).await;
    if call == Call::Part {
        plan.parts_now.fetch_sub(1, Ordering::SeqCst);
    }
    answer
}

async fn meet(
    server: SocketAddr,
    request: Request<Incoming>,
    fault: Option<Fault>,
    is_head: bool,
) -> Answer {
    match fault {
        None => {
            let (parts, body) = send(server, request).await?.into_parts();
            Ok(Response::from_parts(
                parts,
                body.map_err(io::Error::other).boxed_unsync(),
            ))
        }
        Some(Fault::SlowDown(after)) => {
            swallow(request).await;
            let mut answer = error(503, "SlowDown", is_head);
            if let Some(after) = after {
                answer.headers_mut().insert("retry-after", after.into());
            }
            Ok(answer)
        }
        Some(Fault::Refused(status, code)) => {
            swallow(request).await;
            Ok(error(status, code, is_head))
        }
        Some(Fault::ResetBefore) => Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fault::ErrorAfter) => {
            whole(server, request).await?;
            Ok(error(500, "InternalError", is_head))
        }
        Some(Fault::ResetAfter) => {
            whole(server, request).await?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Some(Fault::SilenceAfter) => {
            whole(server, request).await?;
            std::future::pending().await
        }
        Some(Fault::ErrorInSuccess { done }) => {
            if done {
                whole(server, request).await?;
            } else {
                swallow(request).await;
            }
            Ok(error(200, "InternalError", is_head))
        }
        Some(Fault::Lose) => {
            swallow(request).await;
            let answer = Response::builder().header("etag", "\"0123456789abcdef\"");
            Ok(answer.body(full(Bytes::new())).unwrap())
        }
        Some(Fault::Then(then)) => {
            let (parts, bytes) = whole(server, request).await?;
            then();
            Ok(Response::from_parts(parts, full(bytes)))
        }
        Some(Fault::BreakOff(after)) => {
            let (parts, bytes) = whole(server, request).await?;
            let front = bytes.slice(..after.min(bytes.len().saturating_sub(1)));
            // What comes before the cut is on its way when the stream has to be waited for.
            let cut = stream::once(async {
                tokio::task::yield_now().await;
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            });
            let frames = stream::iter([Ok(Frame::data(front))]).chain(cut);
            Ok(Response::from_parts(
                parts,
                StreamBody::new(frames).boxed_unsync(),
            ))
        }
        Some(Fault::Shorten(to)) => {
            let (mut parts, bytes) = whole(server, request).await?;
            let front = bytes.slice(..to.min(bytes.len()));
            parts.headers.insert("content-length", front.len().into());
            Ok(Response::from_parts(parts, full(front)))
        }
        Some(Fault::Flip) => {
            let (parts, bytes) = whole(server, request).await?;
            let mut bytes = bytes.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Ok(Response::from_parts(parts, full(bytes.into())))
        }
    }
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// An error as S3 writes it.
fn error(status: u16, code: &str, is_head: bool) -> Response<Body> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>injected</Message><RequestId>1</RequestId></Error>"
    );
    let text = if is_head { Bytes::new() } else { text.into() };
    let mut answer = Response::new(full(text));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    let headers: &mut HeaderMap = answer.headers_mut();
    headers.insert("content-type", "application/xml".parse().unwrap());
    answer
}

/// Reads what will not be sent on.
async fn swallow(request: Request<Incoming>) {
    drop(request.into_body().collect().await);
}

/// Sends a request on, and waits for all of the answer.
async fn whole(
    server: SocketAddr,
    request: Request<Incoming>,
) -> io::Result<(http::response::Parts, Bytes)> {
    let (parts, body) = send(server, request).await?.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?;
    Ok((parts, body.to_bytes()))
}

/// Sends a request on. All of it has come by then, so a client that goes away cuts nothing in half.
async fn send(server: SocketAddr, request: Request<Incoming>) -> io::Result<Response<Incoming>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request::from_parts(parts, Full::new(body));
    let stream = TcpStream::connect(server).await?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let answer = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    // The body comes over the connection, which ends with it.
    driver.detach_all();
    Ok(answer)
}
