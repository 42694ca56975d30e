//! H and B: regions that are lost, or cut from each other.

use std::time::{Duration, Instant};

use harness::{Answer, Client, REGIONS, World, eventually};
use meridian_oci::Digest;

use crate::history::{Call, Op, Outcome};
use crate::trial::{SOON, Verdict};
use crate::work::{client, leaves};
use crate::world::{ADMIN, WorldTrial, admin};

/// How long regions stay apart.
const LONG: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn h2_regions_are_cut_from_each_other_and_both_write() {
    apart("H2", None).await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn h2_notices_a_merge_that_leaves_tags_out() {
    let switch = ("FAILPOINTS", "meta.merge.skip_tags=return");
    apart("H2-mutant", Some(switch)).await.has_broken("CONV");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn h2_three_members_each_are_cut_off_and_lose_their_leader() {
    let mut trial = WorldTrial::begin("H2-three", World::plans()).await;
    for region in 0..REGIONS {
        trial.world.part();
        trial.work().await;
        let leader = trial.world.regions[region].leader(0).await;
        trial.world.regions[region].take_member(leader).kill();
        trial.work().await;
        trial.world.heal();
        trial.go_on(LONG / 2).await;
        trial.world.regions[region].start_member(leader);
        trial.work().await;
    }
    trial.end().await.is_clean();
}

/// What two regions do not show: a third one that hears both sides, and regions that hear of each other by
/// different ways.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn h2_three_regions_agree_whoever_was_cut_off_or_killed() {
    const ALL: usize = 3;
    let plans = World::<ALL>::plans_of_one_member();
    let mut trial = WorldTrial::begin("H2-regions", plans).await;
    for region in 0..ALL {
        let (next, last) = ((region + 1) % ALL, (region + 2) % ALL);
        // The third one hears both.
        trial.world.part_two(region, next);
        trial.work().await;
        trial.go_on(LONG / 2).await;
        trial.world.heal();
        trial.world.isolate(last);
        trial.work().await;
        // All of the metadata that the region has: nothing works there until it is back.
        trial.world.regions[region].take_member(0).kill();
        trial.works_in(next).await;
        trial.go_on(LONG / 5).await;
        trial.world.heal();
        trial.world.regions[region].start_member(0);
        trial.work().await;
        trial.world.regions[next].take_agent().kill();
        trial.go_on(LONG / 5).await;
        trial.world.regions[next].start_agent();
        trial.world.mute(region);
        trial.work().await;
        trial.go_on(LONG / 2).await;
        trial.world.heal();
        trial.work().await;
    }
    trial.end().await.is_clean();
}

/// Waits until a region has dropped the tombstones of all that was deleted before now.
async fn settles(admin: &Client) {
    let since = Instant::now();
    eventually("tombstones are dropped", SOON, || async {
        let metrics = admin.get("/metrics").await.ok()?.body;
        let metrics = String::from_utf8(metrics.to_vec()).ok()?;
        let name = "meridian_metadata_oldest_tombstone_age_seconds ";
        let mut ages = metrics.lines().filter_map(|line| line.strip_prefix(name));
        let oldest: u64 = ages.next().map_or(Some(0), |age| age.parse().ok())?;
        (Duration::from_secs(oldest + 1) < since.elapsed()).then_some(())
    })
    .await;
}

/// Cuts the regions from each other for a while, twice.
async fn apart(row: &'static str, setting: Option<(&str, &str)>) -> Verdict {
    let mut plans = World::plans();
    for plan in &mut plans {
        plan.set(ADMIN.0, ADMIN.1);
    }
    if let Some((name, value)) = setting {
        plans.iter_mut().for_each(|plan| plan.set(name, value));
    }
    let trial = WorldTrial::begin(row, plans).await;
    let regions = trial.world.regions.iter();
    let admins: Vec<_> = regions.map(|it| admin(it, it.process(0))).collect();
    for _ in 0..2 {
        trial.world.part();
        trial.work().await;
        trial.go_on(LONG).await;
        trial.work().await;
        trial.world.heal();
        trial.work().await;
        trial.go_on(LONG / 2).await;
        for admin in &admins {
            settles(admin).await;
        }
    }
    trial.end().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn h1_a_region_is_lost_for_ever() {
    let (lost, left) = (0, 1);
    let mut trial = WorldTrial::begin("H1", World::plans()).await;
    trial.go_on(LONG / 2).await;
    let since = trial.history.now();
    let ops = trial.history.ops();
    let acknowledged = ops.iter().filter(|op| op.region() == lost);
    let acknowledged = acknowledged.filter_map(manifest);
    let client = client(&trial.world.regions[left].bases()[0]);
    let mut count = 0;
    for (repository, digest) in acknowledged {
        // It is there by itself or because it is asked for: both are to last.
        eventually("the other region has it", SOON, || async {
            let answer = client.manifest(repository, &digest.to_string()).await;
            for leaf in leaves(&good(answer)?) {
                good(client.blob(repository, leaf).await)?;
            }
            Some(())
        })
        .await;
        count += 1;
    }
    assert!(count > 10, "only {count} images");
    trial.lose(lost, since);
    trial.work().await;
    trial.go_on(LONG).await;
    trial.end().await.is_clean();
}

fn good(answer: Result<Answer, reqwest::Error>) -> Option<Answer> {
    answer.ok().filter(|answer| answer.status.as_u16() == 200)
}

/// The manifest that was acknowledged, and its repository.
fn manifest(op: &Op) -> Option<(&str, Digest)> {
    match (&op.call, &op.outcome) {
        (Call::Put(name, digest), Outcome::Done(_)) => Some((&name.repository, *digest)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn b6_one_region_speaks_and_does_not_hear() {
    let trial = WorldTrial::begin("B6", World::plans()).await;
    for from in 0..REGIONS {
        trial.world.mute(from);
        trial.work().await;
        trial.go_on(LONG).await;
        trial.work().await;
        trial.world.heal();
        trial.work().await;
    }
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn b7_what_lies_between_is_slow_and_loses() {
    let trial = WorldTrial::begin("B7", World::plans()).await;
    trial.world.set_wan("200ms,jitter=80ms,loss=2%,5Mbit/s");
    trial.work().await;
    trial.go_on(2 * LONG).await;
    trial.work().await;
    trial.world.set_wan(crate::world::WAN);
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn b7_agents_die_and_stand_still_while_they_copy() {
    let mut trial = WorldTrial::begin("B7-agents", World::plans()).await;
    // So slow that there is always something on its way.
    trial.world.set_wan("60ms,500kB/s");
    for round in 0..2 * REGIONS {
        trial.go_on(LONG / 5).await;
        let region = round % REGIONS;
        if round < REGIONS {
            trial.world.regions[region].take_agent().kill();
            trial.work().await;
            trial.go_on(LONG / 5).await;
            trial.world.regions[region].start_agent();
        } else {
            trial.world.regions[region].agent().pause();
            trial.work().await;
            trial.go_on(LONG / 2).await;
            trial.world.regions[region].agent().go_on();
        }
        trial.world.reset();
        trial.work().await;
    }
    trial.world.set_wan(crate::world::WAN);
    trial.end().await.is_clean();
}
