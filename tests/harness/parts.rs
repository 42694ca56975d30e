//! Where the real services are that tests stand on.

use std::path::PathBuf;

use rustix::process::Pid;
use serde::Deserialize;

use crate::Namespace;

/// What `cargo xtask parts` has started.
#[derive(Debug, Deserialize)]
pub struct Parts {
    /// Apache Kafka.
    pub kafka: Option<Kafka>,
    /// One more for each of two regions, in a network of its own.
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
    /// The same brokers, where they say that they are found at `doors`.
    pub far_brokers: Vec<String>,
    /// Where nobody listens, unless a test does.
    pub doors: Vec<String>,
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

    /// The network of a region's broker.
    pub fn namespace(&self) -> Namespace {
        Namespace::of(self.processes()[0])
    }
}
