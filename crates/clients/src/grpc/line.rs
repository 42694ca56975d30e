//! The connection that calls to a service go over.
//!
//! Owns how a connection takes another's place: when one is old, calls go over a new one, and those
//! that are under way finish on the old, which closes behind the last. Its peer closes it later, if
//! ever, so that none is caught in between. What certificates say is thereby looked at again, and
//! no call fails for it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::transport;
use tower::Service;
use tower::util::Oneshot;

/// The part of its age after which a connection is not used for new calls: its peer, who may count
/// from a little earlier, closes it at the end.
const USED: (f64, f64) = (0.6, 0.8);

/// A way to a service of ours. Cheap to clone; clones share their connection, which is made when it
/// is first used.
#[derive(Clone)]
pub struct Channel {
    line: Arc<Line>,
    outbound: fn(&mut HeaderMap),
}

struct Line {
    current: Mutex<Current>,
    renewal: Option<Renewal>,
}

struct Current {
    connection: transport::Channel,
    until: Instant,
}

struct Renewal {
    age: Duration,
    connect: Connect,
}

type Connect = Box<dyn Fn() -> transport::Channel + Send + Sync>;

// === impl Channel ===

impl Channel {
    /// Whose connections are made by `connect`, and used for `age` at most.
    pub(super) fn renewed(
        age: Duration,
        connect: impl Fn() -> transport::Channel + Send + Sync + 'static,
    ) -> Self {
        let renewal = Renewal {
            age,
            connect: Box::new(connect),
        };
        Self::over(renewal.next(), Some(renewal))
    }

    fn over(current: Current, renewal: Option<Renewal>) -> Self {
        let line = Line {
            current: Mutex::new(current),
            renewal,
        };
        Self {
            line: Arc::new(line),
            outbound: |_| {},
        }
    }

    /// The same way, on which `outbound` adds to the head of each call what the process wants its
    /// peer to know.
    #[must_use]
    pub fn with_outbound(mut self, outbound: fn(&mut HeaderMap)) -> Self {
        self.outbound = outbound;
        self
    }
}

impl From<transport::Channel> for Channel {
    fn from(connection: transport::Channel) -> Self {
        let current = Current {
            connection,
            until: Instant::now(),
        };
        Self::over(current, None)
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = transport::Error;
    type Future = Oneshot<transport::Channel, Request<Body>>;

    /// Room is waited for by each call, on the connection that it goes over.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), transport::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        (self.outbound)(request.headers_mut());
        Oneshot::new(self.line.connection(), request)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

// === impl Line ===

impl Line {
    fn connection(&self) -> transport::Channel {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(renewal) = &self.renewal
            && current.until <= Instant::now()
        {
            *current = renewal.next();
        }
        current.connection.clone()
    }
}

// === impl Renewal ===

impl Renewal {
    /// Not all clients of a service come back at the same moment.
    fn next(&self) -> Current {
        let (least, most) = USED;
        let part = least + rand::random::<f64>() * (most - least);
        Current {
            connection: (self.connect)(),
            until: Instant::now() + self.age.mul_f64(part),
        }
    }
}
