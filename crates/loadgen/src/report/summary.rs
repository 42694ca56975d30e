//! The summary of one row: a line per metric.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::bench::{PairRecord, Row, Side};
use crate::metric::{Measure, Metric, Target, Verdict};
use crate::statistics::{Estimate, median};

/// With fewer pairs than this the gate is not asked: an interval of three pairs says nothing.
const FEWEST: usize = 3;
/// Above this share of its CPU the generator, not the server, is what limits the rate.
const SATURATED: f64 = 0.95;

/// One metric of one row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) metric: Metric,
    pub(crate) unit: String,
    /// Medians over the pairs that count.
    pub(crate) ours: f64,
    pub(crate) peer: f64,
    /// Ours / peer, pair by pair.
    pub(crate) ratio: Option<Estimate>,
    pub(crate) targets: Vec<Judged>,
}

/// A target and how the figure stands to it; nothing if there is no ratio.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Judged {
    #[serde(flatten)]
    pub(crate) target: Target,
    pub(crate) verdict: Option<Verdict>,
}

/// The pairs that count, and whether the gate chose them.
pub(crate) fn counted(row: &Row) -> (Vec<&PairRecord>, bool) {
    let kept: Vec<&PairRecord> = row.pairs.iter().filter(|it| it.dropped.is_empty()).collect();
    if kept.len() >= FEWEST.min(row.pairs.len()) {
        return (kept, true);
    }
    (row.pairs.iter().collect(), false)
}

/// What a reader must know about a row beside its figures.
pub(crate) fn notes(row: &Row) -> Vec<String> {
    let (counted, gated) = counted(row);
    let mut notes = vec![format!("{} of {} pairs", counted.len(), row.pairs.len())];
    if !gated {
        notes.push("UNGATED: the machine was disturbed, no claim".to_owned());
    }
    for side in Side::BOTH {
        let mut shares: Vec<f64> = counted.iter().map(|it| it.of(side).generator).collect();
        if row.rate.is_none() && median(&mut shares).is_some_and(|it| it > SATURATED) {
            notes.push(format!("the generator limits the rate of {}", side.name()));
        }
    }
    notes
}

pub(crate) fn lines(row: &Row) -> Vec<Line> {
    let (counted, _) = counted(row);
    let metrics: BTreeSet<Metric> = counted
        .iter()
        .flat_map(|pair| pair.ours.figures.keys().chain(pair.peer.figures.keys()))
        .copied()
        .filter(|metric| row.rate.is_none() || !is_of_saturation(*metric))
        .collect();
    let measured = metrics.into_iter().filter_map(|it| line(row, &counted, it));
    measured.chain(syncs(row)).collect()
}

/// At a fixed rate the rate is no finding.
fn is_of_saturation(metric: Metric) -> bool {
    matches!(metric, Metric::Rate | Metric::Throughput)
}

fn line(row: &Row, pairs: &[&PairRecord], metric: Metric) -> Option<Line> {
    let both: Vec<(f64, f64)> = pairs
        .iter()
        .filter_map(|pair| {
            let ours = pair.ours.figures.get(&metric)?;
            Some((*ours, *pair.peer.figures.get(&metric)?))
        })
        .collect();
    let ours = median(&mut both.iter().map(|it| it.0).collect::<Vec<f64>>())?;
    let peer = median(&mut both.iter().map(|it| it.1).collect::<Vec<f64>>())?;
    let ratio = Estimate::of_ratios(both);
    Some(judged(row, metric, ours, peer, ratio))
}

fn syncs(row: &Row) -> Option<Line> {
    let syncs = row.syncs.as_ref()?;
    let ratio = Estimate::of_ratios([(syncs.ours, syncs.peer)]);
    let metric = Metric::SyncsPerOperation;
    Some(judged(row, metric, syncs.ours, syncs.peer, ratio))
}

fn judged(row: &Row, metric: Metric, ours: f64, peer: f64, ratio: Option<Estimate>) -> Line {
    let judge = |target: &Target| Judged {
        target: *target,
        verdict: match target.measure {
            Measure::Ratio => ratio.map(|it| target.judge(it.median)),
            Measure::Ours => Some(target.judge(ours)),
        },
    };
    // Targets are set for saturation.
    let concerned = |target: &&Target| row.rate.is_none() && target.concerns(&row.case, metric);
    Line {
        metric,
        unit: metric.unit(row.operation),
        ours,
        peer,
        ratio,
        targets: row.targets.iter().filter(concerned).map(judge).collect(),
    }
}
