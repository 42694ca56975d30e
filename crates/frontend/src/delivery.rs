//! How a blob reaches its client: through here, from a data endpoint, or from the store.
//!
//! Owns the policy, which goes by the client's network, and the places where clients are sent. Keeps
//! the invariants that a client is sent only for what it may read and what was present a moment
//! ago; that where it is sent is made of the settings and of what passed a grammar, never of its
//! request; and that no such place is logged. Leaves to the blob service whether a blob is worth
//! it.

mod config;
mod url;

use std::net::IpAddr;
use std::sync::Arc;

use http::header::HeaderValue;
use http::{HeaderMap, header};
use meridian_chassis::metrics::{Grid, Metrics};
use meridian_clients::link::{Links, PresignedUrl};
use meridian_clients::{Handover, RepositoryPath};
use meridian_clock::Clock;
use meridian_oci::Digest;

pub use config::{BlobsConfig, DeliveryFault, Rule, Way};
pub use url::{DataUrl, ParseDataUrlError};

/// What makes links.
#[derive(Clone)]
pub struct LinkMaker {
    /// By which keys.
    pub links: Links,
    /// From when on they are good.
    pub clock: Arc<dyn Clock>,
}

/// How blobs reach clients, as the settings say.
pub(crate) struct Delivering {
    config: BlobsConfig,
    maker: Option<LinkMaker>,
    /// By the way that the settings say, and the one that was taken.
    deliveries: Grid,
}

const WAYS: [&str; 3] = ["stream", "redirect", "presigned"];

// === impl Delivering ===

impl Delivering {
    /// Without a maker of links, none is made.
    pub(crate) fn new(config: BlobsConfig, maker: Option<LinkMaker>) -> Self {
        Self {
            config,
            maker,
            deliveries: Grid::new(["policy", "delivery"], &WAYS, &WAYS),
        }
    }

    pub(crate) fn register(&self, metrics: &Metrics) {
        let help = "Blobs that were asked for, by the way that the settings say and the one taken.";
        metrics.register("frontend_blob_deliveries", help, self.deliveries.family());
    }

    /// What the settings say for a client. One on a Unix socket is in no network.
    pub(crate) fn way(&self, client: Option<IpAddr>) -> Way {
        let is_for =
            |rule: &&Rule, client: &IpAddr| rule.networks.iter().any(|it| it.contains(client));
        let rule = client.and_then(|client| {
            let mut rules = self.config.rules.iter();
            rules.find(|rule| is_for(rule, &client))
        });
        rule.map_or(self.config.delivery, |rule| rule.delivery)
    }

    /// Where the client of a request may be sent, if anywhere.
    pub(crate) fn handover(&self, way: Way, headers: &HeaderMap) -> Handover {
        let by_link = self.place().is_some();
        let (by_link, presigned) = match way {
            Way::Stream => (false, None),
            Way::Redirect => (by_link, None),
            Way::Presigned if is_conditional(headers) => (by_link, None),
            Way::Presigned => (by_link, Some(self.config.link_lifetime)),
        };
        Handover {
            at_least: self.config.min_size.as_u64(),
            by_link,
            presigned,
        }
    }

    /// The link to a blob on a data endpoint; `None` if none is made here.
    pub(crate) fn link(&self, repository: &RepositoryPath, digest: &Digest) -> Option<HeaderValue> {
        let (url, maker) = self.place()?;
        let (now, lifetime) = (maker.clock.now_millis(), self.config.link_lifetime);
        let path = maker.links.make(repository, digest, now, lifetime);
        Some(place(format!("{url}{path}")))
    }

    pub(crate) fn count(&self, policy: Way, delivery: Way) {
        self.deliveries.at(policy as usize, delivery as usize).inc();
    }

    fn place(&self) -> Option<(&DataUrl, &LinkMaker)> {
        self.config.data_url.as_ref().zip(self.maker.as_ref())
    }
}

/// A URL of the store as a place to go to.
pub(crate) fn presigned(url: &PresignedUrl) -> HeaderValue {
    place(url.expose().to_owned())
}

/// A place to go to. It does not show where headers are logged.
fn place(url: String) -> HeaderValue {
    let mut place = HeaderValue::try_from(url).expect("a URL is visible ASCII");
    place.set_sensitive(true);
    place
}

/// Whether a store would have to compare entity tags, of which it has others than we have.
fn is_conditional(headers: &HeaderMap) -> bool {
    [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_RANGE]
        .iter()
        .any(|name| headers.contains_key(name))
}

