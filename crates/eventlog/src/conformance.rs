//! What every [`EventLog`] must do. Run it against each body.
//!
//! Owns the cases; each takes a topic of its own, so that one broker can serve them all. Leaves to a
//! [`Fixture`] how a body is opened and what it cannot promise.

mod appending;
mod concurrency;
mod keeping;
mod reading;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Appended, EventLog, ReadLimits, Record, StoredRecord, Topic};

/// Makes logs of one body.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Opens the log. After the log opened before was dropped, this opens it again.
    async fn open(&self) -> Arc<dyn EventLog>;

    /// Whether what was acknowledged outlives the value that acknowledged it.
    fn is_durable(&self) -> bool;

    /// How many bytes have to be appended to one shard until its oldest records are surely gone;
    /// `None` if that takes more than a test can wait for.
    fn retained_bytes(&self) -> Option<usize>;
}

/// Runs every case.
///
/// # Panics
///
/// When the body breaks its contract.
pub async fn run(fixture: &impl Fixture) {
    let log = fixture.open().await;
    topics::a_topic_is_created_once(&*log).await;
    topics::unknown_topics_and_shards_are_named(&*log).await;
    topics::topics_and_shards_are_apart(&*log).await;
    appending::order_is_kept_and_offsets_are_dense(&*log).await;
    appending::every_batch_has_its_own_outcome(&*log).await;
    appending::every_byte_is_kept(&*log).await;
    appending::what_cannot_be_kept_is_refused_whole(&*log).await;
    reading::an_empty_shard_has_no_head(&*log).await;
    reading::limits_are_kept_but_one_record_always_comes(&*log).await;
    reading::an_offset_beyond_the_end_is_out_of_range(&*log).await;
    reading::a_waiting_read_wakes_for_its_shard_only(&*log).await;
    concurrency::appenders_to_different_shards_do_not_mix(&log).await;
    concurrency::appenders_to_one_shard_keep_their_own_order(&log).await;
    concurrency::a_reader_follows_an_appender(&log).await;
    drop(log);
    if fixture.is_durable() {
        keeping::what_was_acknowledged_outlives_the_log(fixture).await;
    }
    if let Some(bytes) = fixture.retained_bytes() {
        keeping::retention_moves_the_low_watermark_only(fixture, bytes).await;
    }
}

/// Longer than any body needs for anything.
const PATIENCE: Duration = Duration::from_secs(60);

const NO_WAIT: ReadLimits = ReadLimits {
    records: usize::MAX,
    bytes: usize::MAX,
    wait: Duration::ZERO,
};

const WAIT: ReadLimits = ReadLimits {
    wait: PATIENCE,
    ..NO_WAIT
};

async fn topic(log: &dyn EventLog, case: &str, shards: u16) -> Topic {
    let topic: Topic = format!("conformance.{case}").parse().expect("a legal name");
    let created = log.create_topic(&topic, shards).await;
    created.expect("a topic can be created");
    topic
}

/// A record that can be told from others.
fn record(n: u64) -> Record {
    Record::new(format!("key-{n}"), format!("payload-{n}"))
}

/// The offset at which an untouched shard begins.
async fn start(log: &dyn EventLog, topic: &Topic, shard: u16) -> u64 {
    let bounds = log.bounds(topic, shard).await.expect("the shard exists");
    assert_eq!(bounds.low, bounds.high, "the shard is untouched");
    bounds.low
}

async fn append(log: &dyn EventLog, topic: &Topic, shard: u16, records: Vec<Record>) -> Appended {
    let appended = log.append(topic, shard, records).await;
    appended.expect("the append succeeds")
}

/// All that a shard holds from an offset on.
async fn read_all(log: &dyn EventLog, topic: &Topic, shard: u16, from: u64) -> Vec<StoredRecord> {
    let mut records: Vec<StoredRecord> = Vec::new();
    loop {
        let next = records.last().map_or(from, |last| last.offset + 1);
        let read = log.read(topic, shard, next, NO_WAIT).await;
        let read = read.expect("the offset is in range");
        if read.is_empty() {
            return records;
        }
        records.extend(read);
    }
}

/// What `records` become when they stand at `from` and after.
fn stored(records: impl IntoIterator<Item = Record>, from: u64) -> Vec<StoredRecord> {
    let stored = |(record, offset)| StoredRecord { offset, record };
    records.into_iter().zip(from..).map(stored).collect()
}

/// Bytes that do not compress and differ everywhere.
fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(next).collect()
}
