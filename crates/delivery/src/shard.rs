//! One shard: how far its events were offered, and what of that is recorded.
//!
//! Owns the record. The metadata have one cursor for the shard, and one for each webhook that has not settled
//! all of what is up to there; a webhook that has nothing to do costs nothing. One record is under way at a
//! time, so that they are applied in order; what happens meanwhile goes into the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meridian_event::webhook::{Change, MessageId, Place, Record, Undelivered, WebhookId};

use crate::guard::{Guard, stands};

/// One shard.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) generation: u64,
    /// The last event that was offered.
    pub(crate) head: Place,
    /// Webhooks that have a lane here.
    pub(crate) lanes: BTreeSet<WebhookId>,
    /// Webhooks that had a cursor here, and no lane any more.
    pub(crate) dropped: BTreeSet<WebhookId>,
    pub(crate) news: News,
    pub(crate) under_way: Option<UnderWay>,
    /// How many were made.
    records: u64,
    /// When the last record was made.
    recorded_at: u64,
    /// The cursor in it.
    recorded: Place,
}

/// What happened since the last record.
#[derive(Debug, Default)]
pub(crate) struct News {
    rows: Vec<Change>,
    failing: BTreeMap<WebhookId, Option<u64>>,
    /// How many of the rows had been read from the metadata.
    returned: BTreeMap<WebhookId, usize>,
    /// Cursors may have moved.
    pub(crate) is_settled: bool,
}

#[derive(Debug)]
pub(crate) struct UnderWay {
    pub(crate) ticket: u64,
    pub(crate) record: Arc<Record>,
    pub(crate) returned: BTreeMap<WebhookId, usize>,
    /// It failed, and is recorded again then.
    pub(crate) again_at: Option<u64>,
}

// === impl Shard ===

impl Shard {
    pub(crate) fn new(generation: u64, cursor: Place, now: u64) -> Self {
        Self {
            generation,
            head: cursor,
            lanes: BTreeSet::new(),
            dropped: BTreeSet::new(),
            news: News::default(),
            under_way: None,
            records: 0,
            recorded_at: now,
            recorded: cursor,
        }
    }

    /// When there is a record to make, if it has not been made already. What failed goes at once, because
    /// nothing is attempted again before it is recorded; the rest has time.
    pub(crate) fn record_at(&self, every: u64) -> Option<u64> {
        if let Some(under_way) = &self.under_way {
            return under_way.again_at;
        }
        let is_changed =
            self.news.is_settled || self.head != self.recorded || !self.dropped.is_empty();
        if self.news.is_urgent() {
            Some(0)
        } else {
            is_changed.then_some(self.recorded_at.saturating_add(every))
        }
    }

    /// Whether there is something to record, or a record is under way. One that failed is not.
    pub(crate) fn is_busy(&self) -> bool {
        match &self.under_way {
            Some(under_way) => under_way.again_at.is_none(),
            None => self.record_at(0).is_some(),
        }
    }

    /// Makes a record of the news, and of cursors that changed.
    pub(crate) fn record(
        &mut self,
        now: u64,
        ticket: u64,
        shard: u16,
        mut lanes: Vec<(WebhookId, Option<Place>)>,
    ) -> Arc<Record> {
        let news = std::mem::take(&mut self.news);
        let dropped = std::mem::take(&mut self.dropped);
        lanes.extend(dropped.into_iter().map(|webhook| (webhook, None)));
        self.records += 1;
        let record = Arc::new(Record {
            shard,
            generation: self.generation,
            number: self.records,
            cursor: self.head,
            lanes,
            rows: news.rows,
            failing: news.failing.into_iter().collect(),
        });
        self.recorded_at = now;
        self.recorded = self.head;
        self.under_way = Some(UnderWay {
            ticket,
            record: Arc::clone(&record),
            returned: news.returned,
            again_at: None,
        });
        record
    }
}

// === impl News ===

impl News {
    /// How much waits to be recorded.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    fn is_urgent(&self) -> bool {
        !self.rows.is_empty() || !self.failing.is_empty()
    }

    /// What failed on its first attempt is to be kept.
    pub(crate) fn keep(&mut self, rows: Vec<Undelivered>) {
        if stands(Guard::FailedIsKept) {
            self.rows
                .extend(rows.into_iter().map(Box::new).map(Change::Put));
        }
        self.is_settled = true;
    }

    /// What had been kept is delivered, or failed once more.
    pub(crate) fn put_back(
        &mut self,
        webhook: WebhookId,
        message: MessageId,
        kept: Option<Undelivered>,
    ) {
        let kept = kept.map(Box::new);
        let change = kept.map_or(Change::Remove { webhook, message }, Change::Put);
        self.rows.push(change);
        *self.returned.entry(webhook).or_default() += 1;
    }

    pub(crate) fn set_failing(&mut self, webhook: WebhookId, since: Option<u64>) {
        self.failing.insert(webhook, since);
    }
}