#[cfg(test)]
mod tests {
    use meridian_clock::ManualClock;
    use meridian_oci::Algorithm;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn delivering(config: BlobsConfig, makes_links: bool) -> Delivering {
        let links = Links::new("eu".parse().unwrap(), KEY.parse().unwrap());
        let clock = Arc::new(ManualClock::at(1_000_000));
        let maker = LinkMaker { links, clock };
        Delivering::new(config, makes_links.then_some(maker))
    }

    fn rule(networks: &[&str], delivery: Way) -> Rule {
        let networks = networks.iter().map(|it| it.parse().unwrap());
        Rule {
            networks: networks.collect(),
            delivery,
        }
    }

    fn url() -> Option<DataUrl> {
        Some("https://blobs.example".parse().unwrap())
    }

    #[test]
    fn the_first_rule_that_a_client_is_in_decides() {
        let config = BlobsConfig {
            delivery: Way::Presigned,
            rules: vec![
                rule(&["10.1.0.0/16"], Way::Stream),
                rule(&["10.0.0.0/8", "2001:db8::/32"], Way::Redirect),
                rule(&["10.2.0.0/16"], Way::Presigned),
            ],
            ..BlobsConfig::default()
        };
        let delivering = delivering(config, true);
        for (client, way) in [
            (Some("10.1.2.3"), Way::Stream),
            (Some("10.2.2.3"), Way::Redirect),
            (Some("2001:db8::7"), Way::Redirect),
            (Some("192.0.2.1"), Way::Presigned),
            (Some("2001:db9::7"), Way::Presigned),
            (None, Way::Presigned),
        ] {
            let address = client.map(|it| it.parse().unwrap());
            assert_eq!(delivering.way(address), way, "{client:?}");
        }
    }

    #[test]
    fn a_client_is_sent_only_where_there_is_something() {
        let plain = HeaderMap::new();
        let lifetime = Some(BlobsConfig::default().link_lifetime);
        let sent = |by_link, presigned| Handover {
            at_least: 1024 * 1024,
            by_link,
            presigned,
        };
        for (data_url, makes_links, way, expected) in [
            (url(), true, Way::Stream, sent(false, None)),
            (url(), true, Way::Redirect, sent(true, None)),
            (url(), true, Way::Presigned, sent(true, lifetime)),
            (url(), false, Way::Redirect, sent(false, None)),
            (url(), false, Way::Presigned, sent(false, lifetime)),
            (None, true, Way::Redirect, sent(false, None)),
            (None, true, Way::Presigned, sent(false, lifetime)),
        ] {
            let config = BlobsConfig {
                data_url,
                ..BlobsConfig::default()
            };
            let delivering = delivering(config, makes_links);
            assert_eq!(delivering.handover(way, &plain), expected, "{way:?}");
        }
    }

    #[test]
    fn a_store_is_not_asked_to_compare_entity_tags_of_ours() {
        let config = BlobsConfig {
            data_url: url(),
            ..BlobsConfig::default()
        };
        let delivering = delivering(config, true);
        for name in ["if-match", "if-none-match", "if-range"] {
            let name = header::HeaderName::from_static(name);
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static("\"x\""))]);
            let handover = delivering.handover(Way::Presigned, &headers);
            assert_eq!((handover.by_link, handover.presigned), (true, None));
        }
    }

    #[test]
    fn a_link_leads_to_the_data_endpoint_and_does_not_show() {
        let config = BlobsConfig {
            data_url: url(),
            ..BlobsConfig::default()
        };
        let delivering = delivering(config, true);
        let repository = RepositoryPath {
            registry: "default".parse().unwrap(),
            name: "team/app".parse().unwrap(),
        };
        let digest = Digest::of(Algorithm::Sha256, b"a");
        let link = delivering.link(&repository, &digest).unwrap();
        let expected = format!(
            "https://blobs.example/blobs/default/team/app/{digest}?expires=1240&signature="
        );
        assert!(link.to_str().unwrap().starts_with(&expected), "{link:?}");
        assert_eq!(format!("{link:?}"), "Sensitive");
    }

    #[test]
    fn what_came_of_the_settings_is_counted() {
        let (delivering, metrics) = (delivering(BlobsConfig::default(), true), Metrics::default());
        delivering.register(&metrics);
        delivering.count(Way::Presigned, Way::Redirect);
        delivering.count(Way::Presigned, Way::Redirect);
        delivering.count(Way::Stream, Way::Stream);
        let text = metrics.text();
        for (policy, delivery, number) in [("presigned", "redirect", 2), ("stream", "stream", 1)] {
            let labels = format!("{{policy=\"{policy}\",delivery=\"{delivery}\"}}");
            let line = format!("meridian_frontend_blob_deliveries_total{labels} {number}");
            assert!(
                text.lines().any(|it| it == line),
                "`{line}` is not in:\n{text}"
            );
        }
    }
}
