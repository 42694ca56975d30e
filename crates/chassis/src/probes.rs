//! What an orchestrator and a monitoring system ask a process: the admin port.
//!
//! Owns `/livez`, `/readyz`, `/startupz` and `/metrics`. Keeps two invariants: whether the process
//! lives depends on nothing but itself, so that a lost quorum never restarts those who would form it;
//! and nothing here can change anything. Leaves what makes it ready to [`health`](crate::health).
//!
//! ```text
//! /livez      200 while it answers at all
//! /startupz   200 from the moment that it was ready once: probes of the other two may begin
//! /readyz     200 while requests should be sent here; every condition, one a line
//! /metrics    what is counted, as text for Prometheus
//! ```

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use tower::Service;

use crate::Supervisor;
use crate::health::Readiness;
use crate::http::{HttpConfig, HttpServer, ListenAddress, Listener};
use crate::metrics::{self, Metrics};

/// Settings of the admin port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Where it listens. Empty, the default: nowhere. It knows no passwords and is not encrypted, but
    /// shows no content: names, counts and conditions only. Only those who run the region should
    /// reach it.
    pub listen: Vec<ListenAddress>,
}

#[derive(Debug, Clone)]
struct Probes {
    readiness: Readiness,
    metrics: Metrics,
    has_started: Arc<AtomicBool>,
}

type Answer = Response<Full<Bytes>>;

/// Serves the probes until the supervisor stops.
pub fn serve(listeners: Vec<Listener>, supervisor: &Supervisor) {
    if listeners.is_empty() {
        return;
    }
    for address in listeners.iter().filter_map(Listener::address) {
        tracing::info!(%address, "serving probes and metrics");
    }
    let probes = Probes {
        readiness: supervisor.readiness().clone(),
        metrics: supervisor.metrics().clone(),
        has_started: Arc::default(),
    };
    let (readiness, started) = (probes.readiness.clone(), Arc::clone(&probes.has_started));
    let stop = supervisor.token();
    supervisor.spawner().spawn_child("startup", async move {
        if stop.run_until_cancelled(readiness.ready()).await.is_some() {
            started.store(true, Ordering::Relaxed);
        }
    });
    let server = HttpServer::internal(listeners, HttpConfig::internal(), None, probes);
    supervisor.spawn("probes", server.run(supervisor.spawner()));
}

// === impl Probes ===

impl Probes {
    fn answer(&self, method: &Method, path: &str) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "read only\n".to_owned());
        }
        match path {
            "/livez" => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => {
                let report = self.readiness.report();
                verdict(report.is_ready(), report.to_string())
            }
            "/startupz" => {
                let started = self.has_started.load(Ordering::Relaxed);
                verdict(started, self.readiness.report().to_string())
            }
            "/metrics" => {
                let mut answer = text(StatusCode::OK, self.metrics.text());
                let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
                answer.headers_mut().insert(CONTENT_TYPE, kind);
                answer
            }
            _ => text(StatusCode::NOT_FOUND, "no such page\n".to_owned()),
        }
    }
}

impl<B> Service<Request<B>> for Probes {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(request.method(), request.uri().path())))
    }
}

fn verdict(ok: bool, report: String) -> Answer {
    let status = match ok {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    text(status, report)
}

fn text(status: StatusCode, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
