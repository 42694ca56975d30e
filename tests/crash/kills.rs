//! SIGKILL at random.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{Content, DevBuilder, seed};

use crate::events;
use crate::ledger::Ledger;
use crate::workload::{Load, Work};

/// Rounds of one run.
const ROUNDS: u64 = 6;
/// Clients at work in each.
const CLIENTS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: cargo xtask crash"]
async fn whatever_was_acknowledged_survives_random_kills() {
    let seed = seed(1);
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut chance = Content::new(seed);
    for round in 0..ROUNDS {
        let dev = DevBuilder::new(folder.path()).start();
        let seed = seed.wrapping_add(round << 32);
        let work = Work::begin(&dev.client(), &ledger, seed, Load::endless(CLIENTS));
        work.promises(chance.number(20..300)).await;
        // An answer has just come; the end may be anywhere between two.
        let moment = Duration::from_micros(chance.number(0..10_000));
        tokio::time::sleep(moment).await;
        dev.kill();
        work.end().await;
        let dev = DevBuilder::new(folder.path()).start();
        // Nobody writes any more; the ledger goes on into the next round.
        let mut kept = std::mem::take(&mut *ledger.lock().unwrap());
        let broken = kept.broken(&dev.client()).await;
        assert!(broken.is_empty(), "round {round}: {broken:#?}");
        let (promises, deletions) = (kept.promises(), kept.deletions());
        eprintln!("round {round}: {promises} promises kept, {deletions} of them deletions");
        // A stop leaves nothing in the outbox, so every promise has its event by now.
        assert!(dev.stop().success());
        let untold = kept.untold(&events::told(folder.path()).await);
        assert!(untold.is_empty(), "round {round}: no event: {untold:#?}");
        *ledger.lock().unwrap() = kept;
    }
}
