//! How a frontend comes to life.
//!
//! Keeps the invariant that nobody's credentials or content travel in the clear by accident: plain
//! HTTP stays on this machine unless the settings say otherwise, and then the log says so.

use std::net::SocketAddr;

use http::HeaderMap;
use meridian_chassis::Supervisor;
use meridian_chassis::http::{BindError, HttpServer, Listener, PlainHttpError, check_plain};
use meridian_chassis::metrics::Gauge;
use meridian_chassis::tls::TlsError;
use meridian_clients::RequestId;
use meridian_error::{Classify, Code};

use crate::{Backends, Config, Frontend, respond};

/// A frontend that takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The TCP addresses that were bound.
    pub addresses: Vec<SocketAddr>,
}

/// Why a frontend does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Other machines could read along.
    #[error(transparent)]
    PlainHttp(#[from] PlainHttpError),
}

/// Binds the addresses of `config` and serves them until the supervisor stops.
///
/// # Errors
///
/// When an address cannot be bound, or may not be as the settings are.
pub async fn start(
    config: Config,
    backends: Backends,
    supervisor: &Supervisor,
) -> Result<Started, StartError> {
    let listeners: Result<Vec<_>, _> = config.listen.iter().map(Listener::bind).collect();
    start_on(listeners?, config, backends, supervisor)
}

/// Serves listeners that are bound already, instead of those that `config` names.
///
/// # Errors
///
/// When a listener may not be served as the settings are.
pub fn start_on(
    listeners: Vec<Listener>,
    config: Config,
    backends: Backends,
    supervisor: &Supervisor,
) -> Result<Started, StartError> {
    let addresses = check(&listeners, &config)?;
    let metrics = supervisor.metrics();
    let readiness = supervisor.readiness().clone();
    let frontend = Frontend::new(&config, backends, readiness).counted(metrics);
    let frontend = frontend.watching(supervisor);
    let connections = Gauge::default();
    let help = "Connections that are open.";
    metrics.register("frontend_http_connections", help, connections.clone());
    let server = HttpServer::new(listeners, config.http, config.tls, frontend)?;
    let server = server.stamping(stamp).counting(connections);
    supervisor.spawn("frontend", server.run(supervisor.spawner()));
    Ok(Started { addresses })
}

/// Gives what is refused before it is a request the headers of every answer.
fn stamp(headers: &mut HeaderMap) {
    respond::stamp(headers, RequestId(rand::random()));
}

/// The TCP addresses of `listeners`, if the settings allow that they are served: for those who want
/// to know before they start what a frontend stands on.
///
/// # Errors
///
/// When one may not be served.
pub fn check(listeners: &[Listener], config: &Config) -> Result<Vec<SocketAddr>, StartError> {
    let addresses: Vec<_> = listeners.iter().filter_map(Listener::tcp_address).collect();
    if config.tls.is_none() {
        check_plain(
            "frontend",
            addresses.iter().copied(),
            config.allow_plain_http,
        )?;
    }
    Ok(addresses)
}

// === impl StartError ===

impl Classify for StartError {
    fn code(&self) -> Code {
        match self {
            Self::Bind(error) => error.code(),
            Self::Tls(error) => error.code(),
            Self::PlainHttp(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_before_it_is_a_request_has_the_headers_of_every_answer() {
        let [one, other] = [(); 2].map(|()| {
            let mut headers = HeaderMap::new();
            stamp(&mut headers);
            assert_eq!(headers["docker-distribution-api-version"], "registry/2.0");
            headers["x-request-id"].clone()
        });
        assert_ne!(one, other);
    }
}
