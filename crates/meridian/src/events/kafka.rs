//! The event log in Kafka.
//!
//! Owns what becomes of a topic that breaks a promise: nothing starts on it, and everything that is
//! wrong with it is told at once. While Kafka is away a process starts without having looked, and
//! ends when what it sees later is wrong.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use meridian_chassis::Supervisor;
use meridian_clock::Region;
use meridian_error::{Classify, Retry, chain};
use meridian_event::SHARDS;
use meridian_eventlog::{EventLog, KafkaConfig, KafkaEventLog, Outage, Topic, TopicFault};

use crate::cli;
use crate::config::Config;
use crate::exit::Exit;
use crate::stdout;

/// Between two looks at a topic whose brokers are away.
const PAUSE: Duration = Duration::from_secs(5);

/// Opens the log, unless its topic breaks a promise.
pub(super) async fn open(
    config: &Config,
    supervisor: &Supervisor,
) -> Result<Arc<KafkaEventLog>, Exit> {
    let log = Arc::new(client(config).await?);
    let topic = Topic::events(config.region);
    match misfits(&log, &topic).await {
        Ok(faults) => refuse(&faults)?,
        Err(outage) if matches!(outage.retry(), Retry::Yes { .. }) => {
            let error = chain(&outage);
            tracing::warn!(error, "Kafka is away: events wait until it is there");
            look_later(Arc::clone(&log), topic, supervisor);
        }
        Err(outage) => return Err(Exit::classified(&outage)),
    }
    Ok(log)
}

/// Looks at the topic as soon as that is possible.
fn look_later(log: Arc<KafkaEventLog>, topic: Topic, supervisor: &Supervisor) {
    let stop = supervisor.background_token();
    supervisor.spawn_background("events.topic", async move {
        loop {
            if let Ok(faults) = misfits(&log, &topic).await {
                let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
                if !lines.is_empty() {
                    return Err(lines.join("; ").into());
                }
                stop.cancelled().await;
                return Ok(());
            }
            let pause = tokio::time::sleep(PAUSE);
            if stop.run_until_cancelled(pause).await.is_none() {
                return Ok(());
            }
        }
    });
}

/// What is wrong with the topic. One that is missing is not: who publishes first creates it.
async fn misfits(log: &KafkaEventLog, topic: &Topic) -> Result<Vec<TopicFault>, Outage> {
    let mut faults = log.check(topic, SHARDS).await?;
    faults.retain(|fault| !matches!(fault, TopicFault::Missing(_)));
    Ok(faults)
}

/// Creates the topic if that is asked for, and tells what is wrong with it.
pub(super) async fn set_up(config: &Config, verb: &cli::Events) -> Result<(), Exit> {
    let topic = Topic::events(config.region);
    let log = client(config).await?;
    if matches!(verb, cli::Events::Init(_)) {
        let created = log.create_topic(&topic, SHARDS).await;
        created.map_err(|error| Exit::classified(&error))?;
    }
    refuse(&faults(&log, &topic).await?)?;
    stdout::line(format_args!(
        "topic {topic} is as it has to be: {SHARDS} partitions"
    ))
}

/// Opens a region's log to be read, wherever that is.
pub(super) async fn of_region(config: &KafkaConfig) -> Result<Arc<KafkaEventLog>, Exit> {
    open_with(config).await.map(Arc::new)
}

/// Says so where another region's events would cross the world for everybody to read.
pub(super) fn tell_plain(region: Region, config: &KafkaConfig) {
    if config.tls.is_none() && !config.brokers.iter().all(|broker| is_near(broker)) {
        tracing::warn!(
            %region,
            "events of another region are read without encryption: set its events.kafka.tls, and \
             events.kafka.sasl with an account that may only read"
        );
    }
}

/// Whether a broker, `host:port`, is on this machine.
fn is_near(broker: &str) -> bool {
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || address.is_some_and(|it| it.is_loopback())
}

async fn client(config: &Config) -> Result<KafkaEventLog, Exit> {
    open_with(&config.events.kafka).await
}

async fn open_with(config: &KafkaConfig) -> Result<KafkaEventLog, Exit> {
    let log = KafkaEventLog::open(config.clone()).await;
    log.map_err(|error| Exit::classified(&error))
}

async fn faults(log: &KafkaEventLog, topic: &Topic) -> Result<Vec<TopicFault>, Exit> {
    let faults = log.check(topic, SHARDS).await;
    faults.map_err(|outage| Exit::classified(&outage))
}

fn refuse(faults: &[TopicFault]) -> Result<(), Exit> {
    if faults.is_empty() {
        return Ok(());
    }
    let lines = faults.iter().map(ToString::to_string);
    Err(Exit::misconfigured_in(lines.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_on_this_machine_is_near() {
        for near in ["localhost:9092", "127.0.0.1:9092", "[::1]:9092"] {
            assert!(is_near(near), "{near}");
        }
        for far in [
            "kafka-0.us.example:9093",
            "10.0.0.1:9092",
            "[2001:db8::1]:9092",
        ] {
            assert!(!is_near(far), "{far}");
        }
    }
}
