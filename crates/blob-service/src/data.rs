//! The data endpoint: blobs for those whom a frontend has sent here.
//!
//! Owns the listener beside the one that our services use, and what may be served on it. It speaks
//! HTTPS with anybody, and gives a blob to whoever has a [link](meridian_clients::link) to it:
//! credentials are neither asked for nor looked at. Keeps the invariants that what a link names is
//! looked up again before a byte is sent, so that what was deleted since is absent; and that no link
//! is logged whole. Leaves reading to [`BlobApi`], which the frontend streams from as well, and the
//! form of answers to [`content`](meridian_clients::content).

mod config;
mod failure;
mod metrics;
mod service;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use meridian_chassis::Supervisor;
use meridian_chassis::http::{HttpServer, Listener, PlainHttpError, check_plain};
use meridian_chassis::metrics::Gauge;
use meridian_chassis::tls::TlsError;
use meridian_clients::link::Links;
use meridian_clients::{BlobApi, RequestId};
use meridian_clock::Clock;
use meridian_error::{Classify, Code};

pub use config::DataConfig;
pub use service::DataEndpoint;

/// What a data endpoint stands on.
#[derive(Clone)]
pub struct DataPorts {
    /// What is read.
    pub blobs: Arc<dyn BlobApi>,
    /// What recognises links.
    pub links: Links,
    /// Whether they have expired.
    pub clock: Arc<dyn Clock>,
}

/// Why a data endpoint does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartDataError {
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Other machines could read along.
    #[error(transparent)]
    PlainHttp(#[from] PlainHttpError),
}

/// Serves blobs on `listeners` until the supervisor stops.
///
/// # Errors
///
/// When a listener may not be served as the settings are.
pub fn serve_data(
    listeners: Vec<Listener>,
    config: DataConfig,
    ports: DataPorts,
    supervisor: &Supervisor,
) -> Result<(), StartDataError> {
    check_data(&listeners, &config)?;
    let metrics = supervisor.metrics();
    let connections = Gauge::default();
    let help = "Connections of the data endpoint that are open.";
    metrics.register("blob_data_connections", help, connections.clone());
    let endpoint = DataEndpoint::new(ports, config.deadline, metrics);
    let server = HttpServer::new(listeners, config.http, config.tls, endpoint)?;
    let server = server
        .stamping(|headers| stamp(headers, RequestId(rand::random())))
        .counting(connections);
    supervisor.spawn("blob.data", server.run(supervisor.spawner()));
    Ok(())
}

/// Looks at whether `listeners` may be served, for those who want to know before they start what
/// the endpoint stands on.
///
/// # Errors
///
/// When one may not be.
pub fn check_data(listeners: &[Listener], config: &DataConfig) -> Result<(), PlainHttpError> {
    match config.tls {
        Some(_) => Ok(()),
        None => {
            let addresses = listeners.iter().filter_map(Listener::tcp_address);
            check_plain("blob.data", addresses, config.allow_plain_http)
        }
    }
}

/// The header that every answer has.
fn stamp(headers: &mut HeaderMap, id: RequestId) {
    const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    let id = HeaderValue::try_from(id.to_string());
    headers.insert(
        REQUEST_ID,
        id.expect("hexadecimal digits are visible ASCII"),
    );
}

// === impl StartDataError ===

impl Classify for StartDataError {
    fn code(&self) -> Code {
        match self {
            Self::Tls(error) => error.code(),
            Self::PlainHttp(error) => error.code(),
        }
    }
}
