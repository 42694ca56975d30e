//! Rows for a terminal.

use std::io::{self, Write};

use super::summary::{Judged, Line, lines, notes};
use crate::bench::{Outcome, Row};
use crate::metric::Verdict;
use crate::statistics::Estimate;

/// Writes one row with a line per metric.
pub(crate) fn write_row(out: &mut impl Write, row: &Row) -> io::Result<()> {
    writeln!(
        out,
        "{} {} ({})",
        row.workload,
        title(row),
        notes(row).join("; ")
    )?;
    for line in lines(row) {
        writeln!(
            out,
            "  {:<18} {:>12} {:>12}   {:<28} {}",
            line.unit,
            number(line.ours),
            peer(&line),
            line.ratio.as_ref().map(ratio).unwrap_or_default(),
            targets(&line),
        )?;
    }
    match &row.outcome {
        Outcome::Failed(error) => writeln!(out, "  FAILED: {error}"),
        Outcome::Verified(_) => Ok(()),
    }
}

pub(super) fn title(row: &Row) -> String {
    match row.rate {
        Some(rate) => format!("{}, at {rate} {}s/s", row.case, row.operation),
        None => row.case.clone(),
    }
}

pub(super) fn ratio(estimate: &Estimate) -> String {
    let Estimate {
        median, low, high, ..
    } = estimate;
    if estimate.values < 2 {
        return format!("{} x", number(*median));
    }
    format!(
        "{} x [{}, {}]",
        number(*median),
        number(*low),
        number(*high)
    )
}

pub(super) fn targets(line: &Line) -> String {
    let told: Vec<String> = line.targets.iter().map(told).collect();
    told.join("; ")
}

fn told(judged: &Judged) -> String {
    let verdict = match judged.verdict {
        None => "not measured",
        Some(Verdict::Missed) => "MISSED",
        Some(Verdict::Met) => "met",
        Some(Verdict::Ambitious) => "met*",
    };
    format!("{}: {verdict}", judged.target)
}

pub(super) fn peer(line: &Line) -> String {
    line.peer.map_or_else(|| "–".to_owned(), number)
}

/// Three significant digits, and all digits before the point.
pub(super) fn number(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = if magnitude >= 100.0 || magnitude == 0.0 {
        0
    } else if magnitude >= 10.0 {
        1
    } else if magnitude >= 1.0 {
        2
    } else if magnitude >= 0.1 {
        3
    } else {
        5
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_digits() {
        let shown = [12345.6, 123.4, 12.34, 1.234, 0.1234, 0.00123, 0.0].map(number);
        assert_eq!(
            shown,
            ["12346", "123", "12.3", "1.23", "0.123", "0.00123", "0"]
        );
    }

    #[test]
    fn a_single_value_has_no_interval() {
        let estimate = |values: &[f64]| Estimate::of(values.iter().copied()).unwrap();
        assert_eq!(ratio(&estimate(&[0.5])), "0.500 x");
        assert_eq!(ratio(&estimate(&[0.5, 0.5])), "0.500 x [0.500, 0.500]");
    }
}
