//! D: clocks that are set.

use std::time::Duration;

use harness::{MEMBERS, Plan, eventually};

use crate::trial::{HEAL, Trial};

/// Sets the wall clock of a process, and leaves the steady one alone.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// With lease reads: a lease that rested on the wall clock would be believed for too long.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "sets clocks and breaks processes for minutes: cargo xtask faults"]
async fn d3_the_leaders_clock_is_set_back_and_forth() {
    let folder = tempfile::tempdir().unwrap();
    let set = |member: usize, offset: &str| {
        // It is put in place whole.
        let new = folder.path().join("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(&new, folder.path().join(member.to_string())).unwrap();
    };
    (0..MEMBERS).for_each(|member| set(member, "+0"));
    assert!(
        std::path::Path::new(FAKETIME).is_file(),
        "{FAKETIME} is missing: install the package faketime"
    );
    let mut plan = Plan::with_kafka();
    plan.set("MERIDIAN_METADATA__GROUP__LEASE_READS", "true");
    plan.set("LD_PRELOAD", FAKETIME);
    plan.clocks = Some(folder.path().to_owned());
    plan.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    plan.set("DONT_FAKE_MONOTONIC", "1");
    plan.set("FAKETIME_CACHE_DURATION", "1");
    let trial = Trial::begin("D3", plan).await;
    // The last one is within what clocks may differ by; at the others somebody else has to lead.
    for (step, stays) in [
        ("-30s", false),
        ("+20s", false),
        ("+5m", false),
        ("-5s", true),
    ] {
        let leader = trial.region.leader(0).await;
        let another = (leader + 1) % MEMBERS;
        set(leader, step);
        trial.go_on(Duration::from_secs(2)).await;
        if stays {
            trial.region.process(leader).pause();
            trial.go_on(Duration::from_secs(2)).await;
            trial.region.process(leader).go_on();
        } else {
            let leads = eventually("another member leads", HEAL, || async {
                trial.region.led_by(another).filter(|it| *it != leader)
            });
            assert_ne!(leads.await, leader);
        }
        trial.works().await;
        set(leader, "+0");
        trial.go_on(Duration::from_secs(2)).await;
        trial.works().await;
    }
    trial.end().await.is_clean();
}
