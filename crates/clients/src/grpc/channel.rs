//! How a service of ours is reached.
//!
//! Owns the settings of a connection and of the calls over it. A channel connects when it is first
//! used, and again after its peer was away. It is watched by pings, so that a peer that is gone
//! without a word fails calls within seconds, not at their deadline.

use std::time::Duration;

use bytesize::ByteSize;
use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};
use tonic::transport::{self, Endpoint};

use super::line::Channel;

/// Bytes of a body that may be under way unread, for each call within a region.
const STREAM_WINDOW: ByteSize = ByteSize::mib(1);

/// The same between regions: more than 80 ms of 1 Gbit/s, which are 10 MB.
const FAR_WINDOW: ByteSize = ByteSize::mib(16);

/// The same for all calls of a connection: many times more than one call's, because a client that
/// reads slowly fills its own window and then takes from this one, until nobody gets anything.
const CONNECTION_WINDOW: u32 = 256 * 1024 * 1024;

/// The greatest head of an answer. A refusal names every absent leaf of a manifest, and there may be
/// [`MAX_DESCRIPTORS`](meridian_oci::MAX_DESCRIPTORS) of them, each of 70 bytes before base64.
const MAX_HEADERS: u32 = 2 * 1024 * 1024;

/// Shorter is never, longer overflows somewhere.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// HTTP/2 begins with the former, and a connection has no more than the latter.
const NARROWEST: ByteSize = ByteSize::kib(64);
const WIDEST: ByteSize = ByteSize::mib(256);

/// How a service of ours is called. Check [`faults`](Self::faults) before use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// How long a connection may take to be made.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a call may take, repetitions included. The peer is told, and stops then. Should
    /// exceed the peer's own deadline, whose answer says more. Of calls that carry a body it
    /// governs what comes before the body only.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// How long the peer may leave a body where it is, and how long it may take to answer after the
    /// last byte.
    #[serde(with = "humantime_serde")]
    pub stall_timeout: Duration,
    /// How often a peer is asked whether it still lives.
    #[serde(with = "humantime_serde")]
    pub ping_every: Duration,
    /// How long it may take to say so; then its connection is given up, with all calls over it.
    #[serde(with = "humantime_serde")]
    pub ping_timeout: Duration,
    /// How many bytes of a body may be under way unread, for each call. No call is faster than this
    /// in a round trip.
    pub window: ByteSize,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrpcConfigError {
    /// A time is none that can be kept.
    #[error("{setting} is {value:?}; set it between {SHORTEST:?} and 1d")]
    Time {
        /// Of which setting.
        setting: &'static str,
        /// What it is.
        value: Duration,
    },
    /// The window is too narrow or too wide.
    #[error("window is {0}; set it between {NARROWEST} and {WIDEST}")]
    Window(ByteSize),
}

/// Why a text does not say where a service is.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is no endpoint.
    #[error(
        "`{0}` is not an endpoint; it reads `http://<host>:<port>` or `unix:/<path>`, or in a \
         process with an [identity] `https://<host>:<port>`"
    )]
    Malformed(String),
    /// It wants TLS, for which this process has no certificate.
    #[error(
        "`{0}` is called by processes with an identity; name a certificate in [identity], or write \
         `http://` if the service has none either"
    )]
    NoIdentity(String),
    /// It is plain, and this process does not speak plainly.
    #[error(
        "`{0}` would be called without the [identity] that this process has; write `https://`, or \
         `unix:` and a path"
    )]
    Plain(String),
}

/// What an endpoint says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Unix,
    Http,
    Https,
}

/// A channel to the service at `endpoint`, such as `http://127.0.0.1:7401` or
/// `unix:/run/meridian/metadata.sock`. Does no I/O yet.
///
/// # Errors
///
/// When `endpoint` says something else.
pub fn channel(endpoint: &str, config: &GrpcConfig) -> Result<Channel, EndpointError> {
    let (parsed, scheme) = parse(endpoint)?;
    if scheme == Scheme::Https {
        return Err(EndpointError::NoIdentity(endpoint.to_owned()));
    }
    Ok(configure(parsed, config).connect_lazy().into())
}

/// A channel of a process with an identity: to `https://<host>:<port>`, where `connect` makes the
/// connections, each of which is used for `age` at most; or over a Unix socket, which needs neither.
/// Does no I/O yet.
///
/// # Errors
///
/// When `endpoint` says something else.
pub fn secured(
    endpoint: &str,
    config: &GrpcConfig,
    age: Duration,
    connect: impl Fn(&Endpoint) -> transport::Channel + Send + Sync + 'static,
) -> Result<Channel, EndpointError> {
    let (parsed, scheme) = parse(endpoint)?;
    let configured = configure(parsed, config);
    match scheme {
        Scheme::Unix => Ok(configured.connect_lazy().into()),
        Scheme::Http => Err(EndpointError::Plain(endpoint.to_owned())),
        Scheme::Https => Ok(Channel::renewed(age, move || connect(&configured))),
    }
}

