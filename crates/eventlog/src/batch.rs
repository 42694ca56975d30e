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

/// What becomes of a batch.
pub(crate) type Outcome = Result<Appended, AppendError>;

/// Which batches of an append were fit, in the order given.
pub(crate) struct Verdicts(Vec<Result<(), AppendError>>);

// === impl ShardBatch ===

impl ShardBatch {
    /// The total size of the records.
    #[must_use]
    pub fn size(&self) -> usize {
        self.records.iter().map(Record::size).sum()
    }
}

// === impl Verdicts ===

impl Verdicts {
    /// Judges each batch of an append to a topic with that many shards. Gives back the fit ones.
    pub(crate) fn judge(
        topic: &Topic,
        shards: u16,
        batches: Vec<ShardBatch>,
    ) -> (Self, Vec<ShardBatch>) {
        let total = batches.iter().map(ShardBatch::size).sum();
        let mut fit: Vec<ShardBatch> = Vec::with_capacity(batches.len());
        let mut verdicts = Vec::with_capacity(batches.len());
        for batch in batches {
            let verdict = if total > MAX_APPEND_BYTES {
                Err(AppendError::BatchTooLarge { size: total })
            } else if fit.iter().any(|other| other.shard == batch.shard) {
                Err(AppendError::RepeatedShard(batch.shard))
            } else {
                judge(topic, shards, &batch)
            };
            if verdict.is_ok() {
                fit.push(batch);
            }
            verdicts.push(verdict);
        }
        (Self(verdicts), fit)
    }

    /// The outcomes of all batches, given what became of the fit ones together.
    pub(crate) fn settle(self, fit: Result<Vec<Appended>, AppendError>) -> Vec<Outcome> {
        let mut fit = fit.map(Vec::into_iter);
        self.settle_by(|| match &mut fit {
            Ok(places) => Ok(places.next().expect("one place for each fit batch")),
            Err(error) => Err(error.clone()),
        })
    }

    /// The same, given what became of each.
    #[cfg(feature = "kafka")]
    pub(crate) fn settle_each(self, fit: Vec<Outcome>) -> Vec<Outcome> {
        let mut fit = fit.into_iter();
        self.settle_by(|| fit.next().expect("one outcome for each fit batch"))
    }

    fn settle_by(self, mut next: impl FnMut() -> Outcome) -> Vec<Outcome> {
        let settle = |verdict: Result<(), AppendError>| verdict.and_then(|()| next());
        self.0.into_iter().map(settle).collect()
    }
}

/// Every batch refused for the same reason.
pub(crate) fn refuse(batches: &[ShardBatch], error: &AppendError) -> Vec<Outcome> {
    batches.iter().map(|_| Err(error.clone())).collect()
}

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
    let headers = batch.records.iter().flat_map(|record| &record.headers);
    if headers.into_iter().any(|(name, _)| name.contains('\0')) {
        return Err(AppendError::HeaderName);
    }
    Ok(())
}
