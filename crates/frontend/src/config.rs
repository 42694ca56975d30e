//! The settings of a frontend.

use std::time::Duration;

use meridian_chassis::config::{self, Bounds, ByteSize};
use meridian_chassis::http::{HttpConfig, ListenAddress};
use meridian_chassis::tls::TlsConfig;
use meridian_oci::RegistryName;
use serde::{Deserialize, Serialize};

use crate::{BlobsConfig, Consistency, RatesConfig, SteeringConfig};

/// The settings of a frontend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<ListenAddress>,
    /// Allows plain HTTP on addresses that other machines can reach.
    pub allow_plain_http: bool,
    /// The registry that is served, whatever host a request is for.
    pub registry: RegistryName,
    /// The certificate of every TCP listener. Without one, they are plain HTTP.
    pub tls: Option<TlsConfig>,
    /// Whether the trace that a client names in its request is gone on with. Anybody can name one.
    pub trust_traces: bool,
    /// How old an answer may be that other regions may have changed.
    pub consistency: Consistency,
    /// What may be older than this is old.
    #[serde(with = "config::duration")]
    pub max_staleness: Duration,
    /// How long a read waits for the version that its client names.
    #[serde(with = "config::duration")]
    pub version_wait: Duration,
    /// How blobs reach clients.
    pub blobs: BlobsConfig,
    /// How many requests a client may make.
    pub rates: RatesConfig,
    /// How it is looked whether clients are to be sent to this region.
    pub steering: SteeringConfig,
    /// What clients may do with their connections.
    pub http: HttpConfig,
    /// What requests may cost.
    pub limits: LimitsConfig,
}

/// What requests may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Entries of a page of a list, 1 to 10 000; a greater `n` counts as this.
    pub page: usize,
    /// Bytes of manifests that were received and not yet answered, over all connections.
    pub manifests_buffered: ByteSize,
    /// Bytes of manifests that are being parsed and written, over all connections. Each takes a
    /// few times as much memory.
    pub manifests_parsed: ByteSize,
    /// A call of another service that moves no blob takes at most so long.
    #[serde(with = "config::duration")]
    pub deadline: Duration,
    /// Bringing what a manifest names from other regions, when it is put, takes at most so long.
    #[serde(with = "config::duration")]
    pub bring: Duration,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(([127, 0, 0, 1], 5000).into())],
            allow_plain_http: false,
            registry: "default".parse().expect("it follows the grammar"),
            tls: None,
            trust_traces: false,
            consistency: Consistency::default(),
            max_staleness: Duration::from_secs(2),
            version_wait: Duration::from_secs(5),
            blobs: BlobsConfig::default(),
            rates: RatesConfig::default(),
            steering: SteeringConfig::default(),
            http: HttpConfig::default(),
            limits: LimitsConfig::default(),
        }
    }
}

impl Config {
    /// Everything that is wrong with it, each in words that begin with the key. The files of the
    /// certificate are read for that.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut bounds = Bounds::default();
        let limits = &self.limits;
        bounds.number("limits.page", limits.page as u64, 1..=10_000);
        let sizes = ByteSize::mib(4)..=ByteSize::gib(64);
        bounds.size(
            "limits.manifests_buffered",
            limits.manifests_buffered,
            sizes.clone(),
        );
        bounds.size("limits.manifests_parsed", limits.manifests_parsed, sizes);
        let spans = Duration::from_millis(100)..=Duration::from_secs(3_600);
        bounds.span("limits.deadline", limits.deadline, spans.clone());
        bounds.span("limits.bring", limits.bring, spans.clone());
        bounds.span("max_staleness", self.max_staleness, spans);
        let waits = Duration::ZERO..=Duration::from_mins(1);
        bounds.span("version_wait", self.version_wait, waits);
        self.rates.judge(&mut bounds);
        self.steering.judge(&mut bounds);
        for fault in self.http.faults() {
            bounds.fault(format!("http.{fault}"));
        }
        if let Some(Err(error)) = self.tls.as_ref().map(TlsConfig::check) {
            bounds.fault(format!("tls: {}", meridian_error::chain(&error)));
        }
        bounds.faults()
    }
}

// === impl LimitsConfig ===

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            page: 1000,
            manifests_buffered: ByteSize::mib(256),
            manifests_parsed: ByteSize::mib(32),
            deadline: Duration::from_secs(30),
            bring: Duration::from_mins(5),
        }
    }
}
