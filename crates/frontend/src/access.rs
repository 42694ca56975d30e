//! The access log: one event for each request, off by default.

use std::time::Instant;

use http::request::Parts;
use http::{Method, Uri};
use meridian_chassis::telemetry::ACCESS_TARGET;
use meridian_clients::RequestId;
use tracing::Level;

use crate::respond::Answer;

/// A request on its way.
pub(crate) struct Access {
    method: Method,
    target: Uri,
    began: Instant,
}

impl Access {
    /// Takes note of a request, if anybody wants to know.
    pub(crate) fn begin(head: &Parts) -> Option<Self> {
        tracing::enabled!(target: ACCESS_TARGET, Level::INFO).then(|| Self {
            method: head.method.clone(),
            target: head.uri.clone(),
            began: Instant::now(),
        })
    }

    /// Logs it with its answer, whose body is then yet to be sent. The target is escaped.
    pub(crate) fn end(self, id: RequestId, answer: &Answer) {
        tracing::info!(
            target: ACCESS_TARGET,
            {
                request.id = %id,
                http.method = %self.method,
                http.target = ?self.target.path(),
                http.status = answer.status().as_u16(),
                elapsed_us = self.began.elapsed().as_micros(),
            },
            "request answered"
        );
    }
}
