//! What the data endpoint counts.

use futures::StreamExt;
use http::{Method, StatusCode};
use meridian_chassis::metrics::{Counter, Grid, Metrics};
use meridian_clients::{BlobRead, ByteStream};

/// Requests by how they were answered, and bytes that left.
#[derive(Debug)]
pub(super) struct DataMetrics {
    requests: Grid,
    sent: Counter,
}

const METHODS: [&str; 3] = ["GET", "HEAD", "other"];

/// The statuses that the data endpoint answers, and the rest.
const STATUSES: [&str; 11] = [
    "200", "206", "304", "403", "404", "405", "412", "416", "500", "503", "other",
];

// === impl DataMetrics ===

impl DataMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let requests = Grid::new(["method", "status"], &METHODS, &STATUSES);
        let help = "Requests that the data endpoint answered.";
        metrics.register("blob_data_requests", help, requests.family());
        let sent = Counter::default();
        let help = "Bytes of blobs that the data endpoint gave to its connections.";
        metrics.register("blob_data_sent_bytes", help, sent.clone());
        Self { requests, sent }
    }

    pub(super) fn answered(&self, method: &Method, status: StatusCode) {
        let at = |names: &[&str], name: &str| {
            let place = names.iter().position(|it| *it == name);
            place.unwrap_or(names.len() - 1)
        };
        let (row, column) = (
            at(&METHODS, method.as_str()),
            at(&STATUSES, status.as_str()),
        );
        self.requests.at(row, column).inc();
    }

    /// The same blob, whose bytes are counted as they leave.
    pub(super) fn counting(&self, read: BlobRead) -> BlobRead {
        match read {
            BlobRead::Whole { size, body } => BlobRead::Whole {
                size,
                body: self.count(body),
            },
            BlobRead::Part {
                size,
                start,
                end_inclusive,
                body,
            } => BlobRead::Part {
                size,
                start,
                end_inclusive,
                body: self.count(body),
            },
            BlobRead::Unsatisfiable { .. } => read,
        }
    }

    fn count(&self, body: ByteStream) -> ByteStream {
        let sent = self.sent.clone();
        Box::pin(body.inspect(move |piece| {
            if let Ok(piece) = piece {
                sent.inc_by(piece.len() as u64);
            }
        }))
    }
}
