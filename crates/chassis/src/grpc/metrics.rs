//! What is counted of the calls that others make here.
//!
//! A call counts when its answer begins: one that breaks off amid a stream counts by how it began.

use std::time::Duration;

use tonic::Code;

use crate::metrics::{Grid, Histogram, Metrics};

/// Where a path counts that is no method of ours.
const OTHER: &str = "other";

/// The calls that a process answers.
#[derive(Debug)]
pub(super) struct CallMetrics {
    /// Sorted, but for the last one.
    methods: &'static [&'static str],
    calls: Grid,
    times: Grid<Histogram>,
}

/// By the number of each code.
const CODES: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

const OUTCOMES: [&str; 2] = ["ok", "error"];

// === impl CallMetrics ===

impl CallMetrics {
    /// Of calls of `methods`, which are paths in their order.
    pub(super) fn new(methods: &[&'static str], role: &str, metrics: &Metrics) -> Self {
        let rows = methods.iter().copied().chain([OTHER]);
        // As long as the process: there is one for each service that it runs.
        let methods: &'static [&'static str] = rows.collect::<Vec<_>>().leak();
        let calls = Grid::new(["method", "code"], methods, &CODES);
        let times = Grid::new(["method", "outcome"], methods, &OUTCOMES);
        let name = |noun: &str| format!("{role}_grpc_{noun}");
        metrics.register(&name("calls"), "Calls that were answered.", calls.family());
        let help = "How long calls waited for the begin of their answer.";
        metrics.register(&name("call_duration_seconds"), help, times.family());
        Self {
            methods,
            calls,
            times,
        }
    }

    /// The place of a method.
    pub(super) fn method(&self, path: &str) -> usize {
        let other = self.methods.len() - 1;
        self.methods[..other].binary_search(&path).unwrap_or(other)
    }

    pub(super) fn answered(&self, method: usize, code: Code, time: Duration) {
        let code = usize::try_from(i32::from(code)).unwrap_or(2);
        self.calls.at(method, code).inc();
        self.times.at(method, usize::from(code != 0)).observe(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_count_by_method_and_code_and_strangers_together() {
        let metrics = Metrics::default();
        let calls = CallMetrics::new(&["/a.A/One", "/a.A/Two"], "blob", &metrics);
        for (path, code) in [
            ("/a.A/Two", Code::Ok),
            ("/a.A/Two", Code::Ok),
            ("/a.A/One", Code::NotFound),
            ("/x", Code::Unimplemented),
            ("/y", Code::Unimplemented),
        ] {
            calls.answered(calls.method(path), code, Duration::ZERO);
        }
        let text = metrics.text();
        for line in [
            "meridian_blob_grpc_calls_total{method=\"/a.A/Two\",code=\"ok\"} 2",
            "meridian_blob_grpc_calls_total{method=\"/a.A/One\",code=\"not_found\"} 1",
            "meridian_blob_grpc_calls_total{method=\"other\",code=\"unimplemented\"} 2",
            "meridian_blob_grpc_call_duration_seconds_count{method=\"/a.A/Two\",outcome=\"ok\"} 2",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "`{line}` is not in:\n{text}"
            );
        }
    }
}
