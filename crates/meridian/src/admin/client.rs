//! The command line's side of the management API.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// A client of one socket.
#[derive(Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody listens.
    #[error(
        "no registry is running on {}: start it, or name its directory with --data-dir", .0.display()
    )]
    NotRunning(PathBuf),
    /// The socket cannot be used.
    #[error("the socket {} cannot be used", .socket.display())]
    Socket {
        /// Which.
        socket: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The conversation broke off.
    #[error("the registry broke off its answer")]
    Broken(#[from] hyper::Error),
    /// The answer is an error.
    #[error("the registry answered: {0}")]
    Refused(String),
    /// The answer is no JSON of the expected kind.
    #[error("the registry's answer cannot be read; is it of another version?")]
    Unreadable(#[from] serde_json::Error),
}

// === impl Client ===

impl Client {
    /// A client of the registry that listens on `socket`.
    pub(crate) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Sends a request without a body and reads the JSON that is answered.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
    ) -> Result<T, ClientError> {
        self.send(method, path, Bytes::new()).await
    }

    /// Sends a request with JSON and reads the JSON that is answered.
    pub(crate) async fn tell<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.send(method, path, serde_json::to_vec(body)?.into())
            .await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "admin")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .expect("the path is one that we made");
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>((status, body))
        };
        // The connection is driven here, beside the one request that it is for.
        let (status, body) = tokio::select! {
            answer = answer => answer?,
            ended = connection => {
                ended?;
                return Err(ClientError::Refused("nothing".to_owned()));
            }
        };
        if status.is_success() {
            return Ok(serde_json::from_slice(&body)?);
        }
        let error: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = error["error"].as_str().unwrap_or(status.as_str());
        Err(ClientError::Refused(text.to_owned()))
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        UnixStream::connect(&self.socket)
            .await
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ClientError::NotRunning(self.socket.clone())
                }
                _ => ClientError::Socket {
                    socket: self.socket.clone(),
                    source,
                },
            })
    }
}
