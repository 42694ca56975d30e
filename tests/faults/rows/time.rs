//! D: clocks that are set.

use std::time::Duration;

use harness::{Content, MEMBERS, Plan, World, eventually, seed};

use crate::trial::{HEAL, Trial};
use crate::world::WorldTrial;

/// Sets the wall clock of a process, and leaves the steady one alone.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// The clocks of a region's members.
struct Clocks(tempfile::TempDir);

impl Clocks {
    /// Clocks that are right, for the members of this plan.
    fn wind(plan: &mut Plan) -> Self {
        assert!(
            std::path::Path::new(FAKETIME).is_file(),
            "{FAKETIME} is missing: install the package faketime"
        );
        let clocks = Self(tempfile::tempdir().unwrap());
        clocks.set_all("+0");
        plan.set("LD_PRELOAD", FAKETIME);
        plan.clocks = Some(clocks.0.path().to_owned());
        plan.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        plan.set("DONT_FAKE_MONOTONIC", "1");
        plan.set("FAKETIME_CACHE_DURATION", "1");
        clocks
    }

    /// Those of all members.
    fn set_all(&self, offset: &str) {
        (0..MEMBERS).for_each(|member| self.set(member, offset));
    }

    fn set(&self, member: usize, offset: &str) {
        // It is put in place whole.
        let new = self.0.path().join("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(&new, self.0.path().join(member.to_string())).unwrap();
    }
}

/// With lease reads: a lease that rested on the wall clock would be believed for too long.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "sets clocks and breaks processes for minutes: cargo xtask faults"]
async fn d3_the_leaders_clock_is_set_back_and_forth() {
    let mut plan = Plan::with_kafka();
    plan.set("MERIDIAN_METADATA__GROUP__LEASE_READS", "true");
    let clocks = Clocks::wind(&mut plan);
    let set = |member, offset| clocks.set(member, offset);
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

/// The region whose clock is wrong, and the one whose clock is right.
const WRONG: usize = 0;
const RIGHT: usize = 1;

/// How long a clock stays as it is.
const A_WHILE: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and sets clocks: cargo xtask faults"]
async fn d1_the_clock_of_a_region_is_wrong() {
    let mut plans = World::plans();
    let clocks = Clocks::wind(&mut plans[WRONG]);
    let trial = WorldTrial::begin("D1", plans).await;
    for offset in ["-30s", "+0", "+30s", "+0"] {
        clocks.set_all(offset);
        trial.go_on(A_WHILE).await;
        trial.work().await;
    }
    // So far off that it stamps nothing, and takes nothing in. The other region does not mind.
    for offset in ["-10m", "-1d"] {
        clocks.set_all(offset);
        trial.go_on(A_WHILE).await;
        let since = trial.history.now();
        trial.works_in(RIGHT).await;
        trial.go_on(A_WHILE).await;
        let stamped = trial.history.ops().into_iter().find(|op| {
            op.region() == WRONG && op.begun > since && op.call.is_write() && op.succeeded()
        });
        assert!(stamped.is_none(), "a version of then: {stamped:?}");
        clocks.set_all("+0");
        trial.work().await;
    }
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and sets clocks: cargo xtask faults"]
async fn d2_clocks_are_set_while_regions_are_apart() {
    let mut plans = World::plans();
    let clocks = plans.each_mut().map(Clocks::wind);
    let trial = WorldTrial::begin("D2", plans).await;
    let mut dice = Content::new(seed(852));
    for round in 0..6 {
        if round % 2 == 0 {
            trial.world.part();
        } else {
            trial.world.heal();
        }
        for clock in &clocks {
            // No two are further apart than what a version may be ahead.
            clock.set_all(&format!("-{}s", dice.number(0..25)));
        }
        trial.go_on(A_WHILE).await;
        trial.work().await;
    }
    clocks.iter().for_each(|clock| clock.set_all("+0"));
    trial.world.heal();
    trial.end().await.is_clean();
}
