//! Where the management API is served besides the data directory, and to whom.
//!
//! Keeps the invariant that no token travels in the clear by accident, and that nobody asks without
//! one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use meridian_chassis::config;
use meridian_chassis::http::{HttpConfig, ListenAddress, check_plain};
use meridian_chassis::tls::TlsConfig;
use meridian_chassis::token::Tokens;
use meridian_error::chain;
use serde::{Deserialize, Serialize};

use super::checks::CheckConfig;
use crate::exit::Exit;

const NO_TOKENS: &str = "management.token_file: missing; whoever reaches management.listen could \
                         change everything: put a token into a file of mode 0600, as with \
                         `openssl rand -hex 32`, and name the file";

/// Settings of the management API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ManagementConfig {
    /// Where it is served besides `admin.sock` in the data directory. Empty, the default: nowhere.
    pub(crate) listen: Vec<ListenAddress>,
    /// The tokens of operators, one on each line, in a file that only its owner may read.
    pub(crate) token_file: Option<PathBuf>,
    /// How often that file is looked at.
    #[serde(with = "config::duration")]
    pub(crate) reload_every: Duration,
    /// The certificate of every TCP listener. Without one they are plain HTTP.
    pub(crate) tls: Option<TlsConfig>,
    /// Allows plain HTTP on addresses that other machines can reach.
    pub(crate) allow_plain_http: bool,
    /// What clients may do with their connections.
    pub(crate) http: HttpConfig,
    /// The check of the region from end to end.
    pub(crate) check: CheckConfig,
}

// === impl ManagementConfig ===

impl Default for ManagementConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            token_file: None,
            reload_every: Duration::from_secs(10),
            tls: None,
            allow_plain_http: false,
            http: HttpConfig {
                max_connections: 256,
                max_connections_per_address: 64,
                ..HttpConfig::default()
            },
            check: CheckConfig::default(),
        }
    }
}

impl ManagementConfig {
    /// Everything that is wrong with it, in words that begin with its keys.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.addresses().next().is_some() {
            let readable = match &self.tls {
                Some(tls) => tls.check().err().map(|error| {
                    let error = chain(&error);
                    format!("management.tls: {error}")
                }),
                None => check_plain("management", self.addresses(), self.allow_plain_http)
                    .err()
                    .map(|error| format!("management.listen: {error}")),
            };
            lines.extend(readable);
        }
        if self.token_file.is_none() && self.addresses().next().is_some() {
            lines.push(NO_TOKENS.to_owned());
        }
        lines.extend(self.load_tokens().err());
        lines.extend(self.check.faults());
        lines
    }

    /// The tokens that open what listens on TCP, if anything does.
    pub(crate) fn tokens(&self) -> Result<Option<Tokens>, Exit> {
        self.load_tokens().map_err(Exit::misconfigured)
    }

    fn load_tokens(&self) -> Result<Option<Tokens>, String> {
        let file = self.token_file.as_deref();
        let Some(file) = file.filter(|_| self.addresses().next().is_some()) else {
            return Ok(None);
        };
        let tokens = Tokens::load(file, self.reload_every);
        let wrong = |error| format!("management.token_file: {}", chain(&error));
        tokens.map(Some).map_err(wrong)
    }

    /// Where it is served by TCP.
    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listen.iter().filter_map(ListenAddress::tcp)
    }
}
