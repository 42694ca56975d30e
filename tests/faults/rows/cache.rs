//! G: Redis that is away, hangs, or says what is not so.

use std::collections::HashMap;
use std::time::Duration;

use harness::{Content, Parts, Plan, S3Server, Wire, seed};
use redis::aio::MultiplexedConnection;

use crate::trial::Trial;

/// How long each state goes on.
const LONG: Duration = Duration::from_secs(6);
/// Between two looks at what Redis holds.
const BETWEEN: Duration = Duration::from_millis(200);
/// What is written back was true so many looks ago.
const AGE: usize = 3;

/// A region on a bucket and on Redis, with a way there.
struct Ground {
    wire: Wire,
    /// Past the wire.
    redis: MultiplexedConnection,
    _bucket: S3Server,
}

impl Ground {
    async fn lay() -> (Self, Plan) {
        let address = Parts::find()
            .redis
            .expect("Redis is among the parts")
            .address;
        let bucket = S3Server::start().await;
        let wire = Wire::to(address.clone()).await;
        let plan = Plan::with_kafka()
            .with_bucket(&bucket)
            .with_redis(wire.address());
        let client = redis::Client::open(format!("redis://{address}/")).unwrap();
        let redis = client.get_multiplexed_async_connection().await.unwrap();
        let ground = Self {
            wire,
            redis,
            _bucket: bucket,
        };
        (ground, plan)
    }

    /// Everything that the region has written and Redis still holds.
    async fn held(&mut self, plan: &Plan) -> HashMap<Vec<u8>, Vec<u8>> {
        let prefix = plan
            .blob
            .iter()
            .find(|(name, _)| name.ends_with("REDIS__PREFIX"));
        let pattern = format!("{}*", prefix.unwrap().1);
        let mut held = HashMap::new();
        // They are no texts.
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
            .arg(pattern)
            .query_async(&mut self.redis)
            .await
            .unwrap();
        for key in keys {
            // It may be gone by now.
            let value: Option<Vec<u8>> = redis::cmd("GET")
                .arg(&key)
                .query_async(&mut self.redis)
                .await
                .unwrap_or_default();
            held.extend(value.map(|value| (key, value)));
        }
        held
    }

    async fn put(&mut self, key: &[u8], value: &[u8]) {
        let mut set = redis::cmd("SET");
        let set = set.arg(key).arg(value).arg("PX").arg(60_000);
        set.query_async::<()>(&mut self.redis).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and Redis, and breaks processes for minutes: cargo xtask faults"]
async fn g1_redis_is_away_and_then_hangs() {
    let (ground, plan) = Ground::lay().await;
    let trial = Trial::begin("G1", plan).await;
    for break_it in [Wire::cut, Wire::hold] {
        break_it(&ground.wire);
        trial.works().await;
        trial.go_on(LONG).await;
        trial.works().await;
        ground.wire.mend();
        trial.works().await;
    }
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and Redis, and breaks processes for minutes: cargo xtask faults"]
async fn g3_redis_says_what_was_so_before() {
    let (mut ground, plan) = Ground::lay().await;
    let trial = Trial::begin("G3", plan).await;
    let mut looks = Vec::new();
    let mut changed = 0;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < 2 * LONG {
        let now = ground.held(&trial.region.plan).await;
        looks.push(now.clone());
        if let Some(before) = looks.len().checked_sub(AGE + 1) {
            for (key, value) in &looks[before] {
                changed += usize::from(now.get(key) != Some(value));
                ground.put(key, value).await;
            }
        }
        trial.go_on(BETWEEN).await;
    }
    assert!(changed > 20, "only {changed} entries were set back");
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and Redis, and breaks processes for minutes: cargo xtask faults"]
async fn g4_redis_says_what_never_was() {
    let (mut ground, plan) = Ground::lay().await;
    let trial = Trial::begin("G4", plan).await;
    let mut dice = Content::new(seed(840));
    let mut changed = 0;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < 2 * LONG {
        let held: Vec<_> = ground.held(&trial.region.plan).await.into_iter().collect();
        for (at, (key, value)) in held.iter().enumerate() {
            // What is of another session, what is torn, and what is not ours.
            let (_, other) = &held[(at + 1) % held.len()];
            match dice.number(0..6) {
                0 => ground.put(key, other).await,
                1 => ground.put(key, &value[..value.len() / 2]).await,
                2 => ground.put(key, br#"{"state":"committed"}"#).await,
                _ => continue,
            }
            changed += 1;
        }
        trial.go_on(BETWEEN).await;
    }
    assert!(changed > 20, "only {changed} entries were changed");
    trial.end().await.is_clean();
}
