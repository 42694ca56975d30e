//! A log that is opened again after its disk has failed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use fail::FailScenario;
use meridian_clock::SystemClock;
use meridian_eventlog::{
    AppendError, DiskConfig, EventLog, Outage, ReadLimits, Record, ReopeningEventLog,
};

use super::topic;

const SYNC: &str = "eventlog.append.after_write_before_fsync";

async fn open(root: &Path) -> ReopeningEventLog {
    let config = DiskConfig {
        segment_size: ByteSize::kib(4),
        ..DiskConfig::default()
    };
    let log = ReopeningEventLog::open(root, config, Arc::new(SystemClock)).await;
    let log = log.unwrap();
    log.create_topic(&topic(), 16).await.unwrap();
    log
}

async fn append(log: &ReopeningEventLog, text: &str) -> Result<u64, AppendError> {
    let record = Record::new(text.to_owned(), vec![7; 900]);
    let appended = log.append(&topic(), 0, vec![record]).await;
    appended.map(|appended| appended.first)
}

async fn texts(log: &ReopeningEventLog) -> Vec<String> {
    let limits = ReadLimits {
        records: usize::MAX,
        bytes: usize::MAX,
        wait: Duration::ZERO,
    };
    let read = log.read(&topic(), 0, 0, limits).await.unwrap();
    let text = |record: &Record| String::from_utf8(record.key.to_vec()).unwrap();
    read.iter().map(|stored| text(&stored.record)).collect()
}

fn segments(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join(topic().as_str())).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|is| is == "seg"));
    paths.sort();
    paths
}

#[tokio::test]
async fn a_failed_sync_costs_what_was_not_acknowledged_and_nothing_else() {
    let scenario = FailScenario::setup();
    let root = tempfile::tempdir().unwrap();
    let log = open(root.path()).await;
    append(&log, "kept").await.unwrap();
    fail::cfg(SYNC, "1*return").unwrap();
    let failed = append(&log, "unknown").await.unwrap_err();
    assert!(
        matches!(failed, AppendError::Outage(Outage::Unavailable(_))),
        "{failed:?}"
    );
    // It stands in the page cache, and perhaps nowhere else.
    assert_eq!(append(&log, "next").await.unwrap(), 1);
    assert_eq!(texts(&log).await, ["kept", "next"]);
    drop(log);
    assert_eq!(texts(&open(root.path()).await).await, ["kept", "next"]);
    scenario.teardown();
}

#[tokio::test]
async fn a_failure_in_the_middle_of_a_roll_leaves_no_gap() {
    let scenario = FailScenario::setup();
    let root = tempfile::tempdir().unwrap();
    let log = open(root.path()).await;
    let mut expected = Vec::new();
    for point in ["eventlog.roll.mid", SYNC] {
        fail::cfg(point, "1*return").unwrap();
        for number in 0..20 {
            let text = format!("{point} {number}");
            if append(&log, &text).await.is_ok() {
                expected.push(text);
            }
        }
    }
    assert_eq!(expected.len(), 38);
    assert_eq!(texts(&log).await, expected);
    assert!(segments(root.path()).len() > 5);
    scenario.teardown();
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_stays_broken_is_tried_again_with_pauses() {
    let scenario = FailScenario::setup();
    let root = tempfile::tempdir().unwrap();
    let log = open(root.path()).await;
    append(&log, "kept").await.unwrap();
    fail::cfg(SYNC, "return").unwrap();
    for _ in 0..3 {
        let failed = append(&log, "unknown").await.unwrap_err();
        assert!(
            matches!(failed, AppendError::Outage(Outage::Unavailable(_))),
            "{failed:?}"
        );
    }
    fail::remove(SYNC);
    tokio::time::advance(Duration::from_secs(60)).await;
    append(&log, "next").await.unwrap();
    assert_eq!(texts(&log).await, ["kept", "next"]);
    scenario.teardown();
}

#[tokio::test]
async fn a_log_that_lost_what_it_acknowledged_stays_closed() {
    let scenario = FailScenario::setup();
    for damage in ["cut", "removed", "flipped"] {
        let root = tempfile::tempdir().unwrap();
        let log = open(root.path()).await;
        append(&log, "kept").await.unwrap();
        append(&log, "lost").await.unwrap();
        fail::cfg(SYNC, "1*return").unwrap();
        append(&log, "unknown").await.unwrap_err();
        let path = segments(root.path()).pop().unwrap();
        match damage {
            "cut" => {
                let file = std::fs::File::options().write(true).open(path).unwrap();
                file.set_len(1_500).unwrap();
            }
            "removed" => std::fs::remove_file(path).unwrap(),
            _ => {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[1_500] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            }
        }
        for _ in 0..2 {
            let refused = append(&log, "next").await.unwrap_err();
            assert!(
                matches!(refused, AppendError::Outage(Outage::Poisoned(_))),
                "{damage}: {refused:?}"
            );
        }
    }
    scenario.teardown();
}
