//! How a connection to another service is made.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use meridian_clock::Region;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::{Service, ServiceExt};

use super::Identity;
use super::complaint::Complaint;
use super::role::Role;

/// Connects to the services of one role in one region. Cheap to clone.
///
/// To be given to a channel as its connector. Each connection uses the certificate of its time.
#[derive(Debug, Clone)]
pub struct Connector {
    identity: Identity,
    region: Region,
    role: Role,
    tcp: HttpConnector,
}

/// No connection was made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("cannot connect")]
    Tcp(#[source] Box<dyn Error + Send + Sync>),
    /// Whoever answers is not trusted, or does not trust us.
    #[error("the handshake failed: {advice}")]
    Handshake {
        /// What to change.
        advice: String,
    },
    /// Our own certificate cannot be used.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
}

type Connecting =
    Pin<Box<dyn Future<Output = Result<TokioIo<TlsStream<TcpStream>>, ConnectError>> + Send>>;

// === impl Connector ===

impl Connector {
    pub(super) fn new(identity: Identity, region: Region, role: Role) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self {
            identity,
            region,
            role,
            tcp,
        }
    }

    async fn connect(self, to: Uri) -> Result<TokioIo<TlsStream<TcpStream>>, ConnectError> {
        let config = self.identity.material().client(self.region, self.role);
        let tls = TlsConnector::from(Arc::new(config.map_err(ConnectError::Setup)?));
        let tcp = self.tcp.oneshot(to.clone()).await;
        let tcp = tcp.map_err(|error| ConnectError::Tcp(error.into()))?;
        // The certificate is not looked at for a host's name, and none is sent.
        let nobody = ServerName::try_from("service.invalid").expect("it is a host's name");
        match tls.connect(nobody, tcp.into_inner()).await {
            Ok(stream) => Ok(TokioIo::new(stream)),
            Err(error) => Err(self.identity.refused_by(self.role, &to, &error)),
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = ConnectError;
    type Future = Connecting;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Connecting {
        Box::pin(self.clone().connect(to))
    }
}

impl Identity {
    /// Says why no connection to a service was made, and what to change.
    fn refused_by(&self, role: Role, to: &Uri, error: &io::Error) -> ConnectError {
        let Complaint { kind, advice } = Complaint::about(error);
        if self.complaints().is_due(kind) {
            tracing::warn!(%to, advice, "the {role} service there is not called");
        }
        ConnectError::Handshake { advice }
    }
}
