//! What one append carries, and which part of it is fit to be appended.
//!
//! Owns the limits that every body enforces alike, before anything is written. Leaves to the bodies
//! what becomes of the batches that pass.

use crate::{AppendError, Record, Topic};

/// The largest total [`size`](Record::size) of the records of one append.
pub const MAX_APPEND_BYTES: usize = 16 << 20;

/// Records for one shard, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardBatch {
    /// Which shard.
    pub shard: u16,
    /// At least one.
    pub records: Vec<Record>,
}

/// Where a batch now stands. Its records are in order from `first` to `last`; records of another
/// appender to the same shard may lie between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the first record.
    pub first: u64,
    /// The offset of the last record.
    pub last: u64,
}

/// The batches of one append, each judged: the fit ones go on, the others keep their error.
pub(crate) struct Admission {
    /// What is to be appended, in the order given.
    pub(crate) accepted: Vec<ShardBatch>,
    verdicts: Vec<Result<(), AppendError>>,
}

// === impl ShardBatch ===

impl ShardBatch {
    /// The total size of the records.
    #[must_use]
    pub fn size(&self) -> usize {
        self.records.iter().map(Record::size).sum()
    }
}

// === impl Admission ===

impl Admission {
    /// Judges each batch of an append to a topic with that many shards.
    pub(crate) fn judge(topic: &Topic, shards: u16, batches: Vec<ShardBatch>) -> Self {
        let total = batches.iter().map(ShardBatch::size).sum();
        let mut accepted: Vec<ShardBatch> = Vec::with_capacity(batches.len());
        let mut verdicts = Vec::with_capacity(batches.len());
        for batch in batches {
            let verdict = if total > MAX_APPEND_BYTES {
                Err(AppendError::BatchTooLarge { size: total })
            } else if accepted.iter().any(|other| other.shard == batch.shard) {
                Err(AppendError::RepeatedShard(batch.shard))
            } else {
                judge(topic, shards, &batch)
            };
            if verdict.is_ok() {
                accepted.push(batch);
            }
            verdicts.push(verdict);
        }
        Self { accepted, verdicts }
    }

    /// Every batch refused for the same reason.
    pub(crate) fn refuse(batches: &[ShardBatch], error: &AppendError) -> Vec<Outcome> {
        batches.iter().map(|_| Err(error.clone())).collect()
    }

    /// The answers in the order of the batches, given those of the accepted ones.
    pub(crate) fn settle(
        verdicts: Vec<Result<(), AppendError>>,
        outcome: Result<Vec<Appended>, AppendError>,
    ) -> Vec<Outcome> {
        let mut appended = outcome.map(Vec::into_iter);
        let mut next = || match &mut appended {
            Ok(appended) => Ok(appended.next().expect("one answer for each accepted batch")),
            Err(error) => Err(error.clone()),
        };
        let settle = |verdict: Result<(), AppendError>| verdict.and_then(|()| next());
        verdicts.into_iter().map(settle).collect()
    }

    /// The accepted batches, and what [`settle`](Self::settle) needs afterwards.
    pub(crate) fn into_parts(self) -> (Vec<ShardBatch>, Vec<Result<(), AppendError>>) {
        (self.accepted, self.verdicts)
    }
}

type Outcome = Result<Appended, AppendError>;

fn judge(topic: &Topic, shards: u16, batch: &ShardBatch) -> Result<(), AppendError> {
    if batch.shard >= shards {
        return Err(AppendError::UnknownShard {
            topic: topic.clone(),
            shard: batch.shard,
        });
    }
    if batch.records.is_empty() {
        return Err(AppendError::Empty);
    }
    let largest = batch.records.iter().map(Record::size).max().unwrap_or(0);
    if largest > Record::MAX_BYTES {
        return Err(AppendError::RecordTooLarge { size: largest });
    }
    Ok(())
}
