//! How many syncs an append costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fail::FailScenario;
use meridian_eventlog::{DiskConfig, DiskEventLog, EventLog, Record, ShardBatch};
use tokio::task::JoinSet;

use super::topic;

/// Every sync passes the switch that could skip it, so that is where they are counted.
fn count() -> Arc<AtomicUsize> {
    let syncs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&syncs);
    let counting = move || {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    fail::cfg_callback("eventlog.skip_sync", counting).unwrap();
    syncs
}

async fn open(root: &std::path::Path) -> DiskEventLog {
    let clock = Arc::new(meridian_clock::SystemClock);
    let log = DiskEventLog::open(root, DiskConfig::default(), clock)
        .await
        .unwrap();
    log.create_topic(&topic(), 16).await.unwrap();
    log
}

#[tokio::test]
async fn an_append_over_all_shards_costs_one_sync() {
    let scenario = FailScenario::setup();
    let root = tempfile::tempdir().unwrap();
    let log = open(root.path()).await;
    let syncs = count();
    let batch = |shard| ShardBatch {
        shard,
        records: vec![Record::new("key", "payload"); 10],
    };
    let outcomes = log
        .append_many(&topic(), (0..16).map(batch).collect())
        .await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(syncs.load(Ordering::SeqCst), 1);
    scenario.teardown();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_that_wait_together_share_a_sync() {
    const APPENDERS: usize = 32;
    let scenario = FailScenario::setup();
    let root = tempfile::tempdir().unwrap();
    let log = Arc::new(open(root.path()).await);
    let syncs = count();
    // While the first sync is held, the others queue up.
    let gate = Arc::new(std::sync::Barrier::new(2));
    let held = Arc::clone(&gate);
    let first = std::sync::Once::new();
    let hold = move || {
        first.call_once(|| {
            held.wait();
            held.wait();
        });
    };
    fail::cfg_callback("eventlog.append.after_write_before_fsync", hold).unwrap();
    let mut appenders = JoinSet::new();
    let append = |n: usize| {
        let log = Arc::clone(&log);
        async move {
            let record = Record::new(n.to_string(), "");
            let shard = u16::try_from(n % 16).unwrap();
            log.append(&topic(), shard, vec![record]).await.unwrap();
        }
    };
    appenders.spawn(append(0));
    gate.wait();
    let mut waiting: Vec<_> = (1..APPENDERS).map(|n| Box::pin(append(n))).collect();
    for appender in &mut waiting {
        // Polled once, it stands in the queue.
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(appender.as_mut().poll(&mut context).is_pending());
    }
    gate.wait();
    for appender in waiting {
        appenders.spawn(appender);
    }
    appenders.join_all().await;
    assert_eq!(syncs.load(Ordering::SeqCst), 2);
    scenario.teardown();
}

#[tokio::test]
async fn syncs_can_be_switched_off_for_tests_that_must_then_fail() {
    let scenario = FailScenario::setup();
    let root = tempfile::tempdir().unwrap();
    let log = open(root.path()).await;
    fail::cfg("eventlog.skip_sync", "return").unwrap();
    log.append(&topic(), 0, vec![Record::new("", "")])
        .await
        .unwrap();
    scenario.teardown();
}
