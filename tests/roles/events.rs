//! A region whose events go to Kafka. `cargo xtask eventlog` starts it and runs these tests.

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::time::Duration;

use harness::{Client, Content, DevBuilder, Parts, binary, eventually, seed};
use meridian_event::Event;
use meridian_eventlog::{KafkaConfig, KafkaEventLog, Topic};
use meridian_oci::Digest;

use crate::registry::push;

const REGION: &str = "moon";
const SOON: Duration = Duration::from_secs(30);

/// Settings for the brokers that run.
struct Settings {
    file: tempfile::NamedTempFile,
    kafka: KafkaConfig,
}

impl Settings {
    fn find() -> Self {
        let kafka = Parts::find().kafka.expect("Kafka is among the parts");
        let brokers = kafka.brokers;
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "region = \"{REGION}\"\n[events]\nkind = \"kafka\"\n[events.kafka]\n\
             brokers = {brokers:?}\nsingle_broker = true\n"
        );
        std::fs::write(&file, text).unwrap();
        let kafka = KafkaConfig {
            brokers,
            single_broker: true,
            ..KafkaConfig::default()
        };
        Self { file, kafka }
    }

    fn path(&self) -> &str {
        self.file.path().to_str().unwrap()
    }

    fn events(&self, verb: &str) -> Output {
        let mut command = Command::new(binary());
        let command = command.args(["events", verb, "--config", self.path()]);
        command.output().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka: cargo xtask eventlog"]
async fn what_is_pushed_is_told_in_kafka_also_after_a_restart() {
    let settings = Settings::find();
    let missing = settings.events("check");
    let said = String::from_utf8_lossy(&missing.stderr);
    assert_eq!(missing.status.code(), Some(64), "{said}");
    assert!(said.contains("`meridian events init` creates it"), "{said}");
    for verb in ["init", "init", "check"] {
        let done = settings.events(verb);
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{said}");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(said.contains("meridian.moon.events.v1"), "{said}");
    }

    let folder = tempfile::tempdir().unwrap();
    let builder = DevBuilder::new(folder.path())
        .arg("--config")
        .arg(settings.path());
    let mut pushed = BTreeSet::new();
    let mut content = Content::new(seed(60));
    for tag in ["1", "2"] {
        let dev = builder.start();
        let image = content.image(&[100, 5_000]);
        push(&Client::new(dev.base()), "team/app", tag, &image).await;
        pushed.insert(image.digest());
        assert!(dev.stop().success());
    }
    assert!(!folder.path().join("events").exists(), "nothing on disk");

    let log = KafkaEventLog::open(settings.kafka.clone()).await.unwrap();
    eventually("every push is in Kafka", SOON, || async {
        (told(&log).await == pushed).then_some(())
    })
    .await;
}

/// The manifests that the topic says were put.
async fn told(log: &KafkaEventLog) -> BTreeSet<Digest> {
    let topic = Topic::events(REGION.parse().unwrap());
    let events = harness::events(log, &topic).await.unwrap().into_iter();
    let put = events.filter_map(|event| match event.event {
        Event::ManifestPut { manifest, .. } => Some(manifest.digest),
        _ => None,
    });
    put.collect()
}
