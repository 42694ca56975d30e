//! E: a topic that holds what is no event, or that has lost what it held.

use std::time::Duration;

use harness::{Client, Content, NO_EVENT, Plan, REGIONS, Region, World, digest, eventually, seed};
use meridian_event::{RegistryId, SHARDS};
use meridian_eventlog::{EventLog, KafkaEventLog, Record, Topic};
use meridian_oci::RepositoryName;
use serde_json::Value;

use super::arrival::{push, untag};
use crate::trial::{SOON, events};
use crate::work::REPOSITORY;
use crate::world::{ADMIN, WorldTrial, admin};

/// The region whose topic it is, and the one that consumes it.
const ORIGIN: usize = 0;
const CONSUMER: usize = 1;

/// How long a state goes on.
const LONG: Duration = Duration::from_secs(10);

/// A topic, as somebody sees it who has access to the brokers.
struct Seen {
    log: KafkaEventLog,
    topic: Topic,
}

// === impl Seen ===

impl Seen {
    async fn of(region: &Region) -> Self {
        Self {
            log: events(region).await.unwrap(),
            topic: Topic::events(region.name()),
        }
    }

    /// Where it stands then.
    async fn put_what_is_no_event(&self, shard: u16) -> u64 {
        let record = Record::new("", NO_EVENT);
        let appended = self.log.append(&self.topic, shard, vec![record]).await;
        appended.unwrap().first
    }
}

/// The shard of a repository in the registry that clients use.
fn shard_of(repository: &str) -> u16 {
    let name: RepositoryName = repository.parse().unwrap();
    meridian_event::shard_of(RegistryId::first(), Some(&name))
}

