//! N: dispatchers of webhooks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Content, Manner, Parts, Plan, Receiver, Region, SeenRequest, eventually, seed};
use meridian_event::SHARDS;
use meridian_eventlog::{EventLog, Topic};
use standardwebhooks::Webhook;

use super::events::Still;
use crate::trial::{SOON, events};
use crate::work::client;
use crate::world::{ADMIN, admin};

/// What a dispatcher may be silent for before others work on what is its.
const ABSENT: Duration = Duration::from_secs(5);
/// Pushes between two faults.
const PUSHES: usize = 15;
const REPOSITORIES: usize = 4;
const DELIVERED: &str = "meridian_webhook_attempts_total{outcome=\"delivered\"} ";

/// A region with two dispatchers, and what was pushed to it.
struct Stage {
    region: Region,
    content: Content,
    /// Of each repository the tags that were acknowledged, in order.
    pushed: BTreeMap<String, Vec<String>>,
    /// Tags that were tried.
    tags: usize,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn n2_dispatchers_are_killed_and_stand_still_and_every_push_is_told_in_order() {
    let mut stage = Stage::begin(Plan::with_kafka());
    let receiver = Receiver::start().await;
    let secrets = ["/well", "/sick"].map(|path| stage.hook(&receiver, path));
    receiver.behave("/sick", Manner::Fails(5));
    stage.push().await;

    // One is killed while it works, and the other has all of it.
    stage.region.take_dispatcher(0).kill();
    stage.push().await;
    stage.region.start_dispatcher(0);
    stage.push().await;
    // One stands still for so long that it is taken for gone, and wakes up with what it had in hand.
    let other = stage.region.take_dispatcher(1);
    other.pause();
    stage.push().await;
    tokio::time::sleep(2 * ABSENT).await;
    stage.push().await;
    other.go_on();
    stage.region.has_dispatcher(1, other);
    stage.push().await;
    // The metadata change hands meanwhile.
    let leader = stage.region.leader(0).await;
    stage.region.take_member(leader).kill();
    stage.push().await;
    stage.region.start_member(leader);
    // Both at once.
    for dispatcher in 0..2 {
        stage.region.take_dispatcher(dispatcher).kill();
    }
    stage.push().await;
    for dispatcher in 0..2 {
        stage.region.start_dispatcher(dispatcher);
    }

    for (path, secret) in ["/well", "/sick"].into_iter().zip(secrets) {
        stage.all_told(&receiver, path, &secret).await;
    }
    assert_eq!(stage.first_told(&receiver.taken("/well")), stage.pushed);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn n2_kafka_stands_still_and_loses_its_topic_and_every_push_is_told_in_order() {
    let mut stage = Stage::begin(Plan::with_kafka());
    let receiver = Receiver::start().await;
    let secret = stage.hook(&receiver, "/well");
    stage.push().await;

    // Kafka is away; one dispatcher dies meanwhile, and starts without having seen it.
    let kafka = Parts::find().kafka.expect("Kafka is among the parts");
    let still = Still::stand(&[kafka]);
    stage.push().await;
    stage.region.take_dispatcher(0).kill();
    stage.push().await;
    stage.region.start_dispatcher(0);
    drop(still);
    stage.push().await;
    stage.all_told(&receiver, "/well", &secret).await;

    // What no dispatcher has read is lost with its topic.
    for dispatcher in 0..2 {
        stage.region.take_dispatcher(dispatcher).kill();
    }
    stage.push().await;
    stage.lose_topic().await;
    for dispatcher in 0..2 {
        stage.region.start_dispatcher(dispatcher);
    }
    stage.push().await;
    stage.all_told(&receiver, "/well", &secret).await;
    assert_eq!(stage.first_told(&receiver.taken("/well")), stage.pushed);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn n2_notices_a_dispatcher_that_forgets() {
    let mut plan = Plan::with_kafka();
    let forgets = (
        "FAILPOINTS".to_owned(),
        "wh.forget=2*off->1*return->off".to_owned(),
    );
    let (name, value) = ADMIN;
    let admin = (name.to_owned(), value.to_owned());
    plan.dispatcher.extend([forgets, admin]);
    let mut stage = Stage::begin(plan);
    let receiver = Receiver::start().await;
    let uri = receiver.uri("/");
    let created = stage
        .region
        .webhook(0, &["create", "forgets", "--uri", &uri]);
    assert!(created.status.success(), "{created:?}");
    stage.push().await;
    // Each of the two forgets one at most, and takes it for delivered as the others.
    eventually("all are taken for delivered", SOON, || async {
        (stage.delivered().await >= PUSHES).then_some(())
    })
    .await;
    assert_ne!(stage.first_told(&receiver.taken("/")), stage.pushed);
}

fn place(request: &SeenRequest) -> (String, String) {
    let body = request.json();
    let text = |name: &str| body["target"][name].as_str().unwrap().to_owned();
    (text("repository"), text("tag"))
}

// === impl Stage ===

impl Stage {
    fn begin(plan: Plan) -> Self {
        let mut region = Region::start(plan);
        region.start_dispatcher(0);
        region.start_dispatcher(1);
        Self {
            region,
            content: Content::new(seed(720)),
            pushed: BTreeMap::new(),
            tags: 0,
        }
    }

    /// Of each repository the tags that were acknowledged and told, in the order in which each was told first.
    fn first_told(&self, requests: &[SeenRequest]) -> BTreeMap<String, Vec<String>> {
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (repository, tag) in requests.iter().map(place) {
            let tags = told.entry(repository.clone()).or_default();
            let is_pushed = |pushed: &Vec<String>| pushed.contains(&tag);
            if !tags.contains(&tag) && self.pushed.get(&repository).is_some_and(is_pushed) {
                tags.push(tag);
            }
        }
        told
    }

    /// A webhook that calls a receiver there; its secret.
    fn hook(&self, receiver: &Receiver, path: &str) -> String {
        let name = format!("hook{}", &path[1..]);
        let arguments = ["create", &name, "--uri", &receiver.uri(path), "--json"];
        let created = self.region.webhook(0, &arguments);
        assert!(created.status.success(), "{created:?}");
        let created: serde_json::Value = serde_json::from_slice(&created.stdout).unwrap();
        created["secret"].as_str().unwrap().to_owned()
    }

    /// Waits until a receiver took all that was pushed, each push under one id.
    async fn all_told(&self, receiver: &Receiver, path: &str, secret: &str) {
        let what = format!("{path} is told all");
        let told = eventually(&what, SOON, || async {
            let told = receiver.taken(path);
            let lengths = |tags: BTreeMap<String, Vec<String>>| -> usize {
                tags.values().map(Vec::len).sum()
            };
            (lengths(self.first_told(&told)) == lengths(self.pushed.clone())).then_some(told)
        });
        let told = told.await;
        let verifier = Webhook::new(secret).unwrap();
        let mut ids = BTreeMap::new();
        for request in &told {
            verifier.verify(&request.body, &request.headers).unwrap();
            let id = request.header("webhook-id").to_owned();
            let known = ids.entry(place(request)).or_insert_with(|| id.clone());
            assert_eq!(*known, id, "{path}: one push has one id");
        }
        eprintln!(
            "N2: {path} was told {} pushes {} times",
            ids.len(),
            told.len()
        );
    }

    /// How many attempts the dispatchers say were delivered.
    async fn delivered(&self) -> usize {
        let mut all = 0;
        for dispatcher in self.region.dispatchers() {
            let metrics = admin(&self.region, dispatcher).get("/metrics").await;
            let metrics = String::from_utf8(metrics.unwrap().expect(200).body.to_vec()).unwrap();
            let count = metrics
                .lines()
                .find_map(|line| line.strip_prefix(DELIVERED));
            all += count.map_or(0, |count| count.trim().parse::<usize>().unwrap());
        }
        all
    }

    /// Has the topic deleted when all is in it, and the publisher, which believes nothing any more, started again.
    async fn lose_topic(&mut self) {
        let log = events(&self.region).await.unwrap();
        let topic = Topic::events(self.region.name());
        let pushed: usize = self.pushed.values().map(Vec::len).sum();
        eventually("all is published", SOON, || async {
            let mut records = 0;
            for shard in 0..SHARDS {
                records += log.bounds(&topic, shard).await.unwrap().high;
            }
            // Of each push two blobs and the manifest.
            (records >= 3 * pushed as u64).then_some(())
        })
        .await;
        log.delete_topic(&topic).await.unwrap();
        self.push().await;
        let member = eventually("the publisher ends", SOON, || {
            std::future::ready(self.region.ended_member())
        });
        let member = member.await;
        let ended = self.region.take_member(member);
        assert!(ended.said().contains("it has lost events"));
        self.region.start_member(member);
    }

    async fn push(&mut self) {
        let bases = self.region.bases();
        for number in 0..PUSHES {
            let repository = format!("team/app{}", number % REPOSITORIES);
            let image = self.content.image(&[500]);
            // While nobody leads nothing is pushed; what was not acknowledged may be there, and is told then.
            let attempts = AtomicUsize::new(0);
            let pushed = eventually("a push succeeds", SOON, || async {
                let tag = self.tags + attempts.fetch_add(1, Ordering::Relaxed);
                let front = client(&bases[number % bases.len()]);
                let tag = format!("v{tag}");
                let pushed = front.push_image(&repository, &tag, &image).await;
                pushed.is_ok_and(|it| it.status == 201).then_some(tag)
            })
            .await;
            self.tags += attempts.into_inner();
            self.pushed.entry(repository).or_default().push(pushed);
        }
    }
}
