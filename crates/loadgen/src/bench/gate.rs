//! Which pairs count.
//!
//! A pair is dropped when the machine was not the same for both of its blocks or worked for
//! somebody else: the hypervisor took time away, other processes ran, or the canary's cost moved.
//! Dropped pairs are logged with the reason. User time of others is what all processes used less
//! what the server and the generator used; kernel threads do not count, since the servers' own
//! writes keep them busy.

use std::fmt;

use serde::Serialize;

use super::record::PairRecord;

/// The limits, as shares; a gate that is open lets everything pass.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Gate {
    pub(crate) open: bool,
    /// Cost of the canary within a pair, highest to lowest, less one.
    pub(crate) canary: f64,
    /// Share of all CPU time that was stolen during a block.
    pub(crate) steal: f64,
    /// Share of all CPU time that other processes used during a block.
    pub(crate) foreign: f64,
    /// Share of time in which some task waited for a CPU while the canary ran alone.
    pub(crate) pressure: f64,
}

/// Why a pair does not count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    Canary(f64),
    Steal(f64),
    Foreign(f64),
    Pressure(f64),
}

// === impl Gate ===

impl Gate {
    pub(crate) fn new(open: bool) -> Self {
        Self {
            open,
            canary: 0.15,
            steal: 0.01,
            foreign: 0.05,
            pressure: 0.05,
        }
    }

    /// All reasons against a pair; none if it counts.
    pub(crate) fn judge(&self, pair: &PairRecord) -> Vec<Reason> {
        if self.open {
            return Vec::new();
        }
        let blocks = [&pair.ours, &pair.peer];
        let worst = |share: &dyn Fn(usize) -> f64| share(0).max(share(1));
        let costs = || pair.canaries.iter().map(|song| song.cost_ms());
        let moved = costs().fold(0.0, f64::max) / costs().fold(f64::INFINITY, f64::min) - 1.0;
        let pressure = pair.canaries.iter().filter_map(|song| song.pressure);
        [
            (moved, self.canary, Reason::Canary as fn(f64) -> Reason),
            (worst(&|n| blocks[n].steal), self.steal, Reason::Steal),
            (worst(&|n| blocks[n].foreign), self.foreign, Reason::Foreign),
            (
                pressure.fold(0.0, f64::max),
                self.pressure,
                Reason::Pressure,
            ),
        ]
        .into_iter()
        .filter(|(share, limit, _)| share > limit)
        .map(|(share, _, reason)| reason(share))
        .collect()
    }
}

// === impl Reason ===

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, share) = match self {
            Self::Canary(share) => ("canary moved", share),
            Self::Steal(share) => ("stolen", share),
            Self::Foreign(share) => ("other processes", share),
            Self::Pressure(share) => ("pressure from outside", share),
        };
        write!(f, "{what} {:.1} %", 100.0 * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::BlockRecord;
    use crate::canary::Song;

    fn pair(hash_ms: [f64; 3], steal: f64, foreign: f64, pressure: f64) -> PairRecord {
        let quiet = BlockRecord::default();
        let song = |hash_ms| Song {
            hash_ms,
            sync_ms: 0.2,
            pressure: Some(pressure),
        };
        PairRecord {
            ours: BlockRecord {
                steal,
                foreign,
                ..BlockRecord::default()
            },
            peer: quiet,
            canaries: hash_ms.map(song),
            dropped: Vec::new(),
        }
    }

    #[test]
    fn a_quiet_pair_counts() {
        let quiet = pair([40.0, 42.0, 41.0], 0.0, 0.01, 0.0);
        assert_eq!(Gate::new(false).judge(&quiet), []);
    }

    #[test]
    fn every_disturbance_is_a_reason() {
        let gate = Gate::new(false);
        let reason = |pair| gate.judge(&pair).first().map(ToString::to_string);
        let moved = pair([36.0, 46.0, 36.0], 0.0, 0.0, 0.0);
        assert_eq!(reason(moved).unwrap(), "canary moved 25.0 %");
        let stolen = pair([40.0; 3], 0.02, 0.0, 0.0);
        assert_eq!(reason(stolen).unwrap(), "stolen 2.0 %");
        let foreign = pair([40.0; 3], 0.0, 0.2, 0.0);
        assert_eq!(reason(foreign).unwrap(), "other processes 20.0 %");
        let pressed = pair([40.0; 3], 0.0, 0.0, 0.1);
        assert_eq!(reason(pressed).unwrap(), "pressure from outside 10.0 %");
    }

    #[test]
    fn an_open_gate_lets_everything_pass() {
        let noisy = pair([40.0, 80.0, 40.0], 0.5, 0.5, 0.5);
        assert_eq!(Gate::new(true).judge(&noisy), []);
    }
}