/// A repository whose events are in that shard, or in another one.
fn repository(shard: u16, is_there: bool) -> String {
    let mut names = (0..1_000).map(|number| format!("team/r{number}"));
    let found = names.find(|it| (shard_of(it) == shard) == is_there);
    found.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn e5_a_record_that_is_no_event_stops_its_shard_alone() {
    let mut plans = World::plans();
    let (name, value) = ADMIN;
    plans[CONSUMER]
        .agent
        .push((name.to_owned(), value.to_owned()));
    let mut trial = WorldTrial::begin("E5", plans).await;
    let seen = Seen::of(&trial.world.regions[ORIGIN]).await;
    let shard = shard_of(REPOSITORY);
    let offset = seen.put_what_is_no_event(shard).await;
    is_stopped(&trial, shard).await;
    tells(&trial).await;

    let [from, to] = [ORIGIN, CONSUMER].map(|it| client(&trial, it));
    let mut content = Content::new(seed(851));
    let [beside, elsewhere] = [true, false].map(|it| repository(shard, it));
    let image = content.image(&[200, 100_000]);
    for repository in [&elsewhere, &beside] {
        push(&trial.history, &from, repository, "1", &image).await;
    }
    eventually("other shards go on", SOON, || async {
        state(&trial, &format!("{elsewhere}:1")).filter(|it| it == "complete")
    })
    .await;
    trial.go_on(LONG).await;
    let waits = eventually("it is said how far it is", SOON, || async {
        state(&trial, &format!("{beside}:1"))
    });
    assert_eq!(waits.await, "pending", "its event is behind the record");
    let pulled = to.manifest(&beside, "1").await.unwrap();
    assert_eq!(pulled.expect(200).body, image.manifest);
    for blob in &image.blobs {
        let pulled = to.blob(&beside, digest(blob)).await.unwrap();
        assert_eq!(pulled.expect(200).body, *blob);
    }

    // Nobody's restart takes it for granted, and nobody ends because of it.
    start_agent_anew(&mut trial);
    is_stopped(&trial, shard).await;
    trial.work().await;

    let origin = trial.world.regions[ORIGIN].name().to_string();
    let skip = ["skip", &origin, &shard.to_string()];
    let skipped = trial.world.regions[CONSUMER].replication(&skip);
    assert!(skipped.status.success(), "{skipped:?}");
    let told = String::from_utf8(skipped.stdout).unwrap();
    assert!(told.contains(&format!("offset {offset}")), "{told}");
    goes_on(&trial, shard).await;
    let again = trial.world.regions[CONSUMER].replication(&skip);
    let told = String::from_utf8(again.stderr).unwrap();
    assert_eq!(again.status.code(), Some(1), "{told}");
    assert!(told.contains("not stopped"), "{told}");
    // What is behind is not met again.
    start_agent_anew(&mut trial);
    goes_on(&trial, shard).await;

    // Nor does it end an origin that it is the last record of a shard.
    let idle = (0..SHARDS).find(|it| ![shard, shard_of(&elsewhere)].contains(it));
    seen.put_what_is_no_event(idle.unwrap()).await;
    let region = &mut trial.world.regions[ORIGIN];
    let leader = region.leader(0).await;
    region.take_member(leader).kill();
    region.start_member(leader);
    trial.work().await;
    trial.end().await.is_clean();
}

fn client(trial: &WorldTrial, region: usize) -> Client {
    Client::new(trial.world.regions[region].bases()[0].clone())
}

/// What the consumer says of a shard of the origin, if it answers.
fn shard_status(trial: &WorldTrial, shard: u16) -> Option<Value> {
    let mut status = trial.world.regions[CONSUMER].replicated()?;
    let mut shards = status["shards"].as_array_mut()?.iter_mut();
    Some(shards.find(|it| it["shard"] == shard)?.take())
}

async fn is_stopped(trial: &WorldTrial, shard: u16) {
    let advice = "meridian replication skip";
    eventually("the shard is stopped", SOON, || async {
        let status = shard_status(trial, shard)?;
        let alarm = status["alarm"].as_str()?;
        let is_told = alarm.contains("is stopped") && alarm.contains(advice);
        (is_told && alarm.contains("offset")).then_some(())
    })
    .await;
}

/// The log and the metrics say it as well.
async fn tells(trial: &WorldTrial) {
    let region = &trial.world.regions[CONSUMER];
    let agent = region.agent();
    // It says so at its start, and lines are read in their order.
    let admin = admin(region, agent);
    assert!(
        agent
            .log_line("is stopped")
            .contains("meridian replication skip")
    );
    let metrics = admin.get("/metrics").await.unwrap().expect(200);
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    let origin = trial.world.regions[ORIGIN].name();
    let stopped = format!("meridian_replication_stopped_streams{{region=\"{origin}\"}} 1");
    assert!(
        metrics.contains(&stopped),
        "`{stopped}` is not in {metrics}"
    );
}

/// Waits until a shard is merged as far as the origin was when that began.
async fn goes_on(trial: &WorldTrial, shard: u16) {
    let seq = |place: &Value| -> Option<u64> { place.as_str()?.split_once('.')?.1.parse().ok() };
    let head = eventually("the origin says how far it is", SOON, || async {
        seq(&shard_status(trial, shard)?["head"])
    })
    .await;
    eventually("the shard goes on", SOON, || async {
        let status = shard_status(trial, shard)?;
        let is_merged = seq(&status["cursor"])? >= head;
        (is_merged && status["alarm"].is_null()).then_some(())
    })
    .await;
}

/// How far an image is with the consumer, if it says so. Nothing is read through for that.
fn state(trial: &WorldTrial, image: &str) -> Option<String> {
    let region = &trial.world.regions[CONSUMER];
    let asked = region.replication(&["status", image, "--json"]);
    let status: Value = serde_json::from_slice(&asked.stdout).ok()?;
    let own = region.name().to_string();
    let mut rows = status["regions"].as_array()?.iter();
    let row = rows.find(|row| row["region"] == *own)?;
    Some(row["state"].as_str()?.to_owned())
}

fn start_agent_anew(trial: &mut WorldTrial) {
    let region = &mut trial.world.regions[CONSUMER];
    region.take_agent().kill();
    region.start_agent();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn e3_a_topic_that_was_lost_is_made_up_for_by_a_copy() {
    let trial = lost("E3", World::plans()).await;
    // Nobody has asked for it. Its bytes come when there is nothing newer to fetch.
    eventually("what only the old topic told is known", SOON, || async {
        state(&trial, &format!("{KEPT}:new")).filter(|it| it != "pending")
    })
    .await;
    // The new topic lacks what the old one had; all else is as ever.
    trial.end().await.has_only_broken("EVT");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn e3_notices_a_copy_that_leaves_everything_out() {
    let mut plans = World::plans();
    let switch = ("FAILPOINTS", "rp.copy.skip_cells=return");
    let switch = (switch.0.to_owned(), switch.1.to_owned());
    plans[CONSUMER].agent.push(switch);
    let trial = lost("E3-mutant", plans).await;
    trial.end().await.has_broken("CONV");
}

/// Where something is done once, and never again.
const KEPT: &str = "team/kept";

/// Has a topic deleted with what nobody has consumed, and waits until its consumer goes on.
async fn lost(row: &'static str, mut plans: [Plan; REGIONS]) -> WorldTrial {
    // Otherwise the outbox has it still.
    plans.iter_mut().for_each(|plan| plan.forgets_others = true);
    let mut trial = WorldTrial::begin(row, plans).await;
    let seen = Seen::of(&trial.world.regions[ORIGIN]).await;
    let from = client(&trial, ORIGIN);
    let mut content = Content::new(seed(853));
    let [old, new] = [200, 100_000].map(|size| content.image(&[size]));
    push(&trial.history, &from, KEPT, "old", &old).await;
    eventually("it is in both regions", SOON, || async {
        state(&trial, &format!("{KEPT}:old")).filter(|it| it == "complete")
    })
    .await;
    // What is committed meanwhile is in the topic, has left the outbox, and is consumed by nobody.
    trial.world.part();
    untag(&trial.history, &from, KEPT, "old").await;
    push(&trial.history, &from, KEPT, "new", &new).await;
    trial.work().await;
    trial.go_on(LONG).await;
    seen.log.delete_topic(&seen.topic).await.unwrap();
    // Whoever publishes notices, and believes nothing any more until it is started again.
    let region = &mut trial.world.regions[ORIGIN];
    let member = eventually("the publisher ends", SOON, || {
        std::future::ready(region.ended_member())
    })
    .await;
    let ended = region.take_member(member);
    assert!(ended.said().contains("it has lost events"));
    region.start_member(member);
    trial.work().await;
    trial.world.heal();
    let agent = trial.world.regions[CONSUMER].agent();
    agent.log_line("nobody has its next event");
    agent.log_line("the state of a region is copied");
    for shard in 0..SHARDS {
        goes_on(&trial, shard).await;
    }
    trial
}
