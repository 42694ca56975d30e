//! Which bytes are here.

use std::ops::Range;

/// Ranges, in order, of which no two touch.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans(Vec<Range<u64>>);

// === impl Spans ===

impl Spans {
    pub(super) fn insert(&mut self, new: Range<u64>) {
        if new.is_empty() {
            return;
        }
        let first = self.0.partition_point(|span| span.end < new.start);
        let after = self.0.partition_point(|span| span.start <= new.end);
        let touched = &self.0[first..after];
        let start = touched.first().map_or(new.start, |it| it.start);
        let end = touched.last().map_or(new.end, |it| it.end);
        let whole = start.min(new.start)..end.max(new.end);
        self.0.splice(first..after, [whole]);
    }

    pub(super) fn ranges(&self) -> &[Range<u64>] {
        &self.0
    }

    /// How many bytes are here from the first one on.
    pub(super) fn prefix(&self) -> u64 {
        match self.0.first() {
            Some(first) if first.start == 0 => first.end,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let mut spans = Spans::default();
        for range in [4..6, 8..9, 0..2, 6..8, 20..20, 2..3] {
            spans.insert(range);
        }
        assert_eq!(spans.0, [0..3, 4..9]);
        assert_eq!(spans.prefix(), 3);
        spans.insert(1..30);
        assert_eq!((spans.prefix(), spans.0.len()), (30, 1));
    }

    #[test]
    fn without_the_first_byte_there_is_no_prefix() {
        let mut spans = Spans::default();
        spans.insert(1..5);
        assert_eq!(spans.prefix(), 0);
    }
}
