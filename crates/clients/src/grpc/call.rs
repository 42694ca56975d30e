//! One unary call: its deadline, and when it is made again.
//!
//! Keeps the invariant that a call is repeated only if that cannot do anything twice: it reads, carries a
//! request id, or says where it belongs, so that it changes nothing when it comes again. Two things bound
//! what repeating adds to a service that is in trouble: the call's own deadline, and a budget for all calls
//! of a client, a fifth of what it calls. A limit that was reached is not tried again: waiting for it is the
//! client's, who was told how long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use meridian_error::{Classify, Code, Retry};
use meridian_proto::DecodeError;
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};
use tower::retry::budget::{Budget, TpsBudget};

use super::failure::{self, WireError};
use crate::ReadError;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a call counts towards the budget.
const BUDGET_SPAN: Duration = Duration::from_secs(10);

/// Repetitions for each call.
const BUDGET_SHARE: f32 = 0.2;

/// Repetitions in each second that are allowed in any case.
const BUDGET_FLOOR: u32 = 5;

/// Whether a call may be made more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It reads, carries a request id, or changes nothing the second time.
    Yes,
    /// Twice is not the same as once.
    No,
}

/// Makes calls. Cheap to clone; clones share the budget.
#[derive(Clone)]
pub(super) struct Caller {
    deadline: Duration,
    budget: Arc<TpsBudget>,
}

/// The unary calls of a service. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Unary<C> {
    pub(super) client: C,
    caller: Caller,
    repeat: Repeat,
}

// === impl Unary ===

impl<C: Clone> Unary<C> {
    pub(super) fn new(client: C, deadline: Duration, repeat: Repeat) -> Self {
        Self {
            client,
            caller: Caller::new(deadline),
            repeat,
        }
    }

    /// Makes a call whose answer is one message, and reads the answer.
    pub(super) async fn call<Q, R, T, E, F>(
        &self,
        message: Q,
        send: impl Fn(C, Request<Q>) -> F,
        read: impl Fn(R) -> Result<T, DecodeError>,
    ) -> Result<T, E>
    where
        Q: Clone,
        E: WireError,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let send = |request| send(self.client.clone(), request);
        self.caller.unary(self.repeat, message, send, read).await
    }

    /// Runs `attempt` as a call would be made, for answers that are more than one message.
    pub(super) async fn attempt<T, E, F>(&self, attempt: impl Fn(Duration) -> F) -> Result<T, E>
    where
        E: WireError,
        F: Future<Output = Result<T, E>>,
    {
        self.caller.repeat(self.repeat, attempt).await
    }
}

// === impl Caller ===

impl Caller {
    pub(super) fn new(deadline: Duration) -> Self {
        let budget = TpsBudget::new(BUDGET_SPAN, BUDGET_FLOOR, BUDGET_SHARE);
        Self {
            deadline,
            budget: Arc::new(budget),
        }
    }

    /// Makes a call whose answer is one message, and reads the answer.
    pub(super) async fn unary<Q, R, T, E, F>(
        &self,
        repeat: Repeat,
        message: Q,
        send: impl Fn(Request<Q>) -> F,
        read: impl Fn(R) -> Result<T, DecodeError>,
    ) -> Result<T, E>
    where
        Q: Clone,
        E: WireError,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let read = &read;
        let attempt = |left| {
            let mut request = Request::new(message.clone());
            request.set_timeout(left);
            let sent = send(request);
            async move {
                let answer = sent.await.map_err(|status| failure::from_status(&status))?;
                read(answer.into_inner()).map_err(|error| unreadable(&error))
            }
        };
        self.repeat(repeat, attempt).await
    }

    /// Runs `attempt`, which is told how much time is left, until it succeeds or there is no point
    /// in going on.
    pub(super) async fn repeat<T, E, F>(
        &self,
        repeat: Repeat,
        attempt: impl Fn(Duration) -> F,
    ) -> Result<T, E>
    where
        E: WireError,
        F: Future<Output = Result<T, E>>,
    {
        self.budget.deposit();
        let end = Instant::now() + self.deadline;
        let mut pause = FIRST_PAUSE;
        // Says more than that the time was over when it was tried again.
        let mut last = None;
        loop {
            let outcome = timeout_at(end, attempt(end - Instant::now())).await;
            let error = match outcome {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => error,
                Err(_elapsed) => {
                    return Err(last.unwrap_or_else(|| E::on_the_way(ReadError::DeadlineExceeded)));
                }
            };
            let Some(wait) = worth_repeating(&error).filter(|_| repeat == Repeat::Yes) else {
                return Err(error);
            };
            let wait = wait.unwrap_or_else(|| pause.mul_f64(0.5 + rand::random::<f64>() / 2.0));
            if Instant::now() + wait >= end || !self.budget.withdraw() {
                return Err(error);
            }
            tracing::debug!(error = meridian_error::chain(&error), "a call is repeated");
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            last = Some(error);
        }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// What to say of an answer that means nothing.
pub(super) fn unreadable<E: WireError>(error: &DecodeError) -> E {
    E::on_the_way(ReadError::Internal {
        reason: format!("the answer means nothing: {}", meridian_error::chain(error)),
    })
}

/// How long to wait before the same request may succeed.
fn worth_repeating(error: &impl Classify) -> Option<Option<Duration>> {
    match (error.code(), error.retry()) {
        (Code::Unavailable | Code::DeadlineExceeded, Retry::Yes { after }) => Some(after),
        _ => None,
    }
}
