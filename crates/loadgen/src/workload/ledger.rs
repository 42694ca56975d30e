//! Which records are under way, and how long those took that arrived.
//!
//! Sending and seeing are noted by different tasks, in either order: an event may be read before
//! the client has the answer to its push. Such a record took no time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::metric::Metric;
use crate::sample::Latencies;

/// The records of a case, by their numbers.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    /// Sent, and not seen.
    waiting: HashMap<u64, Instant>,
    /// Seen, and not known to be sent.
    early: HashMap<u64, Instant>,
    seen: Seen,
    all: u64,
}

/// What was seen in one block.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) latencies: Latencies,
    count: u32,
    pub(super) last: Option<Instant>,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn sent(&self, number: u64, at: Instant) {
        let mut entries = self.entries();
        match entries.early.remove(&number) {
            Some(seen) => entries.complete(at, seen),
            None => {
                entries.waiting.insert(number, at);
            }
        }
    }

    /// A record that stands twice counts when it is seen first.
    pub(super) fn seen(&self, number: u64, at: Instant) {
        let mut entries = self.entries();
        match entries.waiting.remove(&number) {
            Some(sent) => entries.complete(sent, at),
            None => {
                entries.early.entry(number).or_insert(at);
            }
        }
    }

    /// Nothing that was sent is waited for any more.
    pub(super) fn give_up(&self) {
        self.entries().waiting.clear();
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.entries().waiting.is_empty()
    }

    /// What was seen since this was asked last.
    pub(super) fn close(&self) -> Seen {
        std::mem::take(&mut self.entries().seen)
    }

    /// How many were seen in all blocks.
    pub(super) fn all_seen(&self) -> u64 {
        self.entries().all
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Entries ===

impl Entries {
    fn complete(&mut self, sent: Instant, seen: Instant) {
        let latency = seen.saturating_duration_since(sent);
        self.seen.latencies.record(latency);
        self.seen.count += 1;
        self.seen.last = self.seen.last.max(Some(seen));
        self.all += 1;
    }
}

// === impl Seen ===

impl Seen {
    pub(super) fn figures(&self, elapsed: Duration) -> Vec<(Metric, f64)> {
        let rate = f64::from(self.count) / elapsed.as_secs_f64();
        let mut figures = vec![(Metric::Rate, rate)];
        if !self.latencies.is_empty() {
            let millis = |quantile| self.latencies.quantile(quantile).as_secs_f64() * 1000.0;
            figures.push((Metric::P50, millis(0.5)));
            // Of fewer it would be the maximum.
            if self.count >= 100 {
                figures.push((Metric::P99, millis(0.99)));
            }
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_takes_from_when_it_was_sent_until_it_is_seen() {
        let (ledger, start) = (Ledger::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        ledger.sent(1, at(10));
        assert!(ledger.has_waiting());
        ledger.seen(1, at(15));
        assert!(!ledger.has_waiting());
        let seen = ledger.close();
        assert_eq!(seen.last, Some(at(15)));
        let figures = seen.figures(Duration::from_secs(2));
        assert_eq!(figures[0], (Metric::Rate, 0.5));
        assert!((4.9..5.1).contains(&figures[1].1), "{figures:?}");
        assert_eq!(figures.len(), 2);
    }

    #[test]
    fn a_record_that_is_seen_first_took_no_time_and_waits_for_nothing() {
        let (ledger, start) = (Ledger::default(), Instant::now());
        ledger.seen(1, start);
        ledger.sent(1, start + Duration::from_millis(5));
        assert!(!ledger.has_waiting());
        let figures = ledger.close().figures(Duration::from_secs(1));
        assert!(figures[1].1 < 0.001, "{figures:?}");
    }

    #[test]
    fn a_record_that_stands_twice_counts_once() {
        let (ledger, start) = (Ledger::default(), Instant::now());
        ledger.sent(1, start);
        ledger.seen(1, start);
        ledger.seen(1, start + Duration::from_secs(1));
        assert_eq!((ledger.close().count, ledger.all_seen()), (1, 1));
        assert_eq!(ledger.close().count, 0);
    }
}
