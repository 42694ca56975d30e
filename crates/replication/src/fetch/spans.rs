//! Which bytes of a body are still to be had.

use std::ops::Range;

/// Disjoint ranges, in order. Few: one for the rest of the body, and one for each that broke off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<Range<u64>>);

// === impl Spans ===

impl Spans {
    pub(super) fn whole(size: u64) -> Self {
        let mut spans = Self::default();
        spans.give(0..size);
        spans
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How long the next range is, of at most `limit` bytes.
    pub(super) fn next_len(&self, limit: u64) -> u64 {
        self.0
            .first()
            .map_or(0, |span| (span.end - span.start).min(limit))
    }

    /// Takes the next range away, of at most `limit` bytes: the foremost, because whoever waits for
    /// a body reads it from its beginning.
    pub(super) fn take(&mut self, limit: u64) -> Option<Range<u64>> {
        let span = self.0.first_mut()?;
        let end = span.start.saturating_add(limit).min(span.end);
        let taken = span.start..end;
        span.start = end;
        if span.is_empty() {
            self.0.remove(0);
        }
        Some(taken)
    }

    /// Takes a range away, as far as it is there. Says how many bytes of it were.
    pub(super) fn remove(&mut self, gone: &Range<u64>) -> u64 {
        let before = self.len();
        let mut left = Vec::with_capacity(self.0.len() + 1);
        for span in self.0.drain(..) {
            left.push(span.start..span.end.min(gone.start));
            left.push(span.start.max(gone.end)..span.end);
        }
        left.retain(|span| !span.is_empty());
        self.0 = left;
        before - self.len()
    }

    /// Adds a range, which may touch others and overlap them.
    pub(super) fn give(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let mut merged = range;
        let mut kept = Vec::with_capacity(self.0.len() + 1);
        for span in self.0.drain(..) {
            if span.end < merged.start || merged.end < span.start {
                kept.push(span);
            } else {
                merged = merged.start.min(span.start)..merged.end.max(span.end);
            }
        }
        let place = kept.partition_point(|span| span.start < merged.start);
        kept.insert(place, merged);
        self.0 = kept;
    }

    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|span| span.end - span.start).sum()
    }
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "a list of one range is meant"
)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_taken_from_its_beginning() {
        let mut spans = Spans::whole(10);
        assert_eq!(spans.take(4), Some(0..4));
        assert_eq!(spans.next_len(100), 6);
        assert_eq!(spans.take(100), Some(4..10));
        assert_eq!(spans.take(1), None);
    }

    #[test]
    fn what_broke_off_is_taken_first_again() {
        let mut spans = Spans::whole(100);
        spans.take(20);
        spans.take(20);
        spans.give(13..20);
        assert_eq!(spans.take(20), Some(13..20));
        assert_eq!(spans.take(20), Some(40..60));
    }

    #[test]
    fn what_was_there_before_is_left_out() {
        let mut spans = Spans::whole(100);
        assert_eq!(spans.remove(&(10..30)), 20);
        assert_eq!(spans.remove(&(20..40)), 10);
        assert_eq!(spans.0, [0..10, 40..100]);
        spans.give(10..40);
        assert_eq!(spans.0, [0..100]);
    }

    #[test]
    fn an_empty_body_has_nothing_to_take() {
        assert!(Spans::whole(0).is_empty());
    }
}
