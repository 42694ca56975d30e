//! What a report says of one case: the pairs that were measured, and how it ended.

use serde::Serialize;

use super::Sides;
use super::record::PairRecord;
use crate::metric::Target;
use crate::server::Product;
use crate::workload::{Verified, Workload};

/// A case and all that was measured of it.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) workload: &'static str,
    pub(crate) title: &'static str,
    pub(crate) case: String,
    pub(crate) operation: &'static str,
    pub(crate) products: Sides<Product>,
    /// Operations per second that both sides were asked for; nothing for a closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) pairs: Vec<PairRecord>,
    /// Calls that wait for the disk, per operation, from a run below a tracer.
    pub(crate) syncs: Option<Sides<f64>>,
    pub(crate) outcome: Outcome,
    #[serde(skip)]
    pub(crate) targets: &'static [Target],
}

/// How a row ended.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// All blocks ran and what was pushed was read back.
    Verified(Sides<Verified>),
    /// The pairs until then are there, but the row claims nothing.
    Failed(String),
}

// === impl Row ===

impl Row {
    /// A row that has not been measured.
    pub(super) fn new(
        workload: &dyn Workload,
        products: Sides<Product>,
        case: &str,
        rate: Option<f64>,
    ) -> Self {
        let about = workload.about();
        Self {
            workload: about.id,
            title: about.title,
            case: case.to_owned(),
            operation: about.operation,
            products,
            rate,
            pairs: Vec::new(),
            syncs: None,
            outcome: Outcome::Failed("not run".to_owned()),
            targets: about.targets,
        }
    }

    /// How many pairs passed the gate.
    pub(crate) fn kept(&self) -> usize {
        self.pairs.iter().filter(|it| it.dropped.is_empty()).count()
    }
}
