//! Whether Redis is there.
//!
//! ```text
//!             first call                  answered
//!   idle ──────────────────▶ dialling ───────────────▶ open
//!                             ▲    │ not                 │ a call without an answer, a broken connection
//!          a call, when due   │    ▼                     │
//!                             └── away ◀─────────────────┘
//! ```
//!
//! Owns when a connection is made. Keeps the invariant that whoever calls while Redis is away is told so
//! at once: only those wait who call before it was ever asked. A connection is made by a task of its own, because
//! the one whose call began it may not have the time; the task ends with the cache.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::dial::{Connection, DialError, Dialer};
use crate::CacheError;

/// After a failure, until Redis is asked again; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) type Cause = Arc<dyn Error + Send + Sync>;

/// The way to Redis, as far as there is one.
pub(super) struct Link {
    inner: Arc<Inner>,
    /// The task that makes a connection, if one does.
    dialling: Mutex<JoinSet<()>>,
}

struct Inner {
    dialer: Dialer,
    state: Mutex<State>,
    settled: watch::Sender<()>,
}

enum State {
    Idle,
    /// With what was wrong before, if anything was.
    Dialling(Option<Away>),
    Open(Arc<Connection>),
    Away(Away),
}

#[derive(Clone)]
struct Away {
    why: Cause,
    due: Instant,
    pause: Duration,
}

/// What a call finds.
enum Found {
    Open(Arc<Connection>),
    Away(Cause),
    Soon,
}

// === impl Link ===

impl Link {
    pub(super) fn new(dialer: Dialer) -> Self {
        Self {
            inner: Arc::new(Inner {
                dialer,
                state: Mutex::new(State::Idle),
                settled: watch::Sender::new(()),
            }),
            dialling: Mutex::default(),
        }
    }

    /// The connection. Waits if nothing is known yet.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, CacheError> {
        let mut settled = self.inner.settled.subscribe();
        loop {
            match self.look() {
                Found::Open(connection) => return Ok(connection),
                Found::Away(why) => return Err(CacheError::Unavailable(why)),
                // The sender is our own.
                Found::Soon => drop(settled.changed().await),
            }
        }
    }

    /// A connection is no good any more.
    pub(super) fn failed(&self, connection: &Arc<Connection>, why: Cause) {
        let mut state = self.inner.state();
        if !matches!(&*state, State::Open(open) if Arc::ptr_eq(open, connection)) {
            return;
        }
        let error = meridian_error::chain(&*why);
        tracing::warn!(
            error,
            "Redis is away: what it would remember is forgotten meanwhile"
        );
        *state = State::Away(Away::since(why));
    }

    fn look(&self) -> Found {
        let mut state = self.inner.state();
        let (found, before) = match &*state {
            State::Open(connection) => return Found::Open(Arc::clone(connection)),
            State::Dialling(None) => return Found::Soon,
            State::Dialling(Some(away)) => return Found::Away(Arc::clone(&away.why)),
            State::Away(away) if Instant::now() < away.due => {
                return Found::Away(Arc::clone(&away.why));
            }
            State::Away(away) => (Found::Away(Arc::clone(&away.why)), Some(away.clone())),
            State::Idle => (Found::Soon, None),
        };
        *state = State::Dialling(before);
        drop(state);
        let inner = Arc::clone(&self.inner);
        let mut dialling = self.dialling.lock().unwrap_or_else(PoisonError::into_inner);
        while dialling.try_join_next().is_some() {}
        dialling.spawn(async move {
            let dialled = inner.dialer.dial().await;
            inner.settle(dialled);
        });
        found
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.inner.state() {
            State::Idle => "idle",
            State::Dialling(_) => "dialling",
            State::Open(_) => "open",
            State::Away(_) => "away",
        };
        write!(f, "{:?}, {state}", self.inner.dialer)
    }
}

// === impl Inner ===

impl Inner {
    fn settle(&self, dialled: Result<Connection, DialError>) {
        let mut state = self.state();
        let before = match &*state {
            State::Dialling(before) => before.clone(),
            _ => None,
        };
        *state = match (dialled, before) {
            (Ok(connection), before) => {
                if before.is_some() {
                    tracing::info!("Redis is there again");
                }
                State::Open(Arc::new(connection))
            }
            (Err(error), Some(before)) => {
                let text = meridian_error::chain(&error);
                tracing::debug!(error = text, "Redis is still away");
                State::Away(before.still(Arc::new(error)))
            }
            (Err(error), None) => {
                let text = meridian_error::chain(&error);
                tracing::warn!(
                    error = text,
                    "Redis is away: what it would remember is forgotten meanwhile"
                );
                State::Away(Away::since(Arc::new(error)))
            }
        };
        drop(state);
        self.settled.send_replace(());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Away ===

impl Away {
    fn since(why: Cause) -> Self {
        Self::after(why, FIRST_PAUSE)
    }

    fn still(&self, why: Cause) -> Self {
        Self::after(why, (self.pause * 2).min(LONGEST_PAUSE))
    }

    /// Not all instances come back at once.
    fn after(why: Cause, pause: Duration) -> Self {
        let due = Instant::now() + pause.mul_f64(0.75 + rand::random::<f64>() / 2.0);
        Self { why, due, pause }
    }
}
