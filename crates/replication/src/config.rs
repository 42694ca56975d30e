//! The settings of the engine: what is remembered, what is waited for, what is under way at once.
//!
//! Owns the defaults and the bounds. Each limit is one of memory, of time, or of what a peer is
//! asked for at once; together they bound what an agent holds, whatever others send.

mod bounds;

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::BackoffConfig;
use bounds::Bounds;

/// Settings of the replication engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How events are taken in and merged.
    pub stream: StreamConfig,
    /// How bodies are fetched.
    pub fetch: FetchConfig,
    /// How what the state is missing is found again.
    pub backfill: BackfillConfig,
    /// How old an answer may be.
    pub freshness: FreshnessConfig,
}

/// How the events of one shard of one region are taken in and merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamConfig {
    /// How many events beyond the cursor are held, in each stream.
    pub window_events: usize,
    /// How many bytes of them, as they came. One event may exceed it.
    pub window_bytes: ByteSize,
    /// How many events are proposed together at most.
    pub batch_events: usize,
    /// How many bytes of them. One event may exceed it.
    pub batch_bytes: ByteSize,
    /// How long events that could be merged wait for the bodies of their manifests, so that both go
    /// into one entry. Zero is legal: merging needs no body.
    #[serde(with = "humantime_serde")]
    pub body_wait: Duration,
    /// How long a gap may stay open for a late duplicate, before the origin is asked.
    #[serde(with = "humantime_serde")]
    pub gap_grace: Duration,
    /// How long the event log may deliver nothing of what the origin says it has, before the origin
    /// is asked. Longer than publishing takes.
    #[serde(with = "humantime_serde")]
    pub tail_grace: Duration,
    /// How many events are asked of the origin at once.
    pub refill_events: usize,
    /// How many bytes of them are taken at once.
    pub refill_bytes: ByteSize,
    /// How far the version of an event may be ahead of our clock. The same in every region.
    #[serde(with = "humantime_serde")]
    pub max_ahead: Duration,
    /// How long to wait after a proposal, a refill or a resync that failed.
    pub backoff: BackoffConfig,
}

/// How bodies are fetched from peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FetchConfig {
    /// How many bodies may be wanted at once, beyond those that clients wait for. What does not fit
    /// is found again in the state.
    pub wants: usize,
    /// How many bodies clients may wait for at once.
    pub demands: usize,
    /// How many bytes of manifests may lie in memory until their events are merged.
    pub stage_bytes: ByteSize,
    /// How many transfers run from one peer at once.
    pub transfers: usize,
    /// How many of them for what no client waits for.
    pub background_transfers: usize,
    /// How many of them for one registry, of either sort.
    pub registry_transfers: usize,
    /// How many bytes one transfer carries. Larger bodies are cut into ranges of this size, smaller ones into as
    /// many as may be under way, as long as those have a MiB.
    pub range_bytes: ByteSize,
    /// How many ranges of one body are under way at once.
    pub ranges: usize,
    /// Up to this size, bodies travel together.
    pub small_bytes: ByteSize,
    /// How many of them at most.
    pub bundle: usize,
    /// By how many bytes a registry's turn lasts, when several have something to fetch.
    pub turn_bytes: ByteSize,
    /// How many bytes per second are asked of one peer; no limit unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<ByteSize>,
    /// How long a transfer may deliver nothing.
    #[serde(with = "humantime_serde")]
    pub stall: Duration,
    /// The same, for what a client waits for, where another region has it as well.
    #[serde(with = "humantime_serde")]
    pub demand_stall: Duration,
    /// After how many failures in a row a peer is left alone for a while.
    pub breaker_failures: u32,
    /// How long a peer is left alone, and a body that broke off without a byte.
    pub backoff: BackoffConfig,
    /// How many bodies are asked after in one question, of the state or of a peer.
    pub question: usize,
    /// After how long a body that nobody has is looked for again.
    #[serde(with = "humantime_serde")]
    pub missing_again: Duration,
    /// How often, at most, the state is asked whether what a registry wants is still wanted, after
    /// something was deleted there.
    #[serde(with = "humantime_serde")]
    pub recheck: Duration,
    /// Whether blobs are fetched when they arrive at the origin, before any manifest names them.
    pub fetch_blobs_early: bool,
    /// How long such a blob is fetched although nothing needs it yet.
    #[serde(with = "humantime_serde")]
    pub early_grace: Duration,
}

