//! What a metadata leader does with the log, and what may then stand there.

use meridian_eventlog::{EventLog, ReadLimits, Record, ShardBatch, Topic};

const NO_WAIT: ReadLimits = ReadLimits {
    records: usize::MAX,
    bytes: usize::MAX,
    wait: std::time::Duration::ZERO,
};

/// Numbered records in order, each again until it is acknowledged.
pub(crate) struct Publisher<'a> {
    log: &'a dyn EventLog,
    topic: &'a Topic,
    shard: u16,
    /// The first number that is not acknowledged.
    pub(crate) next: u64,
    pub(crate) failures: usize,
}

// === impl Publisher ===

impl<'a> Publisher<'a> {
    pub(crate) fn new(log: &'a dyn EventLog, topic: &'a Topic, shard: u16) -> Self {
        Self {
            log,
            topic,
            shard,
            next: 0,
            failures: 0,
        }
    }

    /// Tries to append the next records once. Whether they were acknowledged.
    pub(crate) async fn try_append(&mut self, count: u64) -> bool {
        let batch = batch(self.shard, self.next..self.next + count);
        let appended = self.log.append_many(self.topic, vec![batch]).await;
        let is_acknowledged = appended[0].is_ok();
        if is_acknowledged {
            self.next += count;
        } else {
            self.failures += 1;
        }
        is_acknowledged
    }

    /// Appends records by `each` until those below `end` are acknowledged.
    pub(crate) async fn append_until(&mut self, end: u64, each: u64) {
        while self.next < end {
            self.try_append(each.min(end - self.next)).await;
            assert!(self.failures < 1_000, "nothing comes through");
        }
    }

    /// Checks what stands in the log: every acknowledged record, and in order, but that the log may
    /// go back to what was not acknowledged and say it again from there on.
    pub(crate) async fn check(&self) {
        let numbers = read(self.log, self.topic, self.shard).await;
        let mut highest = None;
        let mut repeated = 0;
        let mut last = None;
        for number in numbers.iter().copied() {
            let goes_on = number == last.map_or(0, |last: u64| last + 1);
            let goes_back = highest.is_some_and(|highest| number <= highest);
            assert!(
                goes_on || goes_back,
                "{number} after {last:?} in {numbers:?}"
            );
            repeated += usize::from(!goes_on);
            last = Some(number);
            highest = highest.max(last);
        }
        assert!(
            highest >= self.next.checked_sub(1),
            "{highest:?} {}",
            self.next
        );
        assert!(repeated <= self.failures, "{repeated} {numbers:?}");
        assert_eq!(last, highest, "the end is the newest: {numbers:?}");
    }
}

/// Records that say their numbers.
pub(crate) fn batch(shard: u16, numbers: std::ops::Range<u64>) -> ShardBatch {
    let record = |n: u64| Record::new(format!("{n}"), vec![7; 100]).with_header("n", n.to_string());
    ShardBatch {
        shard,
        records: numbers.map(record).collect(),
    }
}

/// The numbers in a shard.
pub(crate) async fn read(log: &dyn EventLog, topic: &Topic, shard: u16) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut next = log.bounds(topic, shard).await.unwrap().low;
    loop {
        let read = log.read(topic, shard, next, NO_WAIT).await.unwrap();
        let Some(last) = read.last() else {
            return numbers;
        };
        next = last.offset + 1;
        let number = |key: &[u8]| std::str::from_utf8(key).unwrap().parse::<u64>().unwrap();
        numbers.extend(read.iter().map(|stored| number(&stored.record.key)));
    }
}
