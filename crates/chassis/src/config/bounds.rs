//! Settings that lie within bounds, or are told with what to change.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::ByteSize;

/// Gathers what is out of bounds: a line for each setting, which begins with its key.
#[derive(Debug, Default)]
pub struct Bounds {
    lines: Vec<String>,
}

// === impl Bounds ===

impl Bounds {
    /// A number within a range.
    pub fn number(&mut self, key: &str, value: u64, range: RangeInclusive<u64>) {
        self.within(
            key,
            &value,
            range.contains(&value),
            &[range.start(), range.end()],
        );
    }

    /// A time within a range.
    pub fn span(&mut self, key: &str, value: Duration, range: RangeInclusive<Duration>) {
        let [value_text, least, most] = [value, *range.start(), *range.end()]
            .map(humantime_serde::re::humantime::format_duration);
        self.within(key, &value_text, range.contains(&value), &[&least, &most]);
    }

    /// A number of bytes within a range.
    pub fn size(&mut self, key: &str, value: ByteSize, range: RangeInclusive<ByteSize>) {
        self.within(
            key,
            &value,
            range.contains(&value),
            &[range.start(), range.end()],
        );
    }

    fn within(&mut self, key: &str, value: &dyn Display, holds: bool, ends: &[&dyn Display; 2]) {
        if !holds {
            let [least, most] = ends;
            let line = format!("{key} is {value}; set it between {least} and {most}");
            self.lines.push(line);
        }
    }

    /// Something else that is wrong, in words that begin with its key.
    pub fn fault(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn faults(self) -> Vec<String> {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_told_with_its_key_and_what_to_change() {
        let mut bounds = Bounds::default();
        bounds.number("a.count", 0, 1..=10);
        bounds.number("a.other", 10, 1..=10);
        let most = Duration::from_secs(60);
        bounds.span("a.time", Duration::from_secs(3600), Duration::ZERO..=most);
        bounds.size(
            "a.size",
            ByteSize::kib(1),
            ByteSize::kib(2)..=ByteSize::mib(1),
        );
        assert_eq!(
            bounds.faults(),
            [
                "a.count is 0; set it between 1 and 10",
                "a.time is 1h; set it between 0s and 1m",
                "a.size is 1.0 KiB; set it between 2.0 KiB and 1.0 MiB",
            ]
        );
    }
}
