//! Receivers of webhooks, and what they were told.
//!
//! They live in the generator, on its CPU, each behind a port of its own: whoever calls them keeps connections by host
//! and port. Owns when and how they answer. What they are told is given to whoever opened them, when a request has come
//! whole and before it is answered. Understands the form of Azure Container Registry, which is ours unless another one is
//! asked for, and the envelope of distribution.

mod book;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, TcpListener as Listener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use book::Book;

/// Sockets on which receivers may listen. A server is told their addresses before anybody listens, so that they are
/// held from then on.
#[derive(Debug)]
pub(crate) struct Doors(Vec<Listener>);

/// How receivers answer.
#[derive(Debug, Clone)]
pub(crate) struct Manners {
    /// After this time each.
    pub(crate) delay: Duration,
    /// Whether the first one is away, and the second takes five seconds.
    pub(crate) are_two_sick: bool,
    /// Takes one request in so many, and answers the others that something is wrong with it; takes all for 0.
    pub(crate) takes_one_in: u32,
}

/// What a receiver was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) endpoint: u32,
    pub(crate) repository: u32,
    /// Of the manifest that was pushed.
    pub(crate) number: u64,
    /// Stands for the identifier of the message.
    pub(crate) id: u64,
    pub(crate) at: Instant,
}

/// Receivers that listen. They go with this value.
pub(crate) struct Receivers {
    gate: watch::Sender<bool>,
    hall: Arc<Hall>,
    _serving: JoinSet<()>,
}

/// How long the slow one of the sick takes.
pub(crate) const SLOW: Duration = Duration::from_secs(5);
/// The sick ones are those with a number below this.
pub(crate) const SICK: u32 = 2;

type Note = Arc<dyn Fn(Told) + Send + Sync>;

/// What connections have in common.
struct Hall {
    manners: Manners,
    gate: watch::Receiver<bool>,
    taken: AtomicU64,
    note: Note,
}

/// One receiver.
struct Desk {
    hall: Arc<Hall>,
    endpoint: u32,
    /// How often it was asked.
    asked: AtomicU32,
}

/// Either form, as far as it matters here.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    events: Vec<Event<'a>>,
    #[serde(default)]
    id: &'a str,
    #[serde(borrow)]
    target: Option<Target<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    id: &'a str,
    #[serde(borrow)]
    target: Target<'a>,
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(default)]
    repository: &'a str,
    #[serde(default)]
    tag: &'a str,
}

// === impl Doors ===

impl Doors {
    pub(crate) fn open(count: u32) -> io::Result<Self> {
        let open = |_| {
            let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        (0..count).map(open).collect::<io::Result<_>>().map(Self)
    }

    /// Where each receiver is called.
    pub(crate) fn uris(&self) -> io::Result<Vec<String>> {
        let uri = |door: &Listener| Ok(format!("http://{}/", door.local_addr()?));
        self.0.iter().map(uri).collect()
    }
}

// === impl Manners ===

impl Manners {
    pub(crate) const fn after(delay: Duration) -> Self {
        Self {
            delay,
            are_two_sick: false,
            takes_one_in: 0,
        }
    }
}

// === impl Receivers ===

impl Receivers {
    /// Has all of them listen and answer, as long as this value is held.
    pub(crate) fn open(
        doors: &Doors,
        manners: Manners,
        note: impl Fn(Told) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (gate, is_open) = watch::channel(true);
        let is_first_away = manners.are_two_sick;
        let hall = Arc::new(Hall {
            manners,
            gate: is_open,
            taken: AtomicU64::new(0),
            note: Arc::new(note),
        });
        let mut serving = JoinSet::new();
        for (endpoint, door) in (0..).zip(&doors.0) {
            let listener = TcpListener::from_std(door.try_clone()?)?;
            if endpoint == 0 && is_first_away {
                serving.spawn(turn_away(listener));
                continue;
            }
            let desk = Desk {
                hall: Arc::clone(&hall),
                endpoint,
                asked: AtomicU32::new(0),
            };
            serving.spawn(serve(listener, Arc::new(desk)));
        }
        Ok(Self {
            gate,
            hall,
            _serving: serving,
        })
    }

    /// Has nobody be answered until that is told otherwise.
    pub(crate) fn hold(&self) {
        self.gate.send_replace(false);
    }

