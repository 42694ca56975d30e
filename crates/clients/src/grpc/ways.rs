//! Several instances of a service, any of which can be asked.
//!
//! Owns the choice: calls go round, and pass over an instance that was out of reach a moment ago,
//! longer each time, unless all of them were. Keeps the invariant that a call is made once: whether
//! it may be made again is its caller's to know, and the next attempt goes to another instance.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::transport;
use tonic::{Code, Status};
use tower::Service;

use super::line::Channel;

/// How long an instance that was out of reach is passed over,
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// and at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The beginning of this process's time.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A way to a service that has one instance or several. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Ways {
    ways: Arc<[Way]>,
    next: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Way {
    channel: Channel,
    /// Until when it is passed over, in milliseconds since the beginning.
    shunned_until: AtomicU64,
    failures: AtomicU32,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, transport::Error>> + Send>>;

fn now() -> u64 {
    u64::try_from(BEGINNING.elapsed().as_millis()).unwrap_or(u64::MAX)
}

// === impl Ways ===

impl Ways {
    /// Ways to all instances of a service. At least one.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn new(channels: impl IntoIterator<Item = Channel>) -> Self {
        let ways: Arc<[Way]> = channels.into_iter().map(Way::new).collect();
        assert!(!ways.is_empty(), "a service has an instance");
        Self {
            ways,
            // Not all processes ask the same instance first.
            next: Arc::new(AtomicUsize::new(rand::random::<u16>().into())),
        }
    }

    /// Ways to each instance by itself.
    pub fn each(&self) -> impl Iterator<Item = Self> {
        self.ways.iter().map(|way| way.channel.clone().into())
    }

    fn choose(&self) -> usize {
        let count = self.ways.len();
        if count == 1 {
            return 0;
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let now = now();
        let in_turn = (0..count).map(|step| first.wrapping_add(step) % count);
        let shunned = |way: &usize| self.ways[*way].shunned_until.load(Ordering::Relaxed);
        in_turn
            .clone()
            .find(|way| shunned(way) <= now)
            .or_else(|| in_turn.min_by_key(shunned))
            .unwrap_or(0)
    }
}

impl From<Channel> for Ways {
    fn from(channel: Channel) -> Self {
        Self::new([channel])
    }
}

impl From<transport::Channel> for Ways {
    fn from(channel: transport::Channel) -> Self {
        Channel::from(channel).into()
    }
}

impl Service<Request<Body>> for Ways {
    type Response = Response<Body>;
    type Error = transport::Error;
    type Future = Answering;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), transport::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        let (ways, chosen) = (Arc::clone(&self.ways), self.choose());
        let answer = ways[chosen].channel.clone().call(request);
        Box::pin(async move {
            let answer = answer.await;
            match &answer {
                Ok(answer) if is_well(answer) => ways[chosen].well(),
                _ => ways[chosen].ill(),
            }
            answer
        })
    }
}

/// Whether an instance does its work. One that says that it cannot now is as good as away; what a
/// call may mean to it is another matter.
fn is_well(answer: &Response<Body>) -> bool {
    let status = Status::from_header_map(answer.headers());
    status.is_none_or(|status| status.code() != Code::Unavailable)
}

// === impl Way ===

impl Way {
    const fn new(channel: Channel) -> Self {
        Self {
            channel,
            shunned_until: AtomicU64::new(0),
            failures: AtomicU32::new(0),
        }
    }

    fn well(&self) {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.shunned_until.store(0, Ordering::Relaxed);
        }
    }

    fn ill(&self) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(10));
        let pause = u64::try_from(pause.min(LONGEST_PAUSE).as_millis()).unwrap_or(u64::MAX);
        self.shunned_until
            .store(now().saturating_add(pause), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tonic::transport::Endpoint;

    use super::*;

    fn ways(count: usize) -> Ways {
        let channel = || Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        Ways::new((0..count).map(|_| Channel::from(channel())))
    }

    #[tokio::test]
    async fn calls_go_round() {
        let ways = ways(3);
        let first = ways.choose();
        let then: Vec<_> = (0..5).map(|_| ways.choose()).collect();
        let expected: Vec<_> = (1..6).map(|step| (first + step) % 3).collect();
        assert_eq!(then, expected);
    }

    #[tokio::test]
    async fn an_instance_that_is_ill_is_passed_over_until_it_is_well_or_all_are_ill() {
        let ways = ways(3);
        ways.ways[1].ill();
        assert!((0..9).all(|_| ways.choose() != 1));
        ways.ways[0].ill();
        ways.ways[0].ill();
        ways.ways[2].ill();
        ways.ways[2].ill();
        assert_eq!(ways.choose(), 1, "the one that is back first");
        ways.ways[2].well();
        assert!((0..9).all(|_| ways.choose() == 2));
    }
}
