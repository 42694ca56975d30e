//! What a call meets before the service that it is for.
//!
//! Owns the refusal of what is not HTTP/2, which gRPC is made of, of credentials that are no business
//! of a service, and of callers that may not. The first is more than order: a page in a browser of
//! this machine can send HTTP/1 to a loopback port, with a body of its choice, and never asks first.
//! It cannot speak HTTP/2 in plain text. Leaves to [`authority`](super::authority) who may.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;
use tracing::Instrument;
use tracing::instrument::Instrumented;

use super::authority::may_call;
use super::metrics::CallMetrics;
use super::refusal::Refusal;
use crate::http::{Origin, Peer, RequestBody};
use crate::identity::{Identity, Role};
use crate::status;
use crate::telemetry::trace;

/// The calls of a listener, behind the gate.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    routes: Routes,
    rules: Arc<Rules>,
    metrics: Arc<CallMetrics>,
}

/// What is asked of a call.
#[derive(Debug)]
pub(super) struct Rules {
    /// Who serves here.
    pub(super) role: Role,
    /// Absent where every caller is as good as this process.
    pub(super) identity: Option<Identity>,
}

/// An answer on its way.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and would be an allocation for each call"
)]
pub(super) enum Answering {
    Called {
        call: Instrumented<<Routes as Service<Request<RequestBody>>>::Future>,
        count: Count,
    },
    /// Taken when it is given.
    Refused(Option<Response<Body>>),
}

/// A call that is to be counted.
pub(super) struct Count {
    metrics: Arc<CallMetrics>,
    method: usize,
    began: Instant,
}

// === impl Gate ===

impl Gate {
    pub(super) fn new(routes: Routes, rules: Rules, metrics: CallMetrics) -> Self {
        Self {
            routes,
            rules: Arc::new(rules),
            metrics: Arc::new(metrics),
        }
    }

    fn count(&self, path: &str) -> Count {
        Count {
            method: self.metrics.method(path),
            metrics: Arc::clone(&self.metrics),
            began: Instant::now(),
        }
    }
}

impl Service<Request<RequestBody>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<RequestBody>>::poll_ready(&mut self.routes, cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Answering {
        if request.version() != Version::HTTP_2 {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            return Answering::Refused(Some(answer));
        }
        let path = request.uri().path();
        let count = self.count(path);
        match self.rules.allow(&request) {
            Ok(()) => {
                let span = trace::join(path, request.headers());
                let call = self.routes.call(request).instrument(span);
                Answering::Called { call, count }
            }
            Err(why) => {
                self.rules.tell(&request, &why);
                let status = status::to_status(&why);
                count.answered(status.code());
                Answering::Refused(Some(status.into_http()))
            }
        }
    }
}

// === impl Rules ===

impl Rules {
    fn allow<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let headers = request.headers();
        if headers.contains_key(AUTHORIZATION) || headers.contains_key(PROXY_AUTHORIZATION) {
            return Err(Refusal::Token);
        }
        let Some(identity) = &self.identity else {
            return Ok(());
        };
        let origin = request.extensions().get::<Origin>();
        let origin = origin.ok_or(Refusal::Nobody)?;
        if origin.peer == Peer::Unix {
            // Its owner's processes only, which could read our key as well.
            return Ok(());
        }
        let introduction = origin.introduction.as_deref().ok_or(Refusal::Nobody)?;
        let caller = introduction
            .as_ref()
            .map_err(|stranger| Refusal::Stranger(stranger.clone()))?;
        let service = service(request.uri().path());
        if may_call(caller.roles(), self.role, identity.reach(), service) {
            return Ok(());
        }
        Err(Refusal::Role {
            callers: caller.name().to_string(),
            server: self.role,
            service: service.escape_default().take(100).collect(),
        })
    }

    fn tell<B>(&self, request: &Request<B>, why: &Refusal) {
        let is_due = match &self.identity {
            Some(identity) => identity.complaints().is_due(why.kind()),
            None => false,
        };
        let origin = request.extensions().get::<Origin>();
        let peer = origin.map(|origin| origin.peer);
        match is_due {
            true => tracing::warn!(?peer, %why, "a call is refused"),
            false => tracing::debug!(?peer, %why, "a call is refused"),
        }
    }
}

/// The service in the path of a call: `/<service>/<method>`.
fn service(path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_once('/')
        .map_or(path, |(service, _method)| service)
}

// === impl Count ===

impl Count {
    fn answered(&self, code: Code) {
        self.metrics
            .answered(self.method, code, self.began.elapsed());
    }
}

/// What an answer's head says. One that has a body says it behind that.
fn code(headers: &HeaderMap) -> Code {
    headers
        .get(Status::GRPC_STATUS)
        .map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

// === impl Answering ===

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Called { call, count } => {
                let Ok(answer) = ready!(Pin::new(call).poll(cx));
                count.answered(code(answer.headers()));
                Poll::Ready(Ok(answer))
            }
            Self::Refused(answer) => {
                let answer = answer.take().expect("it is not polled after its answer");
                Poll::Ready(Ok(answer))
            }
        }
    }
}