    pub(crate) fn answer(&self) {
        self.gate.send_replace(true);
    }

    /// How many requests they took.
    pub(crate) fn taken(&self) -> u64 {
        self.hall.taken.load(Ordering::Relaxed)
    }
}

/// A receiver that is away: its machine is there, and breaks each connection off.
async fn turn_away(listener: TcpListener) {
    loop {
        drop(listener.accept().await);
    }
}

async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(talk(stream, Arc::clone(&desk)));
                }
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn talk(stream: TcpStream, desk: Arc<Desk>) {
    // An answer is one write; without this the next one waits for its acknowledgement.
    let _slower = stream.set_nodelay(true);
    let answer = service_fn(|request| desk.answer(request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    // Whoever calls may break off; what it then has to tell again, it tells again.
    let _broken = connection.await;
}

// === impl Desk ===

impl Desk {
    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Empty<Bytes>>, Infallible> {
        let Ok(body) = request.into_body().collect().await else {
            return Ok(status(StatusCode::BAD_REQUEST));
        };
        let Hall {
            manners,
            gate,
            taken,
            note,
        } = &*self.hall;
        let told = told(&body.to_bytes(), self.endpoint, Instant::now());
        told.into_iter().for_each(|told| note(told));
        let mut gate = gate.clone();
        // Whoever opened the receivers closes them, and this task goes then.
        drop(gate.wait_for(|is_open| *is_open).await);
        let delay = match manners.are_two_sick && self.endpoint < SICK {
            true => SLOW,
            false => manners.delay,
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if !self.takes() {
            return Ok(status(StatusCode::INTERNAL_SERVER_ERROR));
        }
        taken.fetch_add(1, Ordering::Relaxed);
        Ok(status(StatusCode::OK))
    }

    fn takes(&self) -> bool {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        match self.hall.manners.takes_one_in {
            0 => true,
            every => turn.is_multiple_of(every),
        }
    }
}

fn status(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = status;
    answer
}

/// What a request says of manifests that were pushed under a tag of ours.
fn told(body: &[u8], endpoint: u32, at: Instant) -> Vec<Told> {
    let Ok(body) = serde_json::from_slice::<Body<'_>>(body) else {
        return Vec::new();
    };
    let told = |Event { id, target }: Event<'_>| {
        Some(Told {
            endpoint,
            repository: target.repository.rsplit('-').next()?.parse().ok()?,
            number: target.tag.strip_prefix('e')?.parse().ok()?,
            id: hash(id),
            at,
        })
    };
    let id = body.id;
    let alone = body.target.map(|target| Event { id, target });
    let events = body.events.into_iter().chain(alone);
    events.filter_map(told).collect()
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_form_says_what_was_pushed_where() {
        let at = Instant::now();
        let acr = br#"{"id": "7", "action": "push", "target": {"repository": "load/hooks-3", "tag": "e42"}, "region": "eu"}"#;
        let docker = br#"{"events": [{"id": "7", "action": "push", "target": {"repository": "load/hooks-3", "tag": "e42"}}]}"#;
        let expected = Told {
            endpoint: 9,
            repository: 3,
            number: 42,
            id: hash("7"),
            at,
        };
        assert_eq!(told(acr, 9, at), [expected]);
        assert_eq!(told(docker, 9, at), [expected]);
        assert_eq!(told(br#"{"id": "7", "action": "ping"}"#, 9, at), []);
        assert_eq!(told(b"nonsense", 9, at), []);
    }

    #[test]
    fn one_request_in_so_many_is_taken() {
        let desk = |takes_one_in| Desk {
            hall: Arc::new(Hall {
                manners: Manners {
                    takes_one_in,
                    ..Manners::after(Duration::ZERO)
                },
                gate: watch::channel(true).1,
                taken: AtomicU64::new(0),
                note: Arc::new(|_| ()),
            }),
            endpoint: 1,
            asked: AtomicU32::new(0),
        };
        let some = desk(3);
        let taken: Vec<_> = (0..5).map(|_| some.takes()).collect();
        assert_eq!(taken, [true, false, false, true, false]);
        let all = desk(0);
        assert!((0..5).all(|_| all.takes()));
    }
}
