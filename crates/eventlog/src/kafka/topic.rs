//! Topics: how they are created, and whether those that are there keep what the port promises.
//!
//! Owns the settings of our topics. A topic is never changed here: what somebody else has set is
//! either sound or told, with what to do about it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::RDKafkaErrorCode;

use super::client::{MAX_MESSAGE_BYTES, Settings, Telling};
use super::cluster::Cluster;
use super::config::{KafkaConfig, LEAST_IN_SYNC, LEAST_REPLICATION};
use super::failure::Failure;
use crate::{Outage, Topic};

/// How often a new topic is looked for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// What is wrong with a topic, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicFault {
    /// It is not there.
    #[error("topic {0} is missing; `meridian events init` creates it")]
    Missing(Topic),
    /// It has another number of shards.
    #[error(
        "topic {topic} has {found} partitions instead of {wanted}, which decide where events lie and \
         cannot change; delete the topic and run `meridian events init`, and what is still in the \
         outbox is published again"
    )]
    Shards {
        /// Which topic.
        topic: Topic,
        /// What it has.
        found: u16,
        /// What it has to have.
        wanted: u16,
    },
    /// A broker may take acknowledged records with it.
    #[error(
        "topic {topic} has {found} replicas, fewer than {LEAST_REPLICATION}; reassign its \
         partitions to {LEAST_REPLICATION} brokers with kafka-reassign-partitions, or set \
         single_broker = true where events may be lost with a broker"
    )]
    Replicas {
        /// Which topic.
        topic: Topic,
        /// What it has.
        found: u16,
    },
    /// One of its settings breaks a promise.
    #[error(
        "topic {topic} has {name}={found}, {why}; run kafka-configs --alter --topic {topic} \
         --add-config {name}={wanted}"
    )]
    Setting {
        /// Which topic.
        topic: Topic,
        /// Which setting.
        name: &'static str,
        /// What it has.
        found: String,
        /// What it has to have.
        wanted: String,
        /// What follows from it.
        why: &'static str,
    },
}

/// What a setting of a topic has to be.
struct Rule {
    name: &'static str,
    wanted: Wanted,
    why: &'static str,
}

enum Wanted {
    Is(&'static str),
    AtLeast(usize),
}

/// Creates a topic, unless somebody else was faster; returns when it can be appended to, or when the
/// time is over.
pub(super) async fn create(
    cluster: &Arc<Cluster>,
    settings: &Settings,
    config: &KafkaConfig,
    topic: &Topic,
    shards: u16,
) -> Result<(), Outage> {
    let admin = admin(settings).await?;
    let replicas = TopicReplication::Fixed(i32::from(config.replicas()));
    let (in_sync, retention, message) = (
        config.in_sync().to_string(),
        config.retention_age.as_millis().to_string(),
        MAX_MESSAGE_BYTES.to_string(),
    );
    let new = NewTopic::new(topic.as_str(), i32::from(shards), replicas)
        .set("min.insync.replicas", &in_sync)
        .set("cleanup.policy", "delete")
        .set("retention.ms", &retention)
        .set("retention.bytes", "-1")
        .set("unclean.leader.election.enable", "false")
        .set("max.message.bytes", &message)
        // By the brokers' clocks, which delete by them. A producer's may be wrong, and refused.
        .set("message.timestamp.type", "LogAppendTime");
    let options = options(config).operation_timeout(Some(config.request_timeout));
    let created = admin.create_topics([&new], &options).await;
    dismiss(admin).await;
    let failed = |why| Outage::from(Failure::new("create a topic", why));
    match created.map_err(Failure::to("create a topic"))?.pop() {
        Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {}
        Some(Err((_, code))) => return Err(failed(code.to_string())),
        None => return Err(failed("no answer".to_owned())),
    }
    appear(cluster, topic, config.request_timeout).await
}

/// Deletes a topic with all that it holds, as somebody may behind our back.
#[cfg(feature = "testing")]
pub(super) async fn delete(
    settings: &Settings,
    config: &KafkaConfig,
    topic: &Topic,
) -> Result<(), Outage> {
    const WHAT: &str = "delete a topic";
    let admin = admin(settings).await?;
    let options = options(config).operation_timeout(Some(config.request_timeout));
    let deleted = admin.delete_topics(&[topic.as_str()], &options).await;
    dismiss(admin).await;
    match deleted.map_err(Failure::to(WHAT))?.pop() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(Failure::new(WHAT, code.to_string()).into()),
        None => Err(Failure::new(WHAT, "no answer").into()),
    }
}

