//! The settings of the Redis body.
//!
//! Owns their defaults and bounds; each fault says what to change. Leaves reading them, and the file of
//! the password, to whoever starts the process.

use std::path::PathBuf;
use std::time::Duration;

use meridian_secret::Secret;
use serde::{Deserialize, Serialize};

use super::tls;

const LEAST_TIMEOUT: Duration = Duration::from_millis(10);
const MOST_TIMEOUT: Duration = Duration::from_secs(10);
const MOST_IN_FLIGHT: usize = 10_000;
const MOST_PREFIX: usize = 64;

/// Where Redis is, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// Where it listens: `host:port`.
    pub address: String,
    /// Who we are to it; without a name, its default user.
    pub user: String,
    /// The user's password, if it has one.
    pub password: Secret,
    /// The number of the database.
    pub database: u16,
    /// What all keys begin with; another one for each region that shares a database.
    pub prefix: String,
    /// Encrypts the connection. Without it the connection is plain.
    pub tls: Option<RedisTls>,
    /// How long a call may take, and how long it may wait for its turn.
    #[serde(with = "humantime_serde")]
    pub call_timeout: Duration,
    /// How long a connection may take, with everything that comes before the first call.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How many calls may be under way; others wait for their turn.
    pub in_flight: usize,
}

/// How the connection is encrypted. The certificate of Redis is always verified, and names the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisTls {
    /// PEM file of the authorities that sign the certificate of Redis, if not the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate, where Redis asks for one.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
}

/// Why settings of the Redis body are refused. Each begins with the name of the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisConfigFault {
    /// Nowhere to connect.
    #[error("address: missing; it is host:port")]
    NoAddress,
    /// Not an address.
    #[error("address: `{0}` is no good; it is host:port, and a URL is not")]
    Address(String),
    /// Redis would take the name without a password, or refuse it.
    #[error("password: missing for user `{0}`; name a file that holds it with password_file")]
    NoPassword(String),
    /// Keys would not be told from those of others.
    #[error(
        "prefix: `{0}` is no good; use up to {MOST_PREFIX} letters, digits and `-_.:/`, such as \
         `meridian-eu:`"
    )]
    Prefix(String),
    /// Too short to be kept, or too long to be waited for by every request.
    #[error(
        "{setting}: {value:?} is no good; set it between {LEAST_TIMEOUT:?} and {MOST_TIMEOUT:?}"
    )]
    Timeout {
        /// The setting.
        setting: &'static str,
        /// What it says.
        value: Duration,
    },
    /// No call could be made, or there would be no bound.
    #[error("in_flight: {0} is no good; set it to 1 to {MOST_IN_FLIGHT}")]
    InFlight(usize),
    /// One is useless without the other.
    #[error("tls: certificate_file and key_file go together; name both or neither")]
    HalfCertificate,
    /// A file that is named cannot be used.
    #[error("{setting}: {problem}")]
    File {
        /// The setting.
        setting: &'static str,
        /// What is wrong with the file.
        problem: String,
    },
}

// === impl RedisConfig ===

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            address: String::new(),
            user: String::new(),
            password: Secret::default(),
            database: 0,
            prefix: "meridian:".to_owned(),
            tls: None,
            call_timeout: Duration::from_millis(250),
            connect_timeout: Duration::from_millis(500),
            in_flight: 128,
        }
    }
}

