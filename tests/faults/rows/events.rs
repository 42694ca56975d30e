//! E: Kafka.

use std::time::Duration;

use harness::{Kafka, Parts, Plan};
use rustix::process::{Pid, Signal, kill_process};

use crate::trial::{Trial, Verdict};

/// Brokers that stand still, until it is dropped.
pub(super) struct Still(Vec<Pid>);

impl Still {
    /// Those of one region, or of several.
    pub(super) fn stand(regions: &[Kafka]) -> Self {
        let still = Self(regions.iter().flat_map(Kafka::processes).collect());
        still.send(Signal::STOP);
        still
    }

    fn send(&self, signal: Signal) {
        for broker in &self.0 {
            kill_process(*broker, signal).unwrap();
        }
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        self.send(Signal::CONT);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn e1_kafka_is_away_and_pushes_go_on() {
    away("E1", Plan::with_kafka()).await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn e1_notices_an_outbox_that_forgets() {
    let mut plan = Plan::with_kafka();
    plan.set("FAILPOINTS", "ob.forget=30%return");
    away("E1-mutant", plan).await.has_broken("EVT");
}

async fn away(row: &'static str, mut plan: Plan) -> Verdict {
    plan.set("MERIDIAN_EVENTS__KAFKA__APPEND_TIMEOUT", "2s");
    let mut trial = Trial::begin(row, plan).await;
    let kafka = Parts::find().kafka.expect("Kafka is among the parts");
    let still = Still::stand(&[kafka]);
    trial.works().await;
    trial.go_on(Duration::from_secs(8)).await;
    trial.works().await;
    // The leader changes meanwhile, and the next one starts without having seen Kafka.
    let leader = trial.region.leader(0).await;
    trial.region.take_member(leader).kill();
    trial.works().await;
    trial.region.start_member(leader);
    trial.works().await;
    drop(still);
    trial.end().await
}
