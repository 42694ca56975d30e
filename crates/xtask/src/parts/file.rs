//! What tests read about the parts.
//!
//! ```toml
//! owner = 4711                        # the process that ends them
//!
//! [kafka]
//! brokers = ["127.0.0.1:40001"]       # without encryption or password
//! processes = [4712]                  # of the brokers, in the same order
//! secure_brokers = ["127.0.0.1:40002"]
//! far_brokers = ["127.0.0.1:40006"]   # the same as `brokers`, but they say that they are found at
//! doors = ["127.0.0.1:40007"]         # these, where nobody listens unless a test does
//! ca_file = "…/ca.pem"                # for `secure_brokers`: TLS, both sides with a certificate,
//! certificate_file = "…/client.pem"   # and SCRAM with a password
//! key_file = "…/client.key"
//! user = "meridian"
//! password_file = "…/password"
//! reader = "reader"                   # for `far_brokers` of `regions`: TLS, and SCRAM with a password
//! readers_password_file = "…/readers-password"    # of one who may read and do nothing else
//!
//! [other_kafka]                       # another cluster, of one broker: that of another region
//!
//! [[regions]]                         # one more of one broker, of each of three regions, in a network
//!                                     # of its own: that of its process
//!
//! [redis]
//! address = "127.0.0.1:40003"         # without encryption or password
//! secure_address = "127.0.0.1:40005"  # another one, with both, as of Kafka
//! ca_file = "…/ca.pem"
//! certificate_file = "…/client.pem"
//! key_file = "…/client.key"
//! user = "meridian"
//! password_file = "…/password"
//!
//! [s3]
//! endpoint = "http://127.0.0.1:40004"
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) owner: u32,
    pub(super) kafka: Option<Kafka>,
    pub(super) other_kafka: Option<Kafka>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) regions: Vec<Kafka>,
    pub(super) redis: Option<Redis>,
    pub(super) s3: Option<S3>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kafka {
    pub(super) brokers: Vec<String>,
    pub(super) processes: Vec<i32>,
    pub(super) secure_brokers: Vec<String>,
    pub(super) far_brokers: Vec<String>,
    pub(super) doors: Vec<String>,
    pub(super) ca_file: PathBuf,
    pub(super) certificate_file: PathBuf,
    pub(super) key_file: PathBuf,
    pub(super) user: String,
    pub(super) password_file: PathBuf,
    pub(super) reader: String,
    pub(super) readers_password_file: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Redis {
    pub(super) address: String,
    pub(super) secure_address: String,
    pub(super) ca_file: PathBuf,
    pub(super) certificate_file: PathBuf,
    pub(super) key_file: PathBuf,
    pub(super) user: String,
    pub(super) password_file: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct S3 {
    pub(super) endpoint: String,
}

// === impl Description ===

impl Description {
    /// Of parts that this process owns.
    pub(super) fn ours() -> Self {
        Self {
            owner: std::process::id(),
            kafka: None,
            other_kafka: None,
            regions: Vec::new(),
            redis: None,
            s3: None,
        }
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
    }

    /// Whole, or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let draft = path.with_extension("draft");
        fs::write(&draft, toml::to_string(self)?)?;
        fs::rename(&draft, path).with_context(|| format!("cannot create {}", path.display()))
    }
}