impl RedisConfig {
    /// Everything that is wrong with it, and with the files that it names. Redis is not asked.
    #[must_use]
    pub fn faults(&self) -> Vec<RedisConfigFault> {
        let mut faults = Vec::new();
        if self.address.is_empty() {
            faults.push(RedisConfigFault::NoAddress);
        } else if !is_address(&self.address) {
            faults.push(RedisConfigFault::Address(self.address.clone()));
        }
        if !self.user.is_empty() && self.password.is_empty() {
            faults.push(RedisConfigFault::NoPassword(self.user.clone()));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        if self.prefix.len() > MOST_PREFIX || !self.prefix.bytes().all(plain) {
            faults.push(RedisConfigFault::Prefix(self.prefix.clone()));
        }
        for (setting, value) in [
            ("call_timeout", self.call_timeout),
            ("connect_timeout", self.connect_timeout),
        ] {
            if !(LEAST_TIMEOUT..=MOST_TIMEOUT).contains(&value) {
                faults.push(RedisConfigFault::Timeout { setting, value });
            }
        }
        if !(1..=MOST_IN_FLIGHT).contains(&self.in_flight) {
            faults.push(RedisConfigFault::InFlight(self.in_flight));
        }
        if let Some(tls) = &self.tls {
            if tls.certificate_file.is_some() != tls.key_file.is_some() {
                faults.push(RedisConfigFault::HalfCertificate);
            }
            faults.extend(tls::faults(tls));
        }
        faults
    }
}

/// The host of an address.
pub(super) fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.unwrap_or(host)
}

fn is_address(address: &str) -> bool {
    let strange = |host: &str| host.is_empty() || host.contains([',', '/', '@', ' ']);
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| !strange(host) && port.parse::<u16>().is_ok_and(|it| it > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> RedisConfig {
        RedisConfig {
            address: "redis:6379".to_owned(),
            ..RedisConfig::default()
        }
    }

    fn words(config: &RedisConfig) -> Vec<String> {
        config.faults().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_address_is_all_that_has_to_be_named() {
        assert_eq!(sound().faults(), []);
        let faults = RedisConfig::default().faults();
        assert_eq!(faults, [RedisConfigFault::NoAddress]);
        for address in [
            "redis",
            "redis:",
            "redis:0",
            "redis://redis:6379",
            "a,b:1",
            "me@redis:1",
        ] {
            let config = RedisConfig {
                address: address.to_owned(),
                ..sound()
            };
            let faults = config.faults();
            assert_eq!(faults, [RedisConfigFault::Address(address.to_owned())]);
        }
        for (address, named) in [("redis:6379", "redis"), ("[::1]:6379", "::1")] {
            assert!(is_address(address), "{address}");
            assert_eq!(host(address), named);
        }
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let config = RedisConfig {
            address: "redis".to_owned(),
            user: "meridian".to_owned(),
            prefix: "two words".to_owned(),
            call_timeout: Duration::ZERO,
            connect_timeout: Duration::from_mins(1),
            in_flight: 0,
            tls: Some(RedisTls {
                ca_file: Some("/nowhere/ca.pem".into()),
                key_file: Some("/nowhere/key.pem".into()),
                ..RedisTls::default()
            }),
            ..RedisConfig::default()
        };
        let faults = words(&config);
        let settings: Vec<_> = faults
            .iter()
            .map(|fault| fault.split(':').next().unwrap())
            .collect();
        assert_eq!(
            settings,
            [
                "address",
                "password",
                "prefix",
                "call_timeout",
                "connect_timeout",
                "in_flight",
                "tls",
                "tls.ca_file",
                "tls.key_file",
            ],
            "{faults:#?}"
        );
    }

    #[test]
    fn settings_are_read_and_the_password_does_not_show() {
        let text = r#"
            address = "redis:6379"
            user = "meridian"
            password = "hunter2"
            database = 3
            call_timeout = "100ms"
            [tls]
            ca_file = "/etc/ca.pem"
        "#;
        let config: RedisConfig = toml::from_str(text).unwrap();
        assert_eq!(config.call_timeout, Duration::from_millis(100));
        assert_eq!(config.password.expose(), "hunter2");
        let shown = format!("{config:?} {}", toml::to_string(&config).unwrap());
        assert!(
            !shown.contains("hunter2") && shown.contains("***"),
            "{shown}"
        );
        for text in ["adress = \"a:1\"", "[tls]\nverify = false"] {
            assert!(toml::from_str::<RedisConfig>(text).is_err(), "{text}");
        }
    }
}
