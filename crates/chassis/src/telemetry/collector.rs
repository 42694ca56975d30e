//! Where the collector is, and who it has to be.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use meridian_error::{Classify, Code};
use opentelemetry_otlp::ExporterBuildError;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::{Service, ServiceExt};

use super::TraceConfig;
use crate::tls::{TlsError, Trust};

/// How long the collector may take for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Nothing can be sent to the collector.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The endpoint makes no sense.
    #[error(
        "telemetry.otlp_endpoint: `{0}` is no collector; it reads `http://<host>:<port>`, or \
         `https://…`"
    )]
    Endpoint(String),
    /// Its authorities cannot be read.
    #[error("telemetry.otlp_ca_file")]
    Authorities(#[from] TlsError),
    /// There are none.
    #[error(
        "telemetry.otlp_ca_file: missing; this machine has no certificates of authorities, by which \
         the collector could be known"
    )]
    NoAuthorities,
    /// There are authorities for a connection without TLS.
    #[error("telemetry.otlp_ca_file: `{0}` does not begin with `https://`, and needs none")]
    Plain(String),
    /// The library refuses.
    #[error("traces cannot be exported")]
    Build(#[from] ExporterBuildError),
}

/// A connection that is made when it is needed, and again when it is lost.
pub(super) fn channel(endpoint: &str, config: &TraceConfig) -> Result<Channel, ExportError> {
    let malformed = || ExportError::Endpoint(endpoint.to_owned());
    let uri: Uri = endpoint.parse().map_err(|_| malformed())?;
    if uri.authority().is_none() {
        return Err(malformed());
    }
    let there = Endpoint::from(uri.clone())
        .timeout(config.timeout)
        .connect_timeout(CONNECT.min(config.timeout));
    match (uri.scheme_str(), &config.otlp_ca_file) {
        (Some("http"), None) => Ok(there.connect_lazy()),
        (Some("http"), Some(_)) => Err(ExportError::Plain(endpoint.to_owned())),
        (Some("https"), ca_file) => {
            let name = uri
                .host()
                .map(|host| host.trim_matches(['[', ']']).to_owned());
            let name = name.and_then(|host| ServerName::try_from(host).ok());
            let secured = Secured::new(name.ok_or_else(malformed)?, ca_file.as_deref())?;
            Ok(there.connect_with_connector_lazy(secured))
        }
        _ => Err(malformed()),
    }
}

/// Connects with TLS to a server that has to have a certificate for its name.
#[derive(Clone)]
struct Secured {
    name: ServerName<'static>,
    tls: TlsConnector,
    tcp: HttpConnector,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TokioIo<TlsStream<TcpStream>>>> + Send>>;

// === impl Secured ===

impl Secured {
    fn new(name: ServerName<'static>, ca_file: Option<&Path>) -> Result<Self, ExportError> {
        let trust = Trust::of(ca_file)?;
        if trust.is_empty() {
            return Err(ExportError::NoAuthorities);
        }
        let config = trust.client(&["h2"])?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Ok(Self {
            name,
            tls: TlsConnector::from(Arc::new(config)),
            tcp,
        })
    }

    async fn connect(self, to: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let tcp = self.tcp.oneshot(to).await.map_err(io::Error::other)?;
        let stream = self.tls.connect(self.name, tcp.into_inner()).await?;
        Ok(TokioIo::new(stream))
    }
}

impl Service<Uri> for Secured {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Connecting {
        Box::pin(self.clone().connect(to))
    }
}

// === impl ExportError ===

impl Classify for ExportError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn refused(endpoint: &str, ca_file: Option<&str>) -> String {
        let config = TraceConfig {
            otlp_ca_file: ca_file.map(PathBuf::from),
            ..TraceConfig::default()
        };
        meridian_error::chain(&channel(endpoint, &config).unwrap_err())
    }

    #[tokio::test]
    async fn what_is_no_collector_is_named() {
        for endpoint in [
            "",
            "collector",
            "collector:4317",
            "ftp://collector:4317",
            "http://",
        ] {
            let said = refused(endpoint, None);
            assert!(
                said.contains("telemetry.otlp_endpoint"),
                "{endpoint}: {said}"
            );
        }
        assert!(refused("http://collector:4317", Some("ca.pem")).contains("needs none"));
        let said = refused("https://collector:4317", Some("/nowhere/ca.pem"));
        assert!(said.contains("/nowhere/ca.pem"), "{said}");
    }
}