/// Everything that is wrong with a topic.
pub(super) async fn faults(
    cluster: &Arc<Cluster>,
    settings: &Settings,
    config: &KafkaConfig,
    topic: &Topic,
    wanted: u16,
) -> Result<Vec<TopicFault>, Outage> {
    let Some(found) = cluster.describe(topic).await? else {
        return Ok(vec![TopicFault::Missing(topic.clone())]);
    };
    let mut faults = Vec::new();
    if found.shards != wanted {
        faults.push(TopicFault::Shards {
            topic: topic.clone(),
            found: found.shards,
            wanted,
        });
    }
    if !config.single_broker && found.replicas < LEAST_REPLICATION {
        faults.push(TopicFault::Replicas {
            topic: topic.clone(),
            found: found.replicas,
        });
    }
    let resource = read(settings, config, topic).await?;
    faults.extend(setting_faults(&resource, config, topic));
    Ok(faults)
}

async fn read(
    settings: &Settings,
    config: &KafkaConfig,
    topic: &Topic,
) -> Result<ConfigResource, Outage> {
    const WHAT: &str = "tell the settings of a topic";
    let admin = admin(settings).await?;
    let resource = ResourceSpecifier::Topic(topic.as_str());
    let described = admin.describe_configs([&resource], &options(config)).await;
    dismiss(admin).await;
    match described.map_err(Failure::to(WHAT))?.pop() {
        Some(Ok(resource)) => Ok(resource),
        Some(Err(code)) => Err(Failure::new(WHAT, code.to_string()).into()),
        None => Err(Failure::new(WHAT, "no answer").into()),
    }
}

fn setting_faults(
    resource: &ConfigResource,
    config: &KafkaConfig,
    topic: &Topic,
) -> Vec<TopicFault> {
    let rules = rules(config);
    let fault = |rule: Rule| {
        let value = resource.get(rule.name)?.value.clone();
        let found = value.unwrap_or_else(|| "nothing".to_owned());
        let is_sound = match rule.wanted {
            Wanted::Is(value) => found == value,
            Wanted::AtLeast(least) => found.parse().is_ok_and(|value: usize| value >= least),
        };
        (!is_sound).then(|| TopicFault::Setting {
            topic: topic.clone(),
            name: rule.name,
            found,
            wanted: rule.wanted.to_string(),
            why: rule.why,
        })
    };
    rules.into_iter().filter_map(fault).collect()
}

/// The settings without which a promise is broken.
fn rules(config: &KafkaConfig) -> [Rule; 4] {
    let in_sync = if config.single_broker {
        1
    } else {
        LEAST_IN_SYNC
    };
    [
        Rule {
            name: "min.insync.replicas",
            wanted: Wanted::AtLeast(in_sync.into()),
            why: "so that an acknowledged event may be lost with one broker",
        },
        Rule {
            name: "cleanup.policy",
            wanted: Wanted::Is("delete"),
            why: "so that events are taken out of the middle of the log",
        },
        Rule {
            name: "unclean.leader.election.enable",
            wanted: Wanted::Is("false"),
            why: "so that a broker that missed acknowledged events may take over",
        },
        Rule {
            name: "max.message.bytes",
            wanted: Wanted::AtLeast(MAX_MESSAGE_BYTES),
            why: "so that the largest events are refused and hold up those behind them",
        },
    ]
}

/// Waits until brokers name the topic with a leader for each shard: at most for `patience`, since
/// whoever appends waits as well.
async fn appear(cluster: &Arc<Cluster>, topic: &Topic, patience: Duration) -> Result<(), Outage> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let found = cluster.describe(topic).await?;
        if found.is_some_and(|topic| topic.has_leaders) {
            return Ok(());
        }
        if tokio::time::Instant::now() >= deadline {
            let why = "some of its shards have no leader yet";
            return Err(Failure::new("create a topic", why).into());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

fn options(config: &KafkaConfig) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(config.request_timeout))
}

/// Made for one request: topics are created once.
async fn admin(settings: &Settings) -> Result<AdminClient<Telling>, Outage> {
    let config = settings.asking();
    let making = tokio::task::spawn_blocking(move || config.create_with_context(Telling));
    let made = making.await.map_err(|_| Outage::Closed)?;
    Ok(made.map_err(Failure::to("make a client"))?)
}

/// Ends a client, which waits for its threads.
async fn dismiss(admin: AdminClient<Telling>) {
    let dismissing = tokio::task::spawn_blocking(move || drop(admin));
    // Nothing is lost when the process stops meanwhile.
    let _ = dismissing.await;
}

// === impl Wanted ===

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => f.write_str(value),
            Self::AtLeast(least) => least.fmt(f),
        }
    }
}
