//! The summary of one row: a line per metric.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::bench::{PairRecord, Row, Side, Sides};
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
    /// Nothing where the peer has no such figure.
    pub(crate) peer: Option<f64>,
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

/// A metric over all pairs that count.
struct Figures {
    ours: f64,
    peer: Option<f64>,
    /// How much more ours is, pair by pair.
    excess: Option<f64>,
    ratio: Option<Estimate>,
}

/// The pairs that count, and whether the gate chose them.
pub(crate) fn counted(row: &Row) -> (Vec<&PairRecord>, bool) {
    let kept: Vec<&PairRecord> = row
        .pairs
        .iter()
        .filter(|it| it.dropped.is_empty())
        .collect();
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
    let (ours, peer) = (row.products.ours.name(), row.products.peer.name());
    notes.push(format!("{ours} beside {peer}"));
    notes
}

pub(crate) fn lines(row: &Row) -> Vec<Line> {
    let (counted, _) = counted(row);
    let metrics: BTreeSet<Metric> = counted
        .iter()
        .flat_map(|pair| pair.ours.figures.keys())
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
    let of = |side| move |pair: &&PairRecord| pair.of(side).figures.get(&metric).copied();
    let all = |side| pairs.iter().filter_map(of(side)).collect::<Vec<f64>>();
    let both: Vec<(f64, f64)> = pairs
        .iter()
        .filter_map(|pair| of(Side::Ours)(pair).zip(of(Side::Peer)(pair)))
        .collect();
    let figures = Figures {
        ours: median(&mut all(Side::Ours))?,
        peer: median(&mut all(Side::Peer)),
        excess: median(&mut both.iter().map(|it| it.0 - it.1).collect::<Vec<f64>>()),
        ratio: Estimate::of_ratios(both),
    };
    Some(judged(row, metric, figures))
}

fn syncs(row: &Row) -> Option<Line> {
    let Sides { ours, peer } = *row.syncs.as_ref()?;
    let figures = Figures {
        ours,
        peer: Some(peer),
        excess: Some(ours - peer),
        ratio: Estimate::of_ratios([(ours, peer)]),
    };
    Some(judged(row, Metric::SyncsPerOperation, figures))
}

fn judged(row: &Row, metric: Metric, figures: Figures) -> Line {
    let judge = |target: &Target| Judged {
        target: *target,
        verdict: match target.measure {
            Measure::Ratio => figures.ratio.map(|it| target.judge(it.median)),
            Measure::Ours => Some(target.judge(figures.ours)),
            Measure::Excess => figures.excess.map(|it| target.judge(it)),
        },
    };
    // Targets are set for saturation.
    let concerned = |target: &&Target| row.rate.is_none() && target.concerns(&row.case, metric);
    Line {
        metric,
        unit: metric.unit(row.operation),
        ours: figures.ours,
        peer: figures.peer,
        ratio: figures.ratio,
        targets: row.targets.iter().filter(concerned).map(judge).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::bench::{BlockRecord, Outcome, Reason};
    use crate::canary::Song;
    use crate::metric::Bound;
    use crate::server::Product;

    const TARGETS: &[Target] = &[
        Target::ratio("c=1", Metric::Rate, Bound::AtLeast).required(5.0),
        Target::ours("", Metric::P50, 15.0),
        Target::ratio("", Metric::P50, Bound::AtMost).required(0.1),
        Target::excess("", Metric::P50, 2.0),
    ];

    fn block(rate: f64) -> BlockRecord {
        BlockRecord {
            figures: BTreeMap::from([(Metric::Rate, rate), (Metric::P50, 1000.0 / rate)]),
            ..BlockRecord::default()
        }
    }

    fn pair(ours: f64, peer: f64, dropped: Vec<Reason>) -> PairRecord {
        let song = Song {
            hash_ms: 40.0,
            sync_ms: 0.2,
            pressure: None,
        };
        PairRecord {
            ours: block(ours),
            peer: block(peer),
            canaries: [song; 3],
            dropped,
        }
    }

    fn row(pairs: Vec<PairRecord>, rate: Option<f64>) -> Row {
        Row {
            workload: "P1",
            title: "",
            case: "c=1".to_owned(),
            operation: "image",
            products: Sides {
                ours: Product::Meridian,
                peer: Product::Distribution,
            },
            rate,
            pairs,
            syncs: None,
            outcome: Outcome::Failed(String::new()),
            targets: TARGETS,
        }
    }

    #[test]
    fn dropped_pairs_do_not_count() {
        let mut pairs = vec![pair(60.0, 10.0, vec![]); 4];
        pairs.push(pair(10.0, 10.0, vec![Reason::Steal(0.5)]));
        let row = row(pairs, None);
        let rate = &lines(&row)[0];
        assert_eq!((rate.ours, rate.peer), (60.0, Some(10.0)));
        assert_eq!(rate.ratio.unwrap().high, 6.0);
        assert_eq!(
            notes(&row),
            ["4 of 5 pairs", "meridian beside distribution"]
        );
    }

    #[test]
    fn a_figure_that_only_ours_has_stands_alone() {
        let mut lonely = pair(60.0, 10.0, vec![]);
        lonely.peer.figures.remove(&Metric::P50);
        let lines = lines(&row(vec![lonely; 3], None));
        let p50 = &lines[1];
        assert_eq!((p50.peer, p50.ratio), (None, None));
        assert_eq!(p50.targets[1].verdict, None);
    }

    #[test]
    fn with_too_few_pairs_all_count_and_the_row_says_so() {
        let row = row(vec![pair(60.0, 10.0, vec![Reason::Foreign(0.5)]); 5], None);
        assert_eq!(lines(&row)[0].ratio.unwrap().values, 5);
        assert!(notes(&row)[1].starts_with("UNGATED"));
    }

    #[test]
    fn a_metric_is_judged_by_each_of_its_targets() {
        let lines = lines(&row(vec![pair(60.0, 10.0, vec![]); 3], None));
        let verdicts = |line: &Line| line.targets.iter().map(|it| it.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(&lines[0]), [Some(Verdict::Met)]);
        assert_eq!(
            verdicts(&lines[1]),
            [
                Some(Verdict::Missed),
                Some(Verdict::Missed),
                Some(Verdict::Met)
            ]
        );
    }

    #[test]
    fn at_a_fixed_rate_the_rate_is_no_finding_and_no_target_is_judged() {
        let lines = lines(&row(vec![pair(60.0, 10.0, vec![]); 3], Some(5.0)));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].metric, Metric::P50);
        assert!(lines[0].targets.is_empty());
    }
}