/// How the bodies that the state is missing are found again: after a restart, and when more were
/// wanted than could be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackfillConfig {
    /// How many are read at once.
    pub page: usize,
    /// How long to wait between two searches of the whole state.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// The same, when something did not fit.
    #[serde(with = "humantime_serde")]
    pub soon: Duration,
}

/// How old an answer may be, and how long a peer may take to say that it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FreshnessConfig {
    /// How often each peer is asked how far its streams have come.
    #[serde(with = "humantime_serde")]
    pub ask_every: Duration,
    /// How long a read waits for a peer; and after which a peer that does not answer is taken to be
    /// away.
    #[serde(with = "humantime_serde")]
    pub budget: Duration,
    /// How many answers of a peer wait until our cursors have reached them.
    pub answers: usize,
}

// === impl Config ===

impl Config {
    /// Everything that is wrong with it, each in words that begin with the key.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut bounds = Bounds::default();
        self.stream.check(&mut bounds);
        self.fetch.check(&mut bounds);
        self.backfill.check(&mut bounds);
        self.freshness.check(&mut bounds);
        bounds.faults()
    }
}

// === impl StreamConfig ===

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            window_events: 4_096,
            window_bytes: ByteSize::mib(4),
            batch_events: 512,
            batch_bytes: ByteSize::mib(1),
            body_wait: Duration::from_millis(50),
            gap_grace: Duration::from_secs(2),
            tail_grace: Duration::from_secs(5),
            refill_events: 1_000,
            refill_bytes: ByteSize::mib(2),
            max_ahead: Duration::from_secs(60),
            backoff: BackoffConfig {
                first: Duration::from_millis(100),
                most: Duration::from_secs(10),
            },
        }
    }
}

impl StreamConfig {
    fn check(&self, bounds: &mut Bounds) {
        let minute = Duration::from_secs(60);
        bounds.number("stream.window_events", self.window_events, 1..=1 << 20);
        bounds.size("stream.window_bytes", self.window_bytes, 1 << 10..=1 << 30);
        bounds.number(
            "stream.batch_events",
            self.batch_events,
            1..=self.window_events,
        );
        bounds.size("stream.batch_bytes", self.batch_bytes, 1 << 10..=1 << 26);
        bounds.span("stream.body_wait", self.body_wait, Duration::ZERO..=minute);
        bounds.span("stream.gap_grace", self.gap_grace, Duration::ZERO..=minute);
        bounds.span(
            "stream.tail_grace",
            self.tail_grace,
            Duration::ZERO..=10 * minute,
        );
        bounds.number("stream.refill_events", self.refill_events, 1..=1 << 16);
        bounds.size("stream.refill_bytes", self.refill_bytes, 1 << 10..=1 << 26);
        bounds.span(
            "stream.max_ahead",
            self.max_ahead,
            Duration::from_secs(1)..=60 * minute,
        );
        bounds.backoff("stream.backoff", &self.backoff);
    }
}

// === impl FetchConfig ===

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            wants: 32_768,
            demands: 4_096,
            stage_bytes: ByteSize::mib(32),
            transfers: 16,
            background_transfers: 14,
            registry_transfers: 10,
            range_bytes: ByteSize::mib(8),
            ranges: 8,
            small_bytes: ByteSize::kib(64),
            bundle: 64,
            turn_bytes: ByteSize::mib(1),
            budget: None,
            stall: Duration::from_secs(10),
            demand_stall: Duration::from_secs(2),
            breaker_failures: 3,
            backoff: BackoffConfig::default(),
            question: 256,
            missing_again: Duration::from_secs(60),
            recheck: Duration::from_secs(1),
            fetch_blobs_early: true,
            early_grace: Duration::from_secs(60),
        }
    }
}

