//! How a region is made.

use std::path::PathBuf;

use crate::{MEMBERS, Namespace, Parts, S3Server};

/// How a region is made.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Whether members are told of no other regions, and so keep no events for them.
    pub forgets_others: bool,
    /// Whether there is one member, and not [`MEMBERS`].
    pub has_one_member: bool,
    /// Whether members have a network of their own.
    pub has_network: bool,
    /// The network that all processes are in, where it is not that of this machine. Clients find frontends
    /// all the same.
    pub namespace: Option<Namespace>,
    /// The brokers of Kafka, if events go there.
    pub brokers: Vec<String>,
    /// Settings of members.
    pub member: Vec<(String, String)>,
    /// Where the clock of each member is set, if it is.
    pub clocks: Option<PathBuf>,
    /// Blob services besides the first, which share a bucket and Redis with it.
    pub more_blobs: usize,
    /// Settings of blob services.
    pub blob: Vec<(String, String)>,
    /// Settings of frontends.
    pub front: Vec<(String, String)>,
    /// Settings of the agent.
    pub agent: Vec<(String, String)>,
    /// Settings of dispatchers of webhooks.
    pub dispatcher: Vec<(String, String)>,
}

// === impl Plan ===

impl Plan {
    /// One whose events go to the brokers that run.
    pub fn with_kafka() -> Self {
        let kafka = Parts::find().kafka.expect("Kafka is among the parts");
        Self::with_brokers(kafka.brokers)
    }

    /// One whose events go to these brokers.
    pub fn with_brokers(brokers: Vec<String>) -> Self {
        Self {
            brokers,
            ..Self::default()
        }
    }

    /// With its blobs in a bucket.
    #[must_use]
    pub fn with_bucket(mut self, bucket: &S3Server) -> Self {
        self.blob.extend(bucket.settings());
        self
    }

    /// With two blob services, either of which goes on with what the other began.
    #[must_use]
    pub fn with_redis(mut self, address: &str) -> Self {
        self.more_blobs = 1;
        // Redis outlives a region.
        let prefix = format!("{}-{:016x}:", std::process::id(), rand::random::<u64>());
        let settings = [
            ("MERIDIAN_CACHE__KIND", "redis"),
            ("MERIDIAN_CACHE__REDIS__ADDRESS", address),
            ("MERIDIAN_CACHE__REDIS__PREFIX", &prefix),
            (
                "MERIDIAN_BLOB__UPLOADS__KEY",
                "the same for all blob services of a region",
            ),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.blob.extend(settings);
        self
    }

    pub(super) const fn members(&self) -> usize {
        match self.has_one_member {
            true => 1,
            false => MEMBERS,
        }
    }

    /// Sets a setting of the members.
    pub fn set(&mut self, name: &str, value: &str) {
        self.member.push((name.to_owned(), value.to_owned()));
    }
}
