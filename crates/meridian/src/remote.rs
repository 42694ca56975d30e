//! HTTP to a server that a flag or a setting names: one request on a connection of its own.
//!
//! Keeps two invariants: a request has a deadline, and an answer a limit, whatever the server does;
//! and nobody is believed to be that server without a certificate for its name. Leaves what is said
//! to its callers.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::handshake;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use meridian_chassis::tls::{TlsError, Trust};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// The largest answer that is read.
const LARGEST: usize = 16 << 20;

/// A server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Remote {
    place: Place,
    /// What it is called in requests.
    host: HeaderValue,
}

#[derive(Clone)]
enum Place {
    Unix(PathBuf),
    Tcp {
        host: String,
        port: u16,
        tls: Option<(TlsConnector, ServerName<'static>)>,
    },
}

/// A server cannot be spoken of as it was named.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NameError {
    /// It has another form.
    #[error("`{0}` is no server; it reads `https://<host>[:<port>]`, `http://…` or `unix:<path>`")]
    Malformed(String),
    /// This machine has none.
    #[error("this machine has no certificates of authorities; name a file of them")]
    NoAuthorities,
    /// Its authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// Nobody listens.
    #[error("nobody answers at {place}")]
    Away {
        place: String,
        #[source]
        source: io::Error,
    },
    /// It is not who it should be, or speaks no TLS.
    #[error("{place} cannot be trusted")]
    Handshake {
        place: String,
        #[source]
        source: io::Error,
    },
    /// The conversation broke off.
    #[error("the answer broke off")]
    Broken(#[from] hyper::Error),
    /// It says more than anybody asks for.
    #[error("the answer is larger than {LARGEST} bytes")]
    TooLarge,
    /// It does not answer.
    #[error("there is no answer within {0:?}")]
    Late(Duration),
}

trait Stream: Read + Write + Unpin + Send {}

impl<T: Read + Write + Unpin + Send> Stream for T {}

// === impl Remote ===

impl Remote {
    /// The server of a URL. TLS trusts the authorities in `ca_file`, or those of this machine.
    pub(crate) fn parse(url: &str, ca_file: Option<&Path>) -> Result<Self, NameError> {
        let malformed = || NameError::Malformed(url.to_owned());
        if let Some(path) = url.strip_prefix("unix:") {
            return Ok(Self::unix(Path::new(path)));
        }
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let (Some(scheme), Some(authority), true) = (uri.scheme(), uri.authority(), is_bare) else {
            return Err(malformed());
        };
        Self::of(scheme, authority, ca_file)?.ok_or_else(malformed)
    }

    /// The server of a URL that it, or another one, has given, and what to ask there.
    pub(crate) fn of_location(
        location: &Uri,
        ca_file: Option<&Path>,
    ) -> Result<Option<Self>, NameError> {
        match (location.scheme(), location.authority()) {
            (Some(scheme), Some(authority)) => Self::of(scheme, authority, ca_file),
            _ => Ok(None),
        }
    }

    fn of(
        scheme: &Scheme,
        authority: &Authority,
        ca_file: Option<&Path>,
    ) -> Result<Option<Self>, NameError> {
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let name = HeaderValue::from_str(authority.as_str());
        let (Ok(name), false) = (name, authority.as_str().contains('@')) else {
            return Ok(None);
        };
        let (tls, usual) = match scheme.as_str() {
            "http" => (None, 80),
            "https" => {
                let Ok(server) = ServerName::try_from(host.clone()) else {
                    return Ok(None);
                };
                (Some((connector(ca_file)?, server)), 443)
            }
            _ => return Ok(None),
        };
        let port = authority.port_u16().unwrap_or(usual);
        let place = Place::Tcp { host, port, tls };
        Ok(Some(Self { place, host: name }))
    }

    /// Whoever listens on a socket.
    pub(crate) fn unix(path: &Path) -> Self {
        Self {
            place: Place::Unix(path.to_owned()),
            host: HeaderValue::from_static("meridian"),
        }
    }

    /// Whether nobody on the way can read along.
    pub(crate) fn is_private(&self) -> bool {
        match &self.place {
            Place::Unix(_) => true,
            Place::Tcp { tls: Some(_), .. } => true,
            Place::Tcp { host, .. } => {
                let address = host.parse::<IpAddr>();
                host == "localhost" || address.is_ok_and(|it| it.to_canonical().is_loopback())
            }
        }
    }

    /// Whether it is a socket, which its owner alone can open.
    pub(crate) const fn is_unix(&self) -> bool {
        matches!(self.place, Place::Unix(_))
    }

    /// Sends a request, whose target is a path, and reads the answer.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        within: Duration,
    ) -> Result<Response<Bytes>, RemoteError> {
        let headers = request.headers_mut();
        headers.insert(http::header::HOST, self.host.clone());
        let exchange = async { exchange(self.connect().await?, request).await };
        let answered = tokio::time::timeout(within, exchange).await;
        answered.unwrap_or(Err(RemoteError::Late(within)))
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, RemoteError> {
        let away = |source| RemoteError::Away {
            place: self.to_string(),
            source,
        };
        let (host, port, tls) = match &self.place {
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(away)?;
                return Ok(Box::new(TokioIo::new(stream)));
            }
            Place::Tcp { host, port, tls } => (host, *port, tls),
        };
        let stream = TcpStream::connect((host.as_str(), port)).await;
        let stream = stream.map_err(away)?;
        let Some((connector, server)) = tls else {
            return Ok(Box::new(TokioIo::new(stream)));
        };
        match connector.connect(server.clone(), stream).await {
            Ok(stream) => Ok(Box::new(TokioIo::new(stream))),
            Err(source) => Err(RemoteError::Handshake {
                place: self.to_string(),
                source,
            }),
        }
    }
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Unix(path) => write!(f, "{}", path.display()),
            Place::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Remote").field(&self.to_string()).finish()
    }
}

async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, RemoteError> {
    let (mut sender, connection) = handshake(stream).await?;
    let mut answer = pin!(async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(too_large_or_broken)?.to_bytes();
        Ok(Response::from_parts(head, body))
    });
    // The connection is driven here, beside the one request that it is for. It may end before the
    // answer was taken up whole.
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = connection => {
            ended?;
            answer.await
        }
    }
}

fn too_large_or_broken(error: Box<dyn Error + Send + Sync>) -> RemoteError {
    match error.downcast::<hyper::Error>() {
        Ok(broken) => RemoteError::Broken(*broken),
        Err(error) => {
            debug_assert!(error.is::<LengthLimitError>());
            RemoteError::TooLarge
        }
    }
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, NameError> {
    let trust = Trust::of(ca_file)?;
    if trust.is_empty() {
        return Err(NameError::NoAuthorities);
    }
    let config = trust.client(&["http/1.1"])?;
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_and_an_authority() {
        for (url, private) in [
            ("http://127.0.0.1:7403", true),
            ("http://[::1]:7403/", true),
            ("http://localhost", true),
            ("http://meridian.example:7403", false),
            ("unix:/run/meridian/admin.sock", true),
        ] {
            assert_eq!(
                Remote::parse(url, None).unwrap().is_private(),
                private,
                "{url}"
            );
        }
        for url in [
            "",
            "meridian.example",
            "ftp://meridian.example",
            "http://meridian.example/path",
            "http://meridian.example?query",
            "http://user:password@meridian.example",
        ] {
            assert!(Remote::parse(url, None).is_err(), "{url}");
        }
    }
}
