//! The settings of how blobs reach clients.
//!
//! Owns their defaults and bounds; each is told with what to change. Leaves the key of links, which
//! the data endpoint needs as well, to its section.

use std::time::Duration;

use ipnet::IpNet;
use meridian_chassis::config::{self, ByteSize};
use meridian_clients::link::MAX_LIFETIME;
use serde::{Deserialize, Serialize};

use super::DataUrl;

/// A link that lives shorter would often have expired when its client follows it.
const LEAST_LIFETIME: Duration = Duration::from_secs(10);

/// How blobs reach clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlobsConfig {
    /// How they reach a client that no rule is for.
    pub delivery: Way,
    /// Blobs of fewer bytes are streamed in any case: another request would cost more.
    pub min_size: ByteSize,
    /// How long a link, or a URL of the store, is good for.
    #[serde(with = "config::duration")]
    pub link_lifetime: Duration,
    /// Where clients find the data endpoints of the region's blob services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_url: Option<DataUrl>,
    /// Rules for the networks of clients, of which the first that fits decides.
    pub rules: Vec<Rule>,
}

/// How a blob reaches a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Through the frontend.
    #[default]
    Stream,
    /// From a data endpoint of the blob service, where the client is sent.
    Redirect,
    /// From the store, by a URL that it signs; where it cannot, from a data endpoint.
    Presigned,
}

/// How blobs reach the clients of some networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Of which.
    pub networks: Vec<IpNet>,
    /// How.
    pub delivery: Way,
}

/// Why settings of deliveries are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryFault {
    /// Links would expire too soon, or live too long.
    #[error(
        "link_lifetime is {0:?}; set it to at least {LEAST_LIFETIME:?} and at most {MAX_LIFETIME:?}"
    )]
    Lifetime(Duration),
    /// A rule is for nobody.
    #[error("rules[{0}].networks: empty; name the networks that the rule is for")]
    NoNetworks(usize),
    /// Nobody can be sent to a data endpoint.
    #[error(
        "data_url: missing; name the URL where clients find the data endpoints, such as \
         \"https://blobs.eu.example\", or set `delivery` to \"stream\""
    )]
    NoUrl,
    /// Other machines could read along.
    #[error(
        "data_url would send clients to plain HTTP on another machine; use https, or set \
         frontend.allow_plain_http = true"
    )]
    Plain,
}

// === impl BlobsConfig ===

impl BlobsConfig {
    /// Everything that is wrong with it. Plain HTTP is `allowed` where the frontend may speak it.
    #[must_use]
    pub fn faults(&self, allowed: bool) -> Vec<DeliveryFault> {
        let mut faults = Vec::new();
        if !(LEAST_LIFETIME..=MAX_LIFETIME).contains(&self.link_lifetime) {
            faults.push(DeliveryFault::Lifetime(self.link_lifetime));
        }
        let rules = self.rules.iter().enumerate();
        let empty = rules.filter(|(_, rule)| rule.networks.is_empty());
        faults.extend(empty.map(|(place, _)| DeliveryFault::NoNetworks(place)));
        match &self.data_url {
            None if self.uses(Way::Redirect) => faults.push(DeliveryFault::NoUrl),
            Some(url) if !(url.stays_secret() || allowed) => {
                faults.push(DeliveryFault::Plain);
            }
            _ => {}
        }
        faults
    }

    /// Whether any client's blobs go that way.
    #[must_use]
    pub fn uses(&self, way: Way) -> bool {
        self.delivery == way || self.rules.iter().any(|rule| rule.delivery == way)
    }

    /// Whether any client may be sent to a data endpoint.
    #[must_use]
    pub fn links(&self) -> bool {
        self.uses(Way::Redirect) || (self.uses(Way::Presigned) && self.data_url.is_some())
    }
}

impl Default for BlobsConfig {
    fn default() -> Self {
        Self {
            delivery: Way::Stream,
            min_size: ByteSize::mib(1),
            link_lifetime: Duration::from_secs(240),
            data_url: None,
            rules: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut BlobsConfig)) -> BlobsConfig {
        let mut config = BlobsConfig::default();
        change(&mut config);
        config
    }

    #[test]
    fn defaults_stream_and_lack_nothing() {
        let config = BlobsConfig::default();
        assert_eq!(config.faults(false), []);
        assert!(!config.links() && config.uses(Way::Stream));
    }

    #[test]
    fn every_fault_is_reported_at_once_with_what_to_change() {
        let config = with(|config| {
            config.link_lifetime = Duration::from_secs(300);
            config.rules = vec![Rule {
                networks: Vec::new(),
                delivery: Way::Redirect,
            }];
        });
        assert_eq!(
            config.faults(false),
            [
                DeliveryFault::Lifetime(Duration::from_secs(300)),
                DeliveryFault::NoNetworks(0),
                DeliveryFault::NoUrl,
            ]
        );
        assert_eq!(
            DeliveryFault::Lifetime(Duration::ZERO).to_string(),
            "link_lifetime is 0ns; set it to at least 10s and at most 240s"
        );
    }

    #[test]
    fn clients_are_sent_to_plain_http_on_this_machine_only_unless_it_is_allowed() {
        for (url, refused) in [
            ("https://blobs.example", false),
            ("http://127.0.0.1:5443", false),
            ("http://[::1]:5443", false),
            ("http://localhost:5443", false),
            ("http://blobs.example", true),
            ("http://192.0.2.1:5443", true),
            ("http://localhost.example", true),
        ] {
            let config = with(|config| config.data_url = Some(url.parse().unwrap()));
            assert_eq!(config.faults(false).len(), usize::from(refused), "{url}");
            assert_eq!(config.faults(true), []);
        }
    }

    #[test]
    fn presigned_needs_no_data_endpoint() {
        let config = with(|config| config.delivery = Way::Presigned);
        assert_eq!(config.faults(false), []);
        assert!(!config.links());
        let config = with(|config| {
            config.delivery = Way::Presigned;
            config.data_url = Some("https://blobs.example".parse().unwrap());
        });
        assert!(config.links());
    }
}
