//! Settings of the metadata service.

use std::path::PathBuf;
use std::time::Duration;

use meridian_catalog::Settings;
use meridian_chassis::config::{Bounds, ByteSize};
use meridian_chassis::http::ListenAddress;
use meridian_clock::Region;
use serde::{Deserialize, Serialize};

/// Settings of the metadata service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the log and the state lie. Set from the settings of the process.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// The name of the region. Set from the settings of the process.
    #[serde(skip, default = "local")]
    pub region: Region,
    /// The other regions. Set from the settings of the process.
    #[serde(skip)]
    pub peers: Vec<Region>,
    /// Where the other services reach this one, if it is a process of its own.
    pub listen: Vec<ListenAddress>,
    /// Allows plain gRPC on addresses that other machines can reach.
    pub allow_plain_grpc: bool,
    /// How long a write or a read may take before it is given up.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// How many writes may be under way at once; more wait, and past the deadline they fail.
    pub concurrent_writes: usize,
    /// How long a group of many concurrent writes may wait for more to share its sync. Where few
    /// write, none waits.
    #[serde(with = "humantime_serde")]
    pub group_commit_linger: Duration,
    /// How long events may wait for more to be published together. Without it, as long as pays with
    /// the event log that is chosen.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub publish_linger: Option<Duration>,
    /// How long news of what this region has merged and completed are gathered before other regions are
    /// told. What they tell of images that are everywhere, and events and tombstones that are kept for
    /// them, wait for it. Every sixtieth time all of it is told.
    #[serde(with = "humantime_serde")]
    pub heartbeat_interval: Duration,
    /// After how many entries a snapshot lets the log before it go. So many stay in the log, too,
    /// for members that lag a little.
    pub snapshot_entries: u64,
    /// After how many bytes of log, if that comes first. Half of them stay.
    pub snapshot_bytes: ByteSize,
    /// What pushes leave free on the disk, for deletions, garbage collection and the log's own
    /// upkeep; at most a twentieth of it. Where blobs lie on the same disk, less than
    /// `blob.uploads.min_free`.
    pub min_free: ByteSize,
    /// How long blobs are kept that no manifest needs, and what else decides in the state.
    pub retention: Retention,
    /// The group of several members that this one belongs to.
    pub group: GroupConfig,
    /// How many events may wait for the event log.
    pub outbox: OutboxConfig,
}

/// Events that wait to be published, because the event log does not take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboxConfig {
    /// With so many an alarm is raised.
    pub alarm: u64,
    /// With so many, pushes and deletions are refused with 503 until the event log takes events
    /// again. None is ever dropped.
    pub limit: u64,
}

/// A group of several members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupConfig {
    /// Where the other members reach this one: `https://<host>:<port>`. Without it, this member is
    /// a group of its own.
    pub advertise: Option<String>,
    /// The members that found the group, this one included, as each of them advertises itself. As
    /// soon as all are there, and none belongs to a group, they do. Without it, the group is founded
    /// with `meridian cluster init`.
    pub founders: Vec<String>,
    /// Lets a leader answer reads on its lease, without asking the others. Saves a round trip, and
    /// trusts that no machine stands still for longer than the lease and then goes on.
    pub lease_reads: bool,
}

/// How long what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// How long an uploaded blob is kept before a manifest needs it.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How long a blob is kept after the last manifest that needed it went.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// How long the outcome of a request is remembered for a retry.
    #[serde(with = "humantime_serde")]
    pub requests: Duration,
    /// How many of them at most.
    pub request_count: u64,
}

fn local() -> Region {
    "local".parse().expect("`local` is a valid name")
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("metadata"),
            region: local(),
            peers: Vec::new(),
            listen: vec![ListenAddress::Tcp(([127, 0, 0, 1], 7401).into())],
            allow_plain_grpc: false,
            deadline: Duration::from_secs(10),
            concurrent_writes: 4_096,
            group_commit_linger: Duration::from_millis(3),
            publish_linger: None,
            heartbeat_interval: Duration::from_secs(1),
            snapshot_entries: 20_000,
            snapshot_bytes: ByteSize::mib(256),
            min_free: ByteSize::mib(256),
            retention: Retention::default(),
            group: GroupConfig::default(),
            outbox: OutboxConfig::default(),
        }
    }
}

impl Config {
    /// Everything that is wrong with it, each in words that begin with the key.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut bounds = Bounds::default();
        let [millis, second, minute] = [1, 1_000, 60_000].map(Duration::from_millis);
        bounds.span("deadline", self.deadline, millis * 100..=minute * 10);
        bounds.number(
            "concurrent_writes",
            self.concurrent_writes as u64,
            1..=65_536,
        );
        bounds.span(
            "group_commit_linger",
            self.group_commit_linger,
            Duration::ZERO..=second,
        );
        let linger = self.publish_linger.unwrap_or_default();
        bounds.span("publish_linger", linger, Duration::ZERO..=minute);
        bounds.span(
            "heartbeat_interval",
            self.heartbeat_interval,
            millis * 10..=minute * 10,
        );
        bounds.number("snapshot_entries", self.snapshot_entries, 10..=10_000_000);
        let sizes = ByteSize::mib(1)..=ByteSize::gib(64);
        bounds.size("snapshot_bytes", self.snapshot_bytes, sizes);
        let OutboxConfig { alarm, limit } = self.outbox;
        bounds.number("outbox.alarm", alarm, 1..=limit.max(1));
        bounds.number("outbox.limit", limit, 1..=100_000_000);
        let Retention {
            lease,
            grace,
            requests,
            request_count,
        } = self.retention;
        let longest = minute * 60 * 24 * 3_650;
        bounds.span("retention.lease", lease, Duration::ZERO..=longest);
        bounds.span("retention.grace", grace, Duration::ZERO..=longest);
        bounds.span("retention.requests", requests, second..=longest);
        bounds.number("retention.request_count", request_count, 1..=100_000_000);
        bounds.faults()
    }
}

// === impl OutboxConfig ===

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            alarm: 100_000,
            limit: 1_000_000,
        }
    }
}

// === impl Retention ===

impl Default for Retention {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(7 * 24 * 3600),
            grace: Duration::from_secs(24 * 3600),
            requests: Duration::from_secs(600),
            request_count: 100_000,
        }
    }
}

impl From<Retention> for Settings {
    fn from(retention: Retention) -> Self {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            lease_millis: millis(retention.lease),
            grace_millis: millis(retention.grace),
            request_millis: millis(retention.requests),
            request_count: retention.request_count,
        }
    }
}