fn parse(endpoint: &str) -> Result<(Endpoint, Scheme), EndpointError> {
    let refused = || EndpointError::Malformed(endpoint.to_owned());
    let parsed = Endpoint::from_shared(endpoint.to_owned()).map_err(|_| refused())?;
    if let Some(path) = endpoint.strip_prefix("unix:") {
        let is_path = path.starts_with('/');
        return is_path
            .then_some((parsed, Scheme::Unix))
            .ok_or_else(refused);
    }
    let uri = parsed.uri();
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => return Err(refused()),
    };
    if uri.port().is_none() || uri.path() != "/" {
        return Err(refused());
    }
    Ok((parsed, scheme))
}

/// `endpoint` with the settings that [`channel`] gives it, for a transport of another kind.
#[must_use]
pub fn configure(endpoint: Endpoint, config: &GrpcConfig) -> Endpoint {
    endpoint
        .connect_timeout(config.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(config.ping_every)
        .keep_alive_timeout(config.ping_timeout)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(
            u32::try_from(config.window.as_u64()).unwrap_or(CONNECTION_WINDOW),
        )
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(MAX_HEADERS)
}

// === impl GrpcConfig ===

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            deadline: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(60),
            ping_every: Duration::from_secs(1),
            ping_timeout: Duration::from_secs(4),
            window: STREAM_WINDOW,
        }
    }
}

impl GrpcConfig {
    /// How a service of another region is called, from which every answer takes long.
    #[must_use]
    pub fn between_regions(&self) -> Self {
        Self {
            connect_timeout: self.connect_timeout.max(Duration::from_secs(5)),
            window: self.window.max(FAR_WINDOW),
            ..self.clone()
        }
    }

    /// Everything that is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<GrpcConfigError> {
        let settings = [
            ("connect_timeout", self.connect_timeout),
            ("deadline", self.deadline),
            ("stall_timeout", self.stall_timeout),
            ("ping_every", self.ping_every),
            ("ping_timeout", self.ping_timeout),
        ];
        let times = settings
            .into_iter()
            .filter(|(_, value)| !(SHORTEST..=LONGEST).contains(value))
            .map(|(setting, value)| GrpcConfigError::Time { setting, value });
        let window = (!(NARROWEST..=WIDEST).contains(&self.window))
            .then_some(GrpcConfigError::Window(self.window));
        times.chain(window).collect()
    }
}

// === impl GrpcConfigError ===

impl Classify for GrpcConfigError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

// === impl EndpointError ===

impl Classify for EndpointError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named() {
        let config = GrpcConfig::default();
        assert!(config.faults().is_empty());
        let config = GrpcConfig {
            deadline: Duration::MAX,
            ping_every: Duration::ZERO,
            window: ByteSize::kib(1),
            ..config
        };
        let faults: Vec<_> = config.faults().iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 3);
        assert!(faults[2].starts_with("window is 1"), "{}", faults[2]);
        assert!(GrpcConfig::default().between_regions().faults().is_empty());
        assert_eq!(faults[1], "ping_every is 0ns; set it between 10ms and 1d");
    }

    /// Whether each of two processes may call it: one without an identity, one with.
    async fn verdicts(endpoint: &str) -> [bool; 2] {
        let config = GrpcConfig::default();
        let age = Duration::from_secs(60);
        [
            channel(endpoint, &config).is_ok(),
            secured(endpoint, &config, age, Endpoint::connect_lazy).is_ok(),
        ]
    }

    #[tokio::test]
    async fn a_process_with_an_identity_calls_nobody_plainly_but_on_its_machine() {
        for (endpoint, allowed) in [
            ("http://127.0.0.1:7401", [true, false]),
            ("https://metadata:7401", [false, true]),
            ("https://metadata", [false, false]),
            ("https://metadata:7401/x", [false, false]),
            ("unix:/run/metadata.sock", [true, true]),
            ("unix:metadata.sock", [false, false]),
            ("metadata:7401", [false, false]),
        ] {
            assert_eq!(verdicts(endpoint).await, allowed, "{endpoint}");
        }
    }

    #[tokio::test]
    async fn an_endpoint_is_a_host_and_a_port() {
        let config = GrpcConfig::default();
        for good in [
            "http://127.0.0.1:7401",
            "http://[::1]:7401/",
            "http://blob.svc:1",
            "unix:/run/blob.sock",
        ] {
            assert!(channel(good, &config).is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:7401",
            "http://host",
            "https://host:1",
            "http://host:1/x",
            "unix:",
            "unix:blob.sock",
            "::",
        ] {
            let refused = channel(bad, &config).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{bad}");
        }
    }
}
