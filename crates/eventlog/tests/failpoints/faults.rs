//! Errors where the disk body meets the disk.

use std::path::Path;

use fail::FailScenario;
use meridian_error::{Classify, Code, Retry};
use meridian_eventlog::{AppendError, CreateTopicError, EventLog, Outage};

use super::{append, numbers, open, topic};

/// What the segments take.
fn size(root: &Path) -> u64 {
    let entries = std::fs::read_dir(root.join(topic().as_str())).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

#[tokio::test]
async fn a_failed_sync_is_the_end_until_the_log_is_opened_again() {
    let scenario = FailScenario::setup();
    let root = tempfile::tempdir().unwrap();
    let log = open(root.path()).await;
    append(&log, 0).await.unwrap();
    fail::cfg("eventlog.append.after_write_before_fsync", "return").unwrap();
    let failed = append(&log, 1).await.unwrap_err();
    assert!(
        matches!(failed, AppendError::Outage(Outage::Poisoned(_))),
        "{failed:?}"
    );
    assert_eq!((failed.code(), failed.retry()), (Code::Internal, Retry::No));

    // The disk is well again, as far as it says. That is no reason to believe it.
    fail::remove("eventlog.append.after_write_before_fsync");
    let refused = append(&log, 2).await.unwrap_err();
    assert!(
        matches!(refused, AppendError::Outage(Outage::Poisoned(_))),
        "{refused:?}"
    );
    let refused = log
        .create_topic(&"another".parse().unwrap(), 1)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, CreateTopicError::Outage(Outage::Poisoned(_))),
        "{refused:?}"
    );
    assert_eq!(
        numbers(&log).await,
        [0],
        "what was acknowledged can be read"
    );

    drop(log);
    let log = open(root.path()).await;
    let found = numbers(&log).await;
    assert!(found == [0] || found == [0, 1], "{found:?}");
    append(&log, 3).await.unwrap();
    scenario.teardown();
}

#[tokio::test]
async fn a_lost_acknowledgement_leaves_the_record_and_the_log_well() {
    let scenario = FailScenario::setup();
    let root = tempfile::tempdir().unwrap();
    let log = open(root.path()).await;
    fail::cfg("eventlog.append.after_fsync_before_ack", "1*return").unwrap();
    let lost = append(&log, 0).await.unwrap_err();
    assert!(
        matches!(lost, AppendError::Outage(Outage::Unavailable(_))),
        "{lost:?}"
    );
    assert_eq!(
        (lost.code(), lost.retry()),
        (Code::Unavailable, Retry::Yes { after: None })
    );
    append(&log, 1).await.unwrap();
    assert_eq!(numbers(&log).await, [0, 1]);
    scenario.teardown();
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let scenario = FailScenario::setup();
    let root = tempfile::tempdir().unwrap();
    let log = open(root.path()).await;
    // Enough appends to need a new segment too.
    for n in 0..10 {
        let before = size(root.path());
        fail::cfg("eventlog.append.disk_full", "return").unwrap();
        let full = append(&log, 1_000).await.unwrap_err();
        assert!(
            matches!(full, AppendError::Outage(Outage::Full(_))),
            "{full:?}"
        );
        assert_eq!(full.code(), Code::ResourceExhausted);
        assert_eq!(size(root.path()), before, "what was written is undone");
        fail::remove("eventlog.append.disk_full");
        assert_eq!(append(&log, n).await.unwrap().first, n);
    }
    let expected: Vec<u64> = (0..10).collect();
    assert_eq!(numbers(&log).await, expected);
    drop(log);
    assert_eq!(numbers(&open(root.path()).await).await, expected);
    scenario.teardown();
}

#[tokio::test]
async fn an_interrupted_roll_is_completed_when_the_log_is_opened() {
    let scenario = FailScenario::setup();
    let root = tempfile::tempdir().unwrap();
    let log = open(root.path()).await;
    fail::cfg("eventlog.roll.mid", "return").unwrap();
    let mut acknowledged = 0;
    let failed = loop {
        match append(&log, acknowledged).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(failed, AppendError::Outage(Outage::Poisoned(_))),
        "{failed:?}"
    );
    assert!(acknowledged > 1);
    drop(log);
    fail::remove("eventlog.roll.mid");

    let log = open(root.path()).await;
    assert_eq!(numbers(&log).await, (0..acknowledged).collect::<Vec<_>>());
    append(&log, acknowledged).await.unwrap();
    let last = log.last(&topic(), 0).await.unwrap().unwrap();
    assert_eq!(last.offset, acknowledged);
    drop(log);
    let log = open(root.path()).await;
    assert_eq!(numbers(&log).await, (0..=acknowledged).collect::<Vec<_>>());
    scenario.teardown();
}
