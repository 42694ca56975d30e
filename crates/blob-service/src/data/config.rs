//! The settings of the data endpoint.

use std::time::Duration;

use meridian_chassis::config::{Secret, duration};
use meridian_chassis::http::{HttpConfig, ListenAddress};
use meridian_chassis::tls::TlsConfig;
use serde::{Deserialize, Serialize};

/// The settings of the data endpoint. The key counts for frontends as well, which make the links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Where clients reach it. Nowhere by default.
    pub listen: Vec<ListenAddress>,
    /// Allows plain HTTP on addresses that other machines can reach.
    pub allow_plain_http: bool,
    /// What signs links: [`LinkKeys`](meridian_clients::link::LinkKeys), the same in every frontend
    /// and blob service of a region. Given as `key_file`, as a rule.
    pub key: Secret,
    /// The certificate of every TCP listener. Without one, they are plain HTTP.
    pub tls: Option<TlsConfig>,
    /// What clients may do with their connections.
    pub http: HttpConfig,
    /// Finding a blob takes at most so long.
    #[serde(with = "duration")]
    pub deadline: Duration,
}

// === impl DataConfig ===

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            allow_plain_http: false,
            key: Secret::new(""),
            tls: None,
            http: HttpConfig::default(),
            deadline: Duration::from_secs(30),
        }
    }
}
