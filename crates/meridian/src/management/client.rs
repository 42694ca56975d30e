//! The command line's side of the management API.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use meridian_chassis::config::{ReadSecretError, read_secret};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::remote::{NameError, Remote, RemoteError};

/// How long an answer may take. Garbage collection, and a member that joins, take their time.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A client of one process.
pub(crate) struct Client {
    server: Remote,
    authorization: Option<HeaderValue>,
}

/// Whom to ask, and how, makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// The server.
    #[error("--server")]
    Server(#[source] NameError),
    /// A token is to be sent for everybody to read.
    #[error(
        "--server {0}: a token would travel in plain HTTP; use https, or ask from the same machine"
    )]
    Plain(Remote),
    /// There is no token.
    #[error("--token-file: missing; name a file of mode 0600 with an operator token")]
    NoToken,
    /// The token cannot be read.
    #[error("--token-file")]
    Token(#[source] ReadSecretError),
    /// It is none.
    #[error("--token-file: what is in {0} is no token")]
    Malformed(String),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody listens on the socket.
    #[error("no registry is running on {0}: start it, or name its directory with --data-dir")]
    NotRunning(Remote),
    /// There is no answer.
    #[error("the registry does not answer")]
    Remote(#[source] RemoteError),
    /// The answer is a problem.
    #[error("the registry answered: {0}")]
    Refused(String),
    /// The answer is that the request makes no sense as it is.
    #[error("the registry answered: {0}")]
    Malformed(String),
    /// The answer is that there is no such thing.
    #[error("the registry answered: {0}")]
    Unknown(String),
    /// The answer is a problem that may pass.
    #[error("the registry cannot answer now: {0}")]
    Later(String),
    /// The answer is no JSON of the expected kind.
    #[error("the registry's answer cannot be read; is it of another version?")]
    Unreadable(#[from] serde_json::Error),
}

// === impl Client ===

impl Client {
    /// A client of the process that listens on `socket`.
    pub(crate) fn local(socket: &Path) -> Self {
        Self {
            server: Remote::unix(socket),
            authorization: None,
        }
    }

    /// A client of the process at `server`, with the first token in `token_file`.
    pub(crate) fn remote(
        server: &str,
        token_file: Option<&Path>,
        ca_file: Option<&Path>,
    ) -> Result<Self, SetupError> {
        let server = Remote::parse(server, ca_file).map_err(SetupError::Server)?;
        if !server.is_private() {
            return Err(SetupError::Plain(server));
        }
        if server.is_unix() {
            return Ok(Self {
                server,
                authorization: None,
            });
        }
        let file = token_file.ok_or(SetupError::NoToken)?;
        let secret = read_secret(file).map_err(SetupError::Token)?;
        let mut lines = secret.expose().lines().map(str::trim);
        let token = lines.find(|line| !line.is_empty()).unwrap_or_default();
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| SetupError::Malformed(file.display().to_string()))?;
        value.set_sensitive(true);
        Ok(Self {
            server,
            authorization: Some(value),
        })
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
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("the path is one that we made");
        if let Some(value) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        let answer = self.server.send(request, PATIENCE).await;
        let answer = answer.map_err(|error| match error {
            RemoteError::Away { .. } if self.server.is_unix() => {
                ClientError::NotRunning(self.server.clone())
            }
            error => ClientError::Remote(error),
        })?;
        if answer.status().is_success() {
            return Ok(serde_json::from_slice(answer.body())?);
        }
        let problem = serde_json::from_slice::<Problem>(answer.body());
        Err(match problem {
            Ok(problem) if problem.retry_after_seconds.is_some() => {
                ClientError::Later(problem.detail)
            }
            Ok(problem) if problem.status == StatusCode::BAD_REQUEST => {
                ClientError::Malformed(problem.detail)
            }
            Ok(problem) if problem.status == StatusCode::NOT_FOUND => {
                ClientError::Unknown(problem.detail)
            }
            Ok(problem) => ClientError::Refused(problem.detail),
            Err(_) => ClientError::Refused(answer.status().to_string()),
        })
    }
}
