//! Calling a receiver.
//!
//! Keeps these invariants: nothing is connected to that the guard did not admit, by the address itself; no redirect
//! is followed; no proxy of the environment is used; an answer costs no more memory than it may, and no more time.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use meridian_chassis::tls::{TlsError, Trust};
use meridian_delivery::{Blocked, Egress, Outcome, Request, RetryAfter};
use meridian_error::{Classify, Code};
use meridian_event::webhook::ServiceUri;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, redirect};
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use crate::Config;
use crate::history::Attempted;

/// How long the rest of an answer is waited for, once it is known what it says.
const REST: Duration = Duration::from_secs(2);
/// How many names are looked up at once.
const LOOKUPS: usize = 64;

/// Whoever calls. Cheap to clone; clones share connections.
#[derive(Clone)]
pub(crate) struct Caller {
    egress: Arc<Egress>,
    /// For receivers that are called by https, and for those that are not.
    encrypted: Client,
    plain: Client,
    timeout: Duration,
    answer_bytes: usize,
}

/// Why calls cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The authorities cannot be used.
    #[error("webhooks.ca_file")]
    Authorities(#[from] TlsError),
    /// The library refuses the settings.
    #[error("cannot set up the client")]
    Client(#[source] reqwest::Error),
}

/// Resolves names to addresses that may be called.
struct Guarded {
    egress: Arc<Egress>,
    is_encrypted: bool,
    /// A lookup takes a thread, and keeps it however long a server of names is silent.
    lookups: Arc<Semaphore>,
    /// For how long one of them is waited for.
    patience: Duration,
}

/// Names are looked up for others, and none of them is charged with that.
#[derive(Debug, thiserror::Error)]
#[error("too many names are looked up at once")]
struct LookupsTaken;

// === impl Caller ===

impl Caller {
    pub(crate) fn new(config: &Config, agent: &str) -> Result<Self, CallError> {
        Self::with(config, agent, LOOKUPS)
    }

    fn with(config: &Config, agent: &str, lookups: usize) -> Result<Self, CallError> {
        let egress = Arc::new(Egress::new(config.egress.clone()));
        let lookups = Arc::new(Semaphore::new(lookups));
        let tls = tls(config.ca_file.as_deref())?;
        let client = |is_encrypted| {
            let resolver = Guarded {
                egress: Arc::clone(&egress),
                is_encrypted,
                lookups: Arc::clone(&lookups),
                // So that it is said before the connection has taken too long.
                patience: config.connect_timeout / 2,
            };
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Arc::new(resolver))
                .redirect(redirect::Policy::none())
                .no_proxy()
                .connect_timeout(config.connect_timeout)
                .pool_idle_timeout(Duration::from_secs(30))
                .pool_max_idle_per_host(2)
                .user_agent(agent)
                .build()
                .map_err(CallError::Client)
        };
        Ok(Self {
            encrypted: client(true)?,
            plain: client(false)?,
            egress,
            timeout: config.timeout,
            answer_bytes: usize::try_from(config.answer_bytes.as_u64()).unwrap_or(usize::MAX),
        })
    }

    /// Whether a receiver may be called, as far as its URI says.
    pub(crate) fn check(&self, uri: &ServiceUri) -> Result<(), Blocked> {
        self.egress.check_uri(uri)
    }

    /// Calls a receiver, and says what to make of the answer.
    pub(crate) async fn call(&self, uri: &ServiceUri, request: Request) -> (Outcome, Attempted) {
        if let Err(blocked) = self.check(uri) {
            return (Outcome::Failed, Attempted::Failed(blocked.to_string()));
        }
        let client = match uri.is_encrypted() {
            true => &self.encrypted,
            false => &self.plain,
        };
        let deadline = Instant::now() + self.timeout;
        let sent = client
            .post(uri.expose())
            .headers(headers(request.headers))
            .body(request.body)
            .send();
        let answer = match timeout_at(deadline, sent).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let outcome = match error.is_timeout() {
                    _ if has_cause::<LookupsTaken>(&error) => Outcome::Unsent,
                    true => Outcome::TimedOut,
                    false => Outcome::Failed,
                };
                // The URI may be a secret.
                return (outcome, Attempted::Failed(why(&error.without_url())));
            }
            Err(_elapsed) => {
                let why = format!("it did not answer within {:?}", self.timeout);
                return (Outcome::TimedOut, Attempted::Failed(why));
            }
        };
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| RetryAfter::parse(value.to_str().ok()?));
        let headers = shown(answer.headers(), self.answer_bytes);
        let rest = deadline.min(Instant::now() + REST);
        let body = self.beginning(answer, rest).await;
        let outcome = Outcome::Answered {
            status,
            retry_after,
        };
        let attempted = Attempted::Answered {
            status,
            headers,
            body,
        };
        (outcome, attempted)
    }

    /// As much of a body as is read. What its status says stands, whatever becomes of the rest.
    async fn beginning(&self, answer: reqwest::Response, until: Instant) -> String {
        let mut pieces = answer.bytes_stream();
        let mut body = Vec::new();
        while body.len() < self.answer_bytes
            && let Ok(Some(Ok(piece))) = timeout_at(until, pieces.next()).await
        {
            let left = self.answer_bytes - body.len();
            body.extend_from_slice(&piece[..piece.len().min(left)]);
        }
        String::from_utf8_lossy(&body).into_owned()
    }
}

