//! E and H: what is late, or never comes by the way that it should.

use std::time::Duration;

use futures::future::join_all;
use harness::{Answer, Client, Content, Image, World, digest, eventually, seed};
use serde_json::Value;

use super::events::Still;
use crate::history::{Call, History, Name, Op};
use crate::trial::SOON;
use crate::world::WorldTrial;

/// How long a state goes on.
const LONG: Duration = Duration::from_secs(10);

const REPOSITORY: &str = "team/late";

/// How many pull the same at once.
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn e1_the_brokers_of_another_region_are_away() {
    let trial = WorldTrial::begin("E1-abroad", World::plans()).await;
    trial.world.cut_logs();
    trial.work().await;
    trial.go_on(LONG).await;
    // They stay away: in the end regions agree without them.
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn e1_what_is_pushed_while_kafka_is_away_everywhere_is_pulled_from_the_other_region() {
    let mut plans = World::plans();
    for plan in &mut plans {
        plan.set("MERIDIAN_EVENTS__KAFKA__APPEND_TIMEOUT", "2s");
        // Nor are origins asked for events: what a region has of the other one was read through.
        let patience = ("MERIDIAN_REPLICATION__STREAM__TAIL_GRACE", "10m");
        plan.agent
            .push((patience.0.to_owned(), patience.1.to_owned()));
    }
    let trial = WorldTrial::begin("E1-everywhere", plans).await;
    let still = Still::stand(&World::kafka());
    trial.work().await;
    trial.go_on(LONG).await;
    let [here, there] = trial.world.regions.each_ref();
    let [from, to] = [here, there].map(|region| Client::new(region.bases()[0].clone()));
    let mut content = Content::new(seed(801));
    let merged = cursors(&there.replicated().unwrap());
    for round in 0..10 {
        let (image, tag) = (content.image(&[200, 300_000]), round.to_string());
        push(&trial.history, &from, REPOSITORY, &tag, &image).await;
        let pulled = to.manifest(REPOSITORY, &tag).await.unwrap();
        assert_eq!(pulled.expect(200).body, image.manifest);
        assert!(pull(&to, &image).await, "image {round} was not to be had");
    }
    trial.work().await;
    let status = there.replicated().unwrap();
    assert_eq!(cursors(&status), merged, "an event has come by");
    assert!(status["events_behind"].as_u64().unwrap() > 10, "{status}");
    drop(still);
    eventually("what has waited in Kafka is merged", SOON, || async {
        let now = cursors(&there.replicated()?);
        (now != merged).then_some(())
    })
    .await;
    trial.end().await.is_clean();
}

/// How far each shard of the other region is merged, by what a region says of it.
fn cursors(peer: &Value) -> Vec<String> {
    let shards = peer["shards"].as_array().unwrap().iter();
    shards.map(|it| it["cursor"].to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn e4_a_topic_has_gaps_and_the_origin_fills_them() {
    let mut plans = World::plans();
    // Of what was committed, some is never told to Kafka.
    plans[0].set("FAILPOINTS", "ob.forget=20%return");
    let trial = WorldTrial::begin("E4", plans).await;
    trial.go_on(2 * LONG).await;
    trial.end().await.has_only_broken("EVT");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn h6_what_has_not_arrived_is_pulled_whole_or_not_at_all() {
    let trial = WorldTrial::begin("H6", World::plans()).await;
    trial.world.cut_logs();
    trial.world.set_wan("60ms,2MB/s");
    let clients = trial.world.regions.each_ref();
    let [here, there] = clients.map(|region| Client::new(region.bases()[0].clone()));
    let mut content = Content::new(seed(806));
    for (round, is_cut) in [false, true].into_iter().enumerate() {
        let (image, tag) = (content.image(&[200, 3_000_000]), round.to_string());
        push(&trial.history, &here, REPOSITORY, &tag, &image).await;
        let pulled = there.manifest(REPOSITORY, &tag).await.unwrap();
        assert_eq!(pulled.expect(200).body, image.manifest);
        let pulls = join_all((0..AT_ONCE).map(|_| pull(&there, &image)));
        let cut = async {
            trial.go_on(Duration::from_millis(500)).await;
            if is_cut {
                trial.world.part();
                trial.world.reset();
            }
        };
        let (whole, ()) = tokio::join!(pulls, cut);
        assert!(
            is_cut || whole.iter().all(|it| *it),
            "what could be had was not: {whole:?}"
        );
        trial.world.heal();
        trial.world.cut_logs();
        eventually("it is there", SOON, || async {
            pull(&there, &image).await.then_some(())
        })
        .await;
    }
    trial.world.heal();
    trial.world.set_wan(crate::world::WAN);
    trial.end().await.is_clean();
}

/// Pushes an image to the first frontend of all, on record: its topic tells of it.
pub(super) async fn push(
    history: &History,
    client: &Client,
    repository: &str,
    tag: &str,
    image: &Image,
) {
    let call = Call::Put(name(repository, tag), image.digest());
    let pushed = client.push_image(repository, tag, image);
    on_record(history, call, pushed).await.expect(201);
}

/// Deletes a tag there, on record.
pub(super) async fn untag(history: &History, client: &Client, repository: &str, tag: &str) {
    let call = Call::Untag(name(repository, tag));
    let path = format!("/v2/{repository}/manifests/{tag}");
    let deleted = client.delete(&path);
    on_record(history, call, deleted).await.expect(202);
}

fn name(repository: &str, tag: &str) -> Name {
    Name {
        repository: repository.to_owned(),
        tag: tag.to_owned(),
    }
}

async fn on_record(
    history: &History,
    call: Call,
    ask: impl Future<Output = Result<Answer, reqwest::Error>>,
) -> Answer {
    let begun = history.now();
    let answer = ask.await;
    history.record(Op {
        client: 0,
        front: 0,
        begun,
        ended: history.now(),
        outcome: call.outcome(&answer),
        is_stale: false,
        retry_after: false,
        call,
    });
    answer.unwrap()
}

/// Pulls the blobs of an image; whether they were to be had. What is had is whole.
async fn pull(client: &Client, image: &Image) -> bool {
    for blob in &image.blobs {
        match client.blob(REPOSITORY, digest(blob)).await {
            Ok(answer) if answer.status.as_u16() == 200 => assert_eq!(answer.body, *blob),
            Ok(answer) => {
                assert_ne!(answer.status.as_u16(), 404, "a leaf of a visible manifest");
                return false;
            }
            // It broke off, and that was seen.
            Err(_) => return false,
        }
    }
    true
}
