//! Rows of text under each other.

use std::fmt;

/// A table of `N` columns, each as wide as its widest cell.
#[derive(Debug)]
pub(super) struct Columns<const N: usize> {
    rows: Vec<[String; N]>,
}

// === impl Columns ===

impl<const N: usize> Columns<N> {
    pub(super) fn new(heads: [&str; N]) -> Self {
        Self {
            rows: vec![heads.map(ToOwned::to_owned)],
        }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    }
}

impl<const N: usize> fmt::Display for Columns<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().enumerate();
            let cells = cells.map(|(column, cell)| {
                let width = self.width(column);
                format!("{cell:<width$}")
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            let end = if number == 0 { "" } else { "\n" };
            write!(f, "{end}{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut columns = Columns::new(["a", "long", "c"]);
        columns.row(["wide", "é", "x"].map(ToOwned::to_owned));
        assert_eq!(columns.to_string(), "a     long  c\nwide  é     x");
    }
}
