//! B: members that cannot reach each other. Needs root.

use std::time::Duration;

use harness::{MEMBERS, Plan, eventually};

use crate::history::{Call, Outcome};
use crate::trial::{SOON, Trial};

/// How often the leader is cut off.
const ROUNDS: usize = 2;
/// The same, at most, until somebody has read what was not so any more.
const ROUNDS_OF_MUTANT: usize = 20;

fn plan() -> Plan {
    Plan {
        has_network: true,
        ..Plan::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cuts networks and breaks processes for minutes: cargo xtask faults"]
async fn b2_the_leader_is_alone() {
    let trial = Trial::begin("B2", plan()).await;
    for _ in 0..ROUNDS {
        leave_the_leader_alone(&trial).await;
    }
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cuts networks and breaks processes for minutes: cargo xtask faults"]
async fn b2_notices_a_leader_that_reads_alone() {
    let mut plan = plan();
    plan.set("FAILPOINTS", "meta.read.skip_index=return");
    let trial = Trial::begin("B2-mutant", plan).await;
    for _ in 0..ROUNDS_OF_MUTANT {
        if trial.is_out_of_order() {
            break;
        }
        leave_the_leader_alone(&trial).await;
    }
    trial.end().await.has_broken("LIN");
}

/// Cuts the leader off, until the others have had another one for a while.
async fn leave_the_leader_alone(trial: &Trial) {
    let old = trial.region.leader(0).await;
    let other = (old + 1) % MEMBERS;
    trial.region.network().isolate(old);
    let region = &trial.region;
    eventually("the others have another leader", SOON, || async {
        region.led_by(other).filter(|leader| *leader != old)
    })
    .await;
    trial.works().await;
    trial.go_on(Duration::from_secs(2)).await;
    trial.region.network().heal();
    trial.works().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cuts networks and breaks processes for minutes: cargo xtask faults"]
async fn b3_nobody_has_a_quorum() {
    let mut plan = plan();
    plan.set("MERIDIAN_METADATA__DEADLINE", "1s");
    let calls = ("MERIDIAN_SERVICES__CALLS__DEADLINE", "3s");
    plan.front.push((calls.0.to_owned(), calls.1.to_owned()));
    plan.blob.push((calls.0.to_owned(), calls.1.to_owned()));
    let trial = Trial::begin("B3", plan).await;
    let network = trial.region.network();
    let begun = trial.work.history.now();
    (0..MEMBERS).for_each(|member| network.isolate(member));
    trial.go_on(Duration::from_secs(14)).await;
    // What was under way when the cut was made may have been committed.
    let cut = begun + Duration::from_secs(4);
    let healed = trial.work.history.now();
    network.heal();
    let verdict = trial.end().await;
    let during = |op: &&crate::history::Op| op.begun > cut && op.ended < healed;
    let ops = verdict.ops();
    let (mut refused, mut fetched) = (0, 0);
    for op in ops.iter().filter(during) {
        match (&op.call, &op.outcome) {
            (Call::Put(..) | Call::Untag(_), Outcome::Done(_)) => panic!("committed: {op:?}"),
            (Call::Read(_), Outcome::Found(_)) => panic!("a tag was read: {op:?}"),
            (Call::Fetch(kind, _), Outcome::Found(_)) => {
                assert!(
                    op.is_stale || *kind == "blobs",
                    "it does not say that it may be old: {op:?}"
                );
                fetched += 1;
            }
            (_, Outcome::Unknown(why)) if why.starts_with("503") => {
                assert!(op.retry_after, "{op:?}");
                refused += 1;
            }
            (_, Outcome::Refused(503)) => {
                assert!(op.retry_after, "{op:?}");
                refused += 1;
            }
            _ => {}
        }
    }
    assert!(refused > 0, "nothing was refused: {}", verdict.keep());
    assert!(
        fetched > 0,
        "nothing was served by digest: {}",
        verdict.keep()
    );
    verdict.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cuts networks and breaks processes for minutes: cargo xtask faults"]
async fn b4_members_hear_and_cannot_speak_or_speak_and_cannot_hear() {
    let trial = Trial::begin("B4", plan()).await;
    let leader = trial.region.leader(0).await;
    let follower = (leader + 1) % MEMBERS;
    let term = |member| {
        trial.region.status(member).unwrap()["term"]
            .as_u64()
            .unwrap()
    };
    for (from, to) in [(leader, follower), (follower, leader)] {
        let before = term(follower);
        trial.region.network().mute(from, to);
        trial.works().await;
        trial.go_on(Duration::from_secs(6)).await;
        trial.works().await;
        // A leader may be lost over it, once or twice. Elections without end are the fault.
        let after = (0..MEMBERS).map(term).max().unwrap();
        assert!(after <= before + 6, "term {before} became {after}");
        trial.region.network().heal();
        trial.works().await;
    }
    trial.end().await.is_clean();
}
