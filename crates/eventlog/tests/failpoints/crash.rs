//! The process dies at each crash point, and comes back.
//!
//! The child is this test binary again, running [`victim`] alone. It says on its standard output what
//! was acknowledged, and aborts when the crash point is hit for the n-th time.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use fail::FailScenario;

use super::{append, numbers, open};

const FOLDER: &str = "EVENTLOG_VICTIM_FOLDER";
const POINT: &str = "EVENTLOG_VICTIM_POINT";
const HIT: &str = "EVENTLOG_VICTIM_HIT";

#[tokio::test]
#[ignore = "a process that other tests start"]
async fn victim() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let point = std::env::var_os(POINT).unwrap().into_string().unwrap();
    let hit = std::env::var_os(HIT).unwrap().into_string().unwrap();
    let left = AtomicUsize::new(hit.parse().unwrap());
    let log = open(&folder).await;
    let die = move || {
        if left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    };
    fail::cfg_callback(point, die).unwrap();
    let first = numbers(&log).await.len() as u64;
    for n in first.. {
        append(&log, n).await.unwrap();
        writeln!(std::io::stderr(), "acknowledged {n}").unwrap();
    }
}

/// Lets the process die at one point again and again, and looks at what it leaves.
async fn die_at(point: &str) {
    // Holds off the tests that set failpoints in this process.
    let scenario = FailScenario::setup();
    let root = tempfile::tempdir().unwrap();
    for hit in [1, 2, 5, 9] {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--ignored", "--nocapture"])
            .env(FOLDER, root.path())
            .env(POINT, point)
            .env(HIT, hit.to_string())
            .output()
            .unwrap();
        assert!(!child.status.success());
        let said = String::from_utf8(child.stderr).unwrap();
        let mut acknowledged = said
            .lines()
            .filter_map(|line| line.strip_prefix("acknowledged "));
        let last: Option<u64> = acknowledged.next_back().map(|n| n.parse().unwrap());

        let found = numbers(&open(root.path()).await).await;
        assert!(found.iter().copied().eq(0..found.len() as u64), "{found:?}");
        assert!(
            found.last().copied() >= last,
            "{last:?} is not in {found:?}"
        );
        // One append was under way.
        assert!(
            last.is_none_or(|last| found.len() as u64 <= last + 2),
            "{found:?}"
        );
        assert!(last.is_some() || hit == 1, "{said}");
    }
    scenario.teardown();
}

#[tokio::test]
async fn between_write_and_sync() {
    die_at("eventlog.append.after_write_before_fsync").await;
}

#[tokio::test]
async fn between_sync_and_acknowledgement() {
    die_at("eventlog.append.after_fsync_before_ack").await;
}

#[tokio::test]
async fn in_the_middle_of_a_roll() {
    die_at("eventlog.roll.mid").await;
}