fn headers(pairs: Vec<(String, String)>) -> HeaderMap {
    let pairs = pairs.into_iter().filter_map(|(name, value)| {
        let name: HeaderName = name.parse().ok()?;
        let mut value: HeaderValue = value.parse().ok()?;
        value.set_sensitive(true);
        Some((name, value))
    });
    pairs.collect()
}

/// Headers, as far as there is room for them.
fn shown(headers: &HeaderMap, mut room: usize) -> Vec<(String, String)> {
    let pairs = headers.iter().map_while(|(name, value)| {
        room = room.checked_sub(name.as_str().len() + value.len())?;
        let value = String::from_utf8_lossy(value.as_bytes());
        Some((name.as_str().to_owned(), value.into_owned()))
    });
    pairs.collect()
}

/// The causes of a failure, for whoever owns the receiver.
fn why(error: &reqwest::Error) -> String {
    match cause::<Blocked>(error) {
        Some(blocked) => blocked.to_string(),
        None => meridian_error::chain(error),
    }
}

fn has_cause<E: Error + 'static>(error: &reqwest::Error) -> bool {
    cause::<E>(error).is_some()
}

/// A certain cause of a failure.
fn cause<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut trust = Trust::of_machine();
    if let Some(file) = ca_file {
        trust = trust.and(Trust::of_file(file)?);
    }
    if trust.is_empty() {
        tracing::warn!(
            "this machine trusts no authority, so that no receiver is called by https: install its CA certificates, or set webhooks.ca_file"
        );
    }
    trust.client(&["h2", "http/1.1"])
}

// === impl Guarded ===

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (egress, is_encrypted) = (Arc::clone(&self.egress), self.is_encrypted);
        let (lookups, patience) = (Arc::clone(&self.lookups), self.patience);
        Box::pin(async move {
            let permit = timeout(patience, lookups.acquire_owned()).await;
            let permit = permit.map_err(|_elapsed| LookupsTaken)??;
            let found = spawn_blocking(move || {
                let _permit = permit;
                let found = (name.as_str(), 0).to_socket_addrs();
                found.map(Vec::from_iter)
            });
            let found = found.await??;
            let mut blocked = None;
            let mut admitted = Vec::<SocketAddr>::new();
            for address in found {
                match egress.check(address.ip(), is_encrypted) {
                    Ok(()) => admitted.push(address),
                    Err(why) => blocked = Some(why),
                }
            }
            match (admitted.is_empty(), blocked) {
                (false, _) => Ok(Box::new(admitted.into_iter()) as Addrs),
                (true, Some(why)) => Err(why.into()),
                (true, None) => {
                    let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                    Err(error.into())
                }
            }
        })
    }
}

impl Classify for CallError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Request {
        Request {
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    #[tokio::test]
    async fn no_receiver_is_charged_with_names_that_others_look_up() {
        let config = Config {
            connect_timeout: Duration::from_millis(200),
            ..Config::default()
        };
        let uri = "https://receiver.example/".parse().unwrap();
        let caller = Caller::with(&config, "Meridian", 0).unwrap();
        let (outcome, attempted) = caller.call(&uri, asked()).await;
        assert_eq!(outcome, Outcome::Unsent);
        let Attempted::Failed(why) = attempted else {
            panic!("nobody is there to answer");
        };
        assert!(why.contains("too many names"), "{why}");
    }
}