impl FetchConfig {
    fn check(&self, bounds: &mut Bounds) {
        let [tick, hour] = [Duration::from_millis(10), Duration::from_secs(3_600)];
        bounds.number("fetch.wants", self.wants, 16..=1 << 22);
        bounds.number("fetch.demands", self.demands, 1..=1 << 20);
        bounds.size("fetch.stage_bytes", self.stage_bytes, 4 << 20..=4 << 30);
        bounds.number("fetch.transfers", self.transfers, 1..=256);
        bounds.number(
            "fetch.background_transfers",
            self.background_transfers,
            1..=self.transfers,
        );
        bounds.number(
            "fetch.registry_transfers",
            self.registry_transfers,
            1..=self.transfers,
        );
        bounds.size("fetch.range_bytes", self.range_bytes, 4 << 10..=1 << 30);
        bounds.number("fetch.ranges", self.ranges, 1..=self.transfers);
        bounds.size("fetch.small_bytes", self.small_bytes, 0..=1 << 20);
        bounds.number("fetch.bundle", self.bundle, 1..=1_024);
        bounds.size("fetch.turn_bytes", self.turn_bytes, 1 << 10..=1 << 30);
        if let Some(budget) = self.budget {
            bounds.size("fetch.budget", budget, 10 << 10..=1 << 40);
        }
        bounds.span("fetch.stall", self.stall, tick..=hour);
        bounds.span("fetch.demand_stall", self.demand_stall, tick..=self.stall);
        bounds.number(
            "fetch.breaker_failures",
            self.breaker_failures as usize,
            1..=1_000,
        );
        bounds.backoff("fetch.backoff", &self.backoff);
        bounds.number("fetch.question", self.question, 1..=10_000);
        bounds.span("fetch.missing_again", self.missing_again, tick..=24 * hour);
        bounds.span("fetch.recheck", self.recheck, tick..=hour);
        bounds.span("fetch.early_grace", self.early_grace, Duration::ZERO..=hour);
    }
}

// === impl BackfillConfig ===

impl Default for BackfillConfig {
    fn default() -> Self {
        Self {
            page: 1_000,
            every: Duration::from_secs(300),
            soon: Duration::from_secs(1),
        }
    }
}

impl BackfillConfig {
    fn check(&self, bounds: &mut Bounds) {
        let [tick, day] = [Duration::from_millis(10), Duration::from_secs(86_400)];
        bounds.number("backfill.page", self.page, 1..=10_000);
        bounds.span("backfill.every", self.every, tick..=day);
        bounds.span("backfill.soon", self.soon, tick..=self.every);
    }
}

// === impl FreshnessConfig ===

impl Default for FreshnessConfig {
    fn default() -> Self {
        Self {
            ask_every: Duration::from_millis(500),
            budget: Duration::from_millis(500),
            answers: 16,
        }
    }
}

impl FreshnessConfig {
    fn check(&self, bounds: &mut Bounds) {
        let [tick, minute] = [Duration::from_millis(10), Duration::from_secs(60)];
        bounds.span("freshness.ask_every", self.ask_every, tick..=minute);
        bounds.span("freshness.budget", self.budget, tick..=minute);
        bounds.number("freshness.answers", self.answers, 2..=1_024);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(Config::default().faults(), Vec::<String>::new());
    }

    #[test]
    fn each_fault_names_its_key_and_says_what_to_do() {
        let mut config = Config::default();
        config.stream.batch_events = config.stream.window_events + 1;
        config.fetch.transfers = 4;
        config.freshness.budget = Duration::ZERO;
        let faults = config.faults();
        for (fault, key) in faults.iter().zip([
            "stream.batch_events is 4097; set it between 1 and 4096",
            "fetch.background_transfers is 14; set it between 1 and 4",
            "fetch.registry_transfers is 10; set it between 1 and 4",
            "fetch.ranges is 8; set it between 1 and 4",
            "freshness.budget is 0s; set it between 10ms and 1m",
        ]) {
            assert_eq!(fault, key);
        }
        assert_eq!(faults.len(), 5);
    }
}
