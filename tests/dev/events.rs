//! The event log beside a registry: when its disk fails, it is opened again in the same process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harness::{Content, DevBuilder, eventually, seed};
use meridian_clock::SystemClock;
use meridian_event::{Event, SHARDS};
use meridian_eventlog::{DiskConfig, DiskEventLog, EventLog, ReadLimits};
use meridian_proto::decode_envelope;

/// How many manifests the events of a registry that has stopped say were put.
async fn put(data_dir: &Path) -> usize {
    let root = data_dir.join("events");
    let log = DiskEventLog::open(root, DiskConfig::default(), Arc::new(SystemClock)).await;
    let log = log.unwrap();
    let topic = "meridian.local.events.v1".parse().unwrap();
    let limits = ReadLimits {
        records: usize::MAX,
        bytes: usize::MAX,
        wait: Duration::ZERO,
    };
    let mut put = 0;
    for shard in 0..SHARDS {
        for stored in log.read(&topic, shard, 0, limits).await.unwrap() {
            let event = decode_envelope(&stored.record.payload).unwrap();
            put += usize::from(matches!(event.event, Event::ManifestPut { .. }));
        }
    }
    put
}

/// A repository, by whose name its events are found in a log that is in use.
fn name(number: usize) -> String {
    format!("team/r{number:02}")
}

/// What stands in the event log of a registry that runs.
fn bytes(data_dir: &Path) -> Vec<u8> {
    let folder = data_dir.join("events/meridian.local.events.v1");
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_log_whose_disk_failed_gets_all_events_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::new(seed(70));
    let mut dev = DevBuilder::new(folder.path())
        .env("FAILPOINTS", "eventlog.events.fail=3*return")
        .env("MERIDIAN_METADATA__PUBLISH_LINGER", "1ms")
        .start();
    let client = dev.client();
    for number in 0..20 {
        let image = content.image(&[100]);
        let answer = client.push_image(&name(number), "1", &image).await;
        answer.unwrap().expect(201);
    }
    eventually("all events are there", Duration::from_secs(60), || async {
        let bytes = bytes(folder.path());
        let named = |number| bytes.windows(8).any(|it| it == name(number).as_bytes());
        (0..20).all(named).then_some(())
    })
    .await;
    assert!(dev.is_running());
    assert!(dev.stop().success());
    assert_eq!(put(folder.path()).await, 20);
}
