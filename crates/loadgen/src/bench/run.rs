//! Measuring one case: pairs in a closed loop, perhaps pairs at a fixed rate, then the proof that
//! what was measured was done.

use crate::canary::Song;
use crate::drive::{Block, Pacing};
use crate::metric::Metric;
use crate::server::Server;
use crate::statistics::median;
use crate::workload::{Fresh, Manner, Workload};

use super::record::PairRecord;
use super::row::{Outcome, Row};
use super::stage::{Stage, cases};
use super::step::{StepError, chain, limited};
use super::{Bench, Side, Sides};

/// Both sides get this share of the slower one's saturated rate when latency is measured.
const OPEN_LOOP_SHARE: f64 = 0.5;

/// One case on an open stage.
pub(super) struct Run<'a> {
    pub(super) bench: &'a mut Bench,
    pub(super) stage: &'a mut Stage,
    pub(super) workload: &'static dyn Workload,
    pub(super) case: usize,
    pub(super) manner: Manner,
}

// === impl Run ===

impl Run<'_> {
    /// The rows of this case. A failure stands in each: what was not verified proves nothing.
    pub(super) async fn rows(mut self, name: &str) -> Vec<Row> {
        let products = self.bench.plan.products(self.workload);
        let mut rows = vec![Row::new(self.workload, products, name, None)];
        if let Err(error) = self.measure(&mut rows).await {
            let error = chain(&error);
            self.bench.progress.say(format_args!("  failed: {error}"));
            for row in &mut rows {
                row.outcome = Outcome::Failed(error.clone());
            }
        }
        rows
    }

    async fn measure(&mut self, rows: &mut Vec<Row>) -> Result<(), StepError> {
        // One more for the warm-up.
        self.space_for(self.wanted() + 1)?;
        self.prepare().await?;
        self.warm_up().await?;
        self.pairs(&mut rows[0], Pacing::Closed).await?;
        if let Some(rate) = self.open_loop_rate(&rows[0]) {
            let first = &rows[0];
            let mut row = Row::new(self.workload, first.products, &first.case, Some(rate));
            let paired = self.pairs(&mut row, Pacing::Open(rate)).await;
            rows.push(row);
            paired?;
        }
        let verified = Outcome::Verified(Sides {
            ours: self.stage.sides.ours.verify(self.case).await?,
            peer: self.stage.sides.peer.verify(self.case).await?,
        });
        for row in &mut *rows {
            row.outcome = verified.clone();
        }
        rows[0].syncs = self.syncs().await?;
        Ok(())
    }

    /// Refuses pairs that could fill the disk.
    fn space_for(&self, pairs: usize) -> Result<(), StepError> {
        let blocks = u64::try_from(2 * pairs).unwrap_or(u64::MAX);
        let needed = self.manner.leaves.saturating_mul(blocks);
        let disk = rustix::fs::statvfs(&self.bench.plan.data);
        let disk = disk.map_err(|it| StepError::Disk(it.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if needed > free {
            return Err(StepError::Space { needed, free });
        }
        Ok(())
    }

    /// Pairs to keep of this case.
    fn wanted(&self) -> usize {
        self.bench.plan.pairs.min(self.manner.pairs)
    }

    /// Pairs to try at most.
    fn attempts(&self) -> usize {
        let attempts = self.manner.pairs.saturating_mul(2);
        self.bench.plan.attempts.min(attempts)
    }

    async fn prepare(&mut self) -> Result<(), StepError> {
        if self.workload.about().fresh == Fresh::Block {
            return Ok(());
        }
        for side in Side::BOTH {
            self.bench
                .progress
                .say(format_args!("  preparing {}", side.name()));
            self.stage.sides.of_mut(side).prepare(self.case).await?;
        }
        Ok(())
    }

    async fn warm_up(&mut self) -> Result<(), StepError> {
        let block = Block {
            length: self.bench.plan.block / 2,
            pacing: Pacing::Closed,
        };
        if self.manner.warm_up {
            for side in Side::BOTH {
                let wing = self.stage.sides.of_mut(side);
                wing.block(self.case, &block).await?;
            }
        }
        Ok(())
    }

    /// Runs pairs until enough were kept or the attempts are used up.
    async fn pairs(&mut self, row: &mut Row, pacing: Pacing) -> Result<(), StepError> {
        let block = Block {
            length: self.bench.plan.block,
            pacing,
        };
        let mut before = self.sing()?;
        while row.kept() < self.wanted() && row.pairs.len() < self.attempts() {
            // One pair in reserve: a full disk disturbs more than this bench.
            let space = self.space_for(2);
            if space.is_err() && row.pairs.len() >= self.wanted() {
                break;
            }
            space?;
            let pair = self.pair(row.pairs.len(), &block, before).await?;
            before = pair.canaries[2];
            self.tell(row, &pair);
            row.pairs.push(pair);
        }
        Ok(())
    }

    async fn pair(
        &mut self,
        number: usize,
        block: &Block,
        before: Song,
    ) -> Result<PairRecord, StepError> {
        let [first, second] = Side::order(number);
        let one = self.block(first, block).await?;
        let between = self.sing()?;
        let two = self.block(second, block).await?;
        let canaries = [before, between, self.sing()?];
        let (ours, peer) = match first {
            Side::Ours => (one, two),
            Side::Peer => (two, one),
        };
        let mut pair = PairRecord {
            ours,
            peer,
            canaries,
            dropped: Vec::new(),
        };
        pair.dropped = self.bench.plan.gate.judge(&pair);
        Ok(pair)
    }

    async fn block(&mut self, side: Side, block: &Block) -> Result<super::BlockRecord, StepError> {
        let wing = self.stage.sides.of_mut(side);
        if self.workload.about().fresh == Fresh::Block {
            wing.open().await?;
            wing.prepare(self.case).await?;
        }
        wing.block(self.case, block).await
    }

    fn sing(&mut self) -> Result<Song, StepError> {
        let servers = || self.stage.cpu();
        let song = self.bench.canary.sing(servers);
        song.map_err(StepError::Canary)
    }

    /// Half of what the slower side can do, if this case wants latencies at a fixed rate.
    fn open_loop_rate(&self, row: &Row) -> Option<f64> {
        let rate = |side: Side| {
            let blocks = row.pairs.iter().map(|pair| pair.of(side));
            let rates = blocks.filter_map(|it| it.figures.get(&Metric::Rate).copied());
            median(&mut rates.collect::<Vec<f64>>())
        };
        let slower = rate(Side::Ours)?.min(rate(Side::Peer)?);
        self.manner
            .open_loop
            .then_some((slower * OPEN_LOOP_SHARE).max(1.0).round())
    }

    /// Calls per operation that wait for the disk, from an untimed run on fresh servers.
    async fn syncs(&mut self) -> Result<Option<Sides<f64>>, StepError> {
        if !self.manner.count_syncs || self.bench.tracer.is_none() {
            return Ok(None);
        }
        Ok(Some(Sides {
            ours: self.syncs_of(Side::Ours).await?,
            peer: self.syncs_of(Side::Peer).await?,
        }))
    }

    async fn syncs_of(&mut self, side: Side) -> Result<f64, StepError> {
        let Some(tracer) = self.bench.tracer.clone() else {
            return Err(StepError::NoServer);
        };
        let (plan, ground) = (&self.bench.plan, &self.bench.ground);
        let product = *plan.products(self.workload).of(side);
        let server =
            Server::start_traced(product, &plan.programs, "traced", ground, &tracer).await?;
        let mut cases = cases(self.workload, side, &server, &self.bench.noise, &plan.scale);
        let block = Block {
            length: plan.block,
            pacing: Pacing::Closed,
        };
        let counted = async {
            let Some(Some(case)) = cases.get_mut(self.case) else {
                return Err(StepError::NoServer);
            };
            let limit = self.manner.limit + block.length;
            let step = format!("trace {}", side.name());
            let prepare = async {
                case.prepare().await?;
                case.arm().await?;
                case.fire(&block).await?;
                case.arm().await
            };
            limited(step.clone(), limit, prepare).await?;
            let before = tracer.count().map_err(StepError::Tracer)?;
            let sample = limited(step, limit, case.fire(&block)).await?;
            let after = tracer.count().map_err(StepError::Tracer)?;
            Ok((after.since(before), sample.operations))
        };
        let counted = counted.await;
        server.stop().await?;
        counted.map(|(calls, operations)| share(calls, operations))
    }

    fn tell(&self, row: &Row, pair: &PairRecord) {
        let metric = [
            Metric::Rate,
            Metric::Throughput,
            Metric::MemoryPerConnection,
            Metric::Start,
            Metric::P50,
            Metric::Total,
            Metric::Converge,
        ]
        .into_iter()
        .find(|it| pair.ours.figures.contains_key(it));
        let figure = |side| metric.and_then(|it| pair.of(side).figures.get(&it).copied());
        let reasons: Vec<String> = pair.dropped.iter().map(ToString::to_string).collect();
        self.bench.progress.say(format_args!(
            "  pair {}{}: {} {:.4} to {:.4}{}{}",
            row.pairs.len() + 1,
            if row.rate.is_some() {
                " at a fixed rate"
            } else {
                ""
            },
            metric.map(|it| it.unit(row.operation)).unwrap_or_default(),
            figure(Side::Ours).unwrap_or(f64::NAN),
            figure(Side::Peer).unwrap_or(f64::NAN),
            if reasons.is_empty() {
                ""
            } else {
                ", dropped: "
            },
            reasons.join(", "),
        ));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one block are far below 2^52"
)]
fn share(calls: u64, operations: u64) -> f64 {
    calls as f64 / operations as f64
}
