//! Where the real services are that tests stand on.

use std::path::{Path, PathBuf};

use rustix::process::Pid;
use serde::Deserialize;

use crate::Namespace;

/// What `cargo xtask parts` has started.
#[derive(Debug, Deserialize)]
pub struct Parts {
    /// Apache Kafka.
    pub kafka: Option<Kafka>,
    /// One more for each of three regions, in a network of its own.
    #[serde(default)]
    pub regions: Vec<Kafka>,
    /// Redis.
    pub redis: Option<Redis>,
}

/// The brokers.
#[derive(Debug, Deserialize)]
pub struct Kafka {
    /// `host:port`, without encryption or password.
    pub brokers: Vec<String>,
    /// The same brokers, where they say that they are found at `doors`. Those of regions speak TLS there, and
    /// want a password.
    pub far_brokers: Vec<String>,
    /// Where nobody listens, unless a test does.
    pub doors: Vec<String>,
    /// A file with the authority of the brokers' certificates.
    pub ca_file: PathBuf,
    /// Who may read topics of regions from afar, and do nothing else.
    pub reader: String,
    /// A file with their password.
    pub readers_password_file: PathBuf,
    processes: Vec<i32>,
}

/// The server that is open to everybody.
#[derive(Debug, Deserialize)]
pub struct Redis {
    /// `host:port`, without encryption or password.
    pub address: String,
}

// === impl Parts ===

impl Parts {
    /// Those that run.
    ///
    /// # Panics
    ///
    /// When nobody has said where they are.
    pub fn find() -> Self {
        let path = std::env::var_os("XTASK_PARTS").map(PathBuf::from);
        let path = path.expect("XTASK_PARTS names what `cargo xtask parts up` has written");
        let text = std::fs::read_to_string(path).unwrap();
        toml::from_str(&text).unwrap()
    }
}

// === impl Kafka ===

impl Kafka {
    /// The processes of the brokers, in the same order.
    pub fn processes(&self) -> Vec<Pid> {
        let pids = self.processes.iter();
        pids.map(|pid| Pid::from_raw(*pid).unwrap()).collect()
    }

    /// Settings, below `events` of a region, of those who read from another one what a region's brokers keep.
    pub fn from_afar(&self) -> Vec<(&'static str, String)> {
        let file = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            ("KIND", "kafka".to_owned()),
            ("KAFKA__SINGLE_BROKER", "true".to_owned()),
            ("KAFKA__BROKERS", format!("{:?}", self.doors)),
            ("KAFKA__TLS__CA_FILE", file(&self.ca_file)),
            ("KAFKA__SASL__USER", self.reader.clone()),
            (
                "KAFKA__SASL__PASSWORD_FILE",
                file(&self.readers_password_file),
            ),
        ]
    }

    /// The network of a region's broker.
    pub fn namespace(&self) -> Namespace {
        Namespace::of(self.processes()[0])
    }
}
