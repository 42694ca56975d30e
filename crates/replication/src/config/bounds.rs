//! Settings that lie within bounds, or are told with what to change.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use humantime_serde::re::humantime::format_duration;

use crate::BackoffConfig;

/// Gathers what is out of bounds: a line for each setting, which begins with its key.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    lines: Vec<String>,
}

// === impl Bounds ===

impl Bounds {
    pub(super) fn number(&mut self, key: &str, value: usize, range: RangeInclusive<usize>) {
        let holds = range.contains(&value);
        self.within(key, &value, holds, &[range.start(), range.end()]);
    }

    pub(super) fn size(&mut self, key: &str, value: ByteSize, range: RangeInclusive<u64>) {
        let holds = range.contains(&value.as_u64());
        let [least, most] = [range.start(), range.end()].map(|end| ByteSize::b(*end));
        self.within(key, &value, holds, &[&least, &most]);
    }

    pub(super) fn span(&mut self, key: &str, value: Duration, range: RangeInclusive<Duration>) {
        let holds = range.contains(&value);
        let [value, least, most] = [value, *range.start(), *range.end()].map(format_duration);
        self.within(key, &value, holds, &[&least, &most]);
    }

    pub(super) fn backoff(&mut self, key: &str, value: &BackoffConfig) {
        let [tick, hour] = [Duration::from_millis(1), Duration::from_secs(3_600)];
        self.span(&format!("{key}.first"), value.first, tick..=hour);
        self.span(&format!("{key}.most"), value.most, value.first..=hour);
    }

    fn within(&mut self, key: &str, value: &dyn Display, holds: bool, ends: &[&dyn Display; 2]) {
        if !holds {
            let [least, most] = ends;
            let line = format!("{key} is {value}; set it between {least} and {most}");
            self.lines.push(line);
        }
    }

    pub(super) fn faults(self) -> Vec<String> {
        self.lines
    }
}
