//! Looking for a place in a shard.

use std::ops::Range;
use std::time::Duration;

use crate::{EventLog, ReadError, ReadLimits, StoredRecord, Topic};

/// How many records in a row that say nothing are looked past.
const LOOKED_PAST: usize = 16;

/// Where to read from: the offset of the last record of a shard of which `is_passed` says yes, or the oldest that is
/// left. It says so of all records up to some, of none behind those, and nothing of records that it cannot read.
///
/// # Errors
///
/// When the log cannot be read.
pub async fn seek(
    log: &dyn EventLog,
    topic: &Topic,
    shard: u16,
    is_passed: impl Fn(&StoredRecord) -> Option<bool>,
) -> Result<u64, ReadError> {
    let bounds = log.bounds(topic, shard).await?;
    let (mut low, mut high) = (bounds.low, bounds.high);
    // Whatever stands before `low` is passed, or is gone; `high` is not passed.
    while low < high {
        let middle = low + (high - low) / 2;
        match judge(log, topic, shard, middle..high, &is_passed).await? {
            Some(true) => low = middle + 1,
            // What cannot be read, and nothing passed stands behind, has to be met.
            _ => high = middle,
        }
    }
    // The last that is passed is read again: it may stand there twice.
    Ok(low.saturating_sub(1).max(bounds.low))
}

/// Whether the first of these records is passed that can be read.
async fn judge(
    log: &dyn EventLog,
    topic: &Topic,
    shard: u16,
    among: Range<u64>,
    is_passed: &impl Fn(&StoredRecord) -> Option<bool>,
) -> Result<Option<bool>, ReadError> {
    let limits = ReadLimits {
        records: 1,
        bytes: 1,
        wait: Duration::ZERO,
    };
    for offset in among.take(LOOKED_PAST) {
        let records = log.read(topic, shard, offset, limits).await?;
        let judged = records.first().and_then(is_passed);
        if judged.is_some() {
            return Ok(judged);
        }
    }
    Ok(None)
}
