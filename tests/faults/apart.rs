//! That regions are apart: what the rows of two regions rest on.
//!
//! Asked by a process in the network of a region, of every address that anything listens at in the other
//! one, and on this machine; and what those may do who come to its brokers all the same.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use harness::{Kafka, Namespace, REGIONS, World};
use meridian_eventlog::{
    EventLog, KafkaConfig, KafkaEventLog, KafkaSasl, KafkaTls, ReadLimits, Record, Topic,
};
use meridian_secret::Secret;

use crate::world::WAN;

/// How long an attempt to connect may take. On loopback there is an answer at once.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, in a network of its own: cargo xtask faults"]
async fn nothing_leads_from_one_region_to_another_but_what_lies_between() {
    let world = World::start(World::plans(), WAN);
    let machine = TcpListener::bind("127.0.0.1:0").unwrap();
    let machine = machine.local_addr().unwrap().to_string();
    for here in 0..REGIONS {
        let there = 1 - here;
        let inside = world.regions[here].plan.namespace.as_ref().unwrap();
        assert_eq!(interfaces(inside), ["lo"], "of region {here}");
        for address in world.addresses(here) {
            assert!(connects(inside, &address), "region {here} has {address}");
        }
        for address in world.addresses(there) {
            let leads = connects(inside, &address);
            assert!(!leads, "region {here} reaches {address} of region {there}");
        }
        assert!(!connects(inside, &machine), "region {here} gets out");
        // Its agent has a way there all the same, which is a link.
        assert!(connects(inside, &world.regions[here].spare(there)));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, in a network of its own: cargo xtask faults"]
async fn who_comes_from_afar_may_read_events_and_nothing_else() {
    let world = World::start(World::plans(), WAN);
    let brokers = World::kafka();
    for here in 0..REGIONS {
        let there = 1 - here;
        let topic = Topic::events(world.regions[there].name());
        let inside = world.regions[here].plan.namespace.clone().unwrap();
        let reader = as_reader(&brokers[there]);
        let stranger = KafkaConfig {
            sasl: None,
            ..reader.clone()
        };
        let in_the_open = KafkaConfig {
            tls: None,
            ..stranger.clone()
        };
        let mut guesser = reader.clone();
        guesser.sasl.as_mut().unwrap().password = Secret::new("a guess");
        // Threads of a client are in the network of the one that started them.
        let attempts = tokio::task::spawn_blocking(move || {
            inside.within(|| {
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_all().build().unwrap();
                runtime.block_on(async {
                    let others = [stranger, in_the_open, guesser].map(|it| try_all(it, &topic));
                    let others = futures::future::join_all(others).await;
                    (try_all(reader, &topic).await, others)
                })
            })
        });
        let (reader, others) = attempts.await.unwrap();
        assert_eq!(reader, ["read"], "of region {there}");
        for other in others {
            assert!(other.is_empty(), "{other:?} of region {there}");
        }
    }
}

/// What works of all that one may try with a topic.
async fn try_all(config: KafkaConfig, topic: &Topic) -> Vec<&'static str> {
    let Ok(log) = KafkaEventLog::open(config).await else {
        return Vec::new();
    };
    let limits = ReadLimits {
        records: 1,
        bytes: 1 << 20,
        wait: Duration::ZERO,
    };
    let record = Record::new("", "from afar");
    let other = Topic::events("zz".parse().unwrap());
    [
        ("read", log.read(topic, 0, 0, limits).await.is_ok()),
        ("append", log.append(topic, 0, vec![record]).await.is_ok()),
        ("create", log.create_topic(&other, 1).await.is_ok()),
        ("delete", log.delete_topic(topic).await.is_ok()),
    ]
    .into_iter()
    .filter_map(|(what, is_done)| is_done.then_some(what))
    .collect()
}

/// One who may read what another region says.
fn as_reader(kafka: &Kafka) -> KafkaConfig {
    let password = std::fs::read_to_string(&kafka.readers_password_file).unwrap();
    KafkaConfig {
        brokers: kafka.doors.clone(),
        single_broker: true,
        append_timeout: PATIENCE,
        request_timeout: PATIENCE,
        tls: Some(KafkaTls {
            ca_file: Some(kafka.ca_file.clone()),
            ..KafkaTls::default()
        }),
        sasl: Some(KafkaSasl {
            user: kafka.reader.clone(),
            password: Secret::new(password),
            ..KafkaSasl::default()
        }),
        ..KafkaConfig::default()
    }
}

/// Whether a connection is accepted that is asked for in there.
fn connects(inside: &Namespace, address: &str) -> bool {
    let address: SocketAddr = address.parse().unwrap();
    inside.within(|| TcpStream::connect_timeout(&address, PATIENCE).is_ok())
}

/// The interfaces that a process in there sees.
fn interfaces(inside: &Namespace) -> Vec<String> {
    let [program, network] = inside.entrance();
    let listed = Command::new(program)
        .args([network.as_str(), "cat", "/proc/net/dev"])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names = listed.lines().filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}
