//! Metrics with two labels whose values are known beforehand.

use std::fmt::Debug;
use std::sync::OnceLock;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// Two labels with their values.
pub type Labels = [(&'static str, &'static str); 2];

/// A metric for each pair of values of two labels. A pair that never occurs is not shown.
#[derive(Debug)]
pub struct Grid<M = Counter> {
    names: [&'static str; 2],
    rows: &'static [&'static str],
    columns: &'static [&'static str],
    family: Family<Labels, M>,
    cells: Box<[OnceLock<M>]>,
}

// === impl Grid ===

impl<M: Default + Clone> Grid<M> {
    /// Labels of these names and values.
    #[must_use]
    pub fn new(
        names: [&'static str; 2],
        rows: &'static [&'static str],
        columns: &'static [&'static str],
    ) -> Self {
        let cells = rows.len() * columns.len();
        Self {
            names,
            rows,
            columns,
            family: Family::default(),
            cells: (0..cells).map(|_| OnceLock::new()).collect(),
        }
    }

    /// What is to be registered.
    #[must_use]
    pub fn family(&self) -> Family<Labels, M> {
        self.family.clone()
    }

    /// The metric of a row's value and a column's, by their places.
    ///
    /// # Panics
    ///
    /// When there is no such place.
    #[must_use]
    pub fn at(&self, row: usize, column: usize) -> &M {
        let cell = &self.cells[row * self.columns.len() + column];
        cell.get_or_init(|| {
            let labels = [
                (self.names[0], self.rows[row]),
                (self.names[1], self.columns[column]),
            ];
            self.family.get_or_create_owned(&labels)
        })
    }
}
