//! B1: a leader that dies, or stands still and goes on.

use std::time::Duration;

use harness::{MEMBERS, Plan, eventually};

use crate::trial::{SOON, Trial};

/// How often the leader is stopped.
const ROUNDS: usize = 4;
/// The same, at most, until somebody has read what was not so any more.
const ROUNDS_OF_MUTANT: usize = 30;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn b1_leaders_die_and_stand_still() {
    let mut trial = Trial::begin("B1", Plan::with_kafka()).await;
    for round in 0..ROUNDS {
        stop_the_leader(&mut trial, round).await;
    }
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn b1_notices_reads_that_ask_nobody() {
    let mut plan = Plan::with_kafka();
    plan.set("FAILPOINTS", "meta.read.skip_index=return");
    let mut trial = Trial::begin("B1-mutant", plan).await;
    for round in 0..ROUNDS_OF_MUTANT {
        if trial.is_out_of_order() {
            break;
        }
        stop_the_leader(&mut trial, round).await;
    }
    trial.end().await.has_broken("LIN");
}

/// Pauses the leader, or kills it, until the others have had another one for a while.
async fn stop_the_leader(trial: &mut Trial, round: usize) {
    let leader = trial.region.leader(round % MEMBERS).await;
    let is_pause = round.is_multiple_of(2);
    if is_pause {
        trial.region.process(leader).pause();
    } else {
        trial.region.take_member(leader).kill();
    }
    let (region, other) = (&trial.region, (leader + 1) % MEMBERS);
    eventually("the others have another leader", SOON, || async {
        region.led_by(other).filter(|new| *new != leader)
    })
    .await;
    trial.go_on(Duration::from_secs(2)).await;
    if is_pause {
        trial.region.process(leader).go_on();
    } else {
        trial.region.start_member(leader);
    }
    trial.works().await;
}
