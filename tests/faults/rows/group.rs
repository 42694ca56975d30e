//! B1: a leader that dies, or stands still and goes on.

use std::time::Duration;

use harness::{MEMBERS, Plan};

use crate::trial::{Trial, Verdict};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn b1_leaders_die_and_stand_still() {
    paused("B1", Plan::with_kafka()).await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn b1_notices_reads_that_ask_nobody() {
    let mut plan = Plan::with_kafka();
    plan.set("FAILPOINTS", "meta.read.skip_index=return");
    paused("B1-mutant", plan).await.has_broken("LIN");
}

async fn paused(row: &'static str, plan: Plan) -> Verdict {
    let mut trial = Trial::begin(row, plan).await;
    for round in 0..4 {
        let leader = trial.region.leader(round % MEMBERS).await;
        if round % 2 == 0 {
            trial.region.process(leader).pause();
            trial.go_on(Duration::from_secs(3)).await;
            trial.region.process(leader).go_on();
        } else {
            trial.region.take_member(leader).kill();
            trial.go_on(Duration::from_secs(2)).await;
            trial.region.start_member(leader);
        }
        trial.works().await;
    }
    trial.end().await
}
