//! F: an S3 store that is slow, lies, or forgets.

use std::time::Duration;

use harness::Plan;
use harness::s3::{Call, Fault, S3Proxy, S3Server};

use crate::trial::{Trial, Verdict};

/// How long faults go on.
const LONG: Duration = Duration::from_secs(8);
/// Between two of a kind.
const BETWEEN: Duration = Duration::from_millis(150);

/// What comes back is not what was stored.
const OTHER: &[(Call, usize, Fault)] = &[
    (Call::Get, 0, Fault::Shorten(500)),
    (Call::Get, 0, Fault::BreakOff(70_000)),
    (Call::Get, 0, Fault::Flip),
];

/// Has faults happen while clients work: each to the call of its kind with that number, again and again.
async fn meet(row: &'static str, mut plan: Plan, faults: &[(Call, usize, Fault)]) -> Verdict {
    let server = S3Server::start().await;
    let proxy = S3Proxy::to(server.address()).await;
    plan.blob.extend(server.settings_at(&proxy.endpoint()));
    let trial = Trial::begin(row, plan).await;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < LONG {
        for (call, nth, fault) in faults {
            proxy.script_nth(*call, *nth, fault.clone());
        }
        trial.go_on(BETWEEN).await;
    }
    assert!(proxy.met() > 5, "only {} faults were met", proxy.met());
    proxy.heal();
    trial.end().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn f1_the_store_slows_us_down_and_then_refuses_everything() {
    let slow = [
        (Call::Put, 0, Fault::SlowDown(None)),
        (Call::Get, 0, Fault::SlowDown(Some(1))),
        (Call::Head, 0, Fault::SlowDown(None)),
    ];
    meet("F1", Plan::with_kafka(), &slow).await.is_clean();

    let server = S3Server::start().await;
    let proxy = S3Proxy::to(server.address()).await;
    let mut plan = Plan::with_kafka();
    plan.blob = server.settings_at(&proxy.endpoint());
    let trial = Trial::begin("F1-all", plan).await;
    for call in [Call::Put, Call::Get, Call::Head, Call::Begin, Call::Part] {
        proxy.script(call, 100_000, Fault::SlowDown(None));
    }
    trial.go_on(LONG).await;
    proxy.heal();
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn f2_the_store_fails_after_it_has_done_what_was_asked() {
    let faults = [
        (Call::Put, 0, Fault::ErrorAfter),
        (Call::Put, 0, Fault::ResetAfter),
        (Call::Get, 0, Fault::ResetAfter),
    ];
    meet("F2", Plan::with_kafka(), &faults).await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn f3_the_store_answers_with_other_bytes_or_fewer() {
    meet("F3", Plan::with_kafka(), OTHER).await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn f3_notices_bytes_that_are_believed() {
    let mut plan = Plan::with_kafka();
    let switch = (
        "FAILPOINTS".to_owned(),
        "s3.skip_read_check=return".to_owned(),
    );
    plan.blob.push(switch);
    meet("F3-mutant", plan, OTHER).await.has_broken("INTEG");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn f4_the_store_does_not_see_what_it_has() {
    let faults = [
        (Call::Head, 0, Fault::Refused(404, "NotFound")),
        (Call::Get, 0, Fault::Refused(404, "NoSuchKey")),
    ];
    meet("F4", Plan::with_kafka(), &faults).await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn f5_the_store_says_yes_and_has_done_nothing() {
    // Of what is put for a blob, the bytes and not what tells of the upload, by and by.
    let faults = [(Call::Put, 2, Fault::Lose)];
    meet("F5", Plan::with_kafka(), &faults).await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn f5_notices_a_store_that_is_believed() {
    let mut plan = Plan::with_kafka();
    let switch = ("FAILPOINTS".to_owned(), "s3.skip_check=return".to_owned());
    plan.blob.push(switch);
    // Of what is put for a blob, the bytes and not what tells of the upload, by and by.
    let faults = [(Call::Put, 2, Fault::Lose)];
    meet("F5-mutant", plan, &faults).await.has_broken("DUR");
}
