//! What both places use, for a part of a block.

use std::time::Duration;

use crate::gauge::cpu_of_helpers;
use crate::workload::{LoadError, Site};

/// What was used since the server was started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// CPU time of all processes of either place, and of what copies between them.
    pub(super) cpu: Duration,
    /// Bytes that crossed the network.
    pub(super) carried: u64,
}

// === impl Usage ===

impl Usage {
    pub(super) fn take(site: &Site) -> Result<Self, LoadError> {
        let far = site.far.as_ref().ok_or(LoadError::NoFarPlace)?;
        let gauge = site.gauge.as_ref().ok_or(LoadError::NoGauge)?;
        Ok(Self {
            cpu: gauge.cpu()? + cpu_of_helpers()?.total(),
            carried: far.wan.carried(),
        })
    }

    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            carried: self.carried - earlier.carried,
        }
    }
}
