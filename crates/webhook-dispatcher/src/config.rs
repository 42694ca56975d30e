//! The settings of the service.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use meridian_delivery as engine;
use meridian_event::webhook::WebhookLimits;
use serde::{Deserialize, Serialize};

/// Settings of the webhook dispatcher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The keys that seal what only receivers may know, in the directory of the process unless the path is
    /// absolute: one on each line, in 64 hexadecimal digits, of which the first seals. All regions need the same.
    pub key_file: PathBuf,
    /// How often the file is looked at for a renewal.
    #[serde(with = "humantime_serde")]
    pub reload_every: Duration,
    /// The name, and perhaps the port, by which clients know the registry: in messages the host of images. Where it
    /// is empty, that is where the frontend of the process listens; a process without one needs it.
    pub host: String,
    /// How long a connection may take.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a receiver may take to answer, the connection included.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How much of an answer is read.
    pub answer_bytes: ByteSize,
    /// Certificates of authorities in PEM that receivers' certificates may come from, besides those that the
    /// machine trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// How many requests to each webhook are remembered.
    pub history: usize,
    /// How long a secret that was replaced signs on, besides the new one.
    #[serde(with = "humantime_serde")]
    pub rotation: Duration,
    /// Which addresses may be called that are not public.
    pub egress: engine::EgressConfig,
    /// How much a registry may have of it.
    pub limits: WebhookLimits,
    /// When it is tried again, and how much is under way at once.
    pub delivery: engine::Config,
}

/// How many bytes all webhooks may have, sealed and in headers: those who ask for them read no more than 16 MiB.
const ALL: usize = 14 << 20;

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            key_file: PathBuf::from("webhooks.keys"),
            reload_every: Duration::from_secs(30),
            host: String::new(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            answer_bytes: ByteSize::kib(16),
            ca_file: None,
            history: 100,
            rotation: Duration::from_secs(24 * 60 * 60),
            egress: engine::EgressConfig::default(),
            limits: WebhookLimits::default(),
            delivery: engine::Config::default(),
        }
    }
}

impl Config {
    /// Everything that is wrong with it, each in words that begin with the key.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = match self.delivery.check() {
            Ok(()) => Vec::new(),
            Err(engine::ConfigFault(lines)) => {
                let lines = lines.into_iter();
                lines.map(|line| format!("delivery.{line}")).collect()
            }
        };
        for (key, value) in [
            ("connect_timeout", self.connect_timeout),
            ("timeout", self.timeout),
        ] {
            if value.is_zero() || value > Duration::from_secs(300) {
                faults.push(format!("{key} is {value:?}; set it to 1ms up to 5m"));
            }
        }
        if self.answer_bytes > ByteSize::mib(1) {
            faults.push(
                "answer_bytes is more than 1 MiB; 16 KiB are enough to see what is wrong"
                    .to_owned(),
            );
        }
        if self.history > 10_000 {
            faults.push("history is more than 10000; it is kept in memory".to_owned());
        }
        for (key, value, most) in [
            ("limits.webhooks", self.limits.webhooks, 1_000),
            ("limits.header_bytes", self.limits.header_bytes, 16 << 10),
        ] {
            if value > most {
                let line = format!(
                    "{key} is {value}; all webhooks are read at once, so that it may be {most} at most"
                );
                faults.push(line);
            }
        }
        // What the answer has of each besides: its URI, its secrets, its definition and the seal.
        let each = self.limits.header_bytes.saturating_add(3 << 10);
        let all = self.limits.webhooks.saturating_mul(2).saturating_mul(each);
        if all > ALL {
            let line = format!(
                "limits.webhooks and limits.header_bytes are {} and {}; all webhooks are read at once, in {} MiB at most, so that one of them has to be less",
                self.limits.webhooks,
                self.limits.header_bytes,
                ALL >> 20,
            );
            faults.push(line);
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_webhooks_fit_into_an_answer() {
        let faults = |webhooks, header_bytes| {
            let limits = WebhookLimits {
                webhooks,
                header_bytes,
                ..WebhookLimits::default()
            };
            let config = Config {
                limits,
                ..Config::default()
            };
            config.faults()
        };
        assert_eq!(Config::default().faults(), [""; 0]);
        assert_eq!(faults(1_000, 4 << 10), [""; 0]);
        let [fault] = &faults(1_000, 8 << 10)[..] else {
            panic!("it is not one fault");
        };
        assert!(fault.contains("14 MiB"), "{fault}");
        assert_eq!(faults(usize::MAX, usize::MAX).len(), 3);
    }
}
