//! The settings of how many requests a client may make.

use std::time::Duration;

use meridian_chassis::config::{self, Bounds};
use serde::{Deserialize, Serialize};

/// How many requests a client may make, by what they are for. Without a rate, as many as it likes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RatesConfig {
    /// GET and HEAD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<Rate>,
    /// POST, PUT and PATCH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<Rate>,
    /// DELETE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletes: Option<Rate>,
}

/// So many requests in each window, which begins with the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many.
    pub requests: u64,
    /// In how long.
    #[serde(with = "config::duration")]
    pub per: Duration,
}

// === impl RatesConfig ===

impl RatesConfig {
    /// Adds everything that is wrong with it.
    pub(crate) fn judge(&self, bounds: &mut Bounds) {
        let rates = [
            ("reads", self.reads),
            ("writes", self.writes),
            ("deletes", self.deletes),
        ];
        for (name, rate) in rates {
            let Some(Rate { requests, per }) = rate else {
                continue;
            };
            bounds.number(
                &format!("rates.{name}.requests"),
                requests,
                1..=1_000_000_000,
            );
            let spans = Duration::from_secs(1)..=Duration::from_hours(24);
            bounds.span(&format!("rates.{name}.per"), per, spans);
        }
    }
}
