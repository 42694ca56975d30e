//! SIGKILL at random.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{Content, DevBuilder, seed};

use crate::ledger::Ledger;
use crate::{events, workload};

/// Rounds of one run.
const ROUNDS: u64 = 8;
/// Clients at work in each.
const CLIENTS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: `cargo xtask crash` runs it"]
async fn whatever_was_acknowledged_survives_random_kills() {
    let seed = seed(1);
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut chance = Content::new(seed);
    for round in 0..ROUNDS {
        let dev = DevBuilder::new(folder.path()).start();
        let client = dev.client();
        let life = Duration::from_millis(chance.number(200..2_500));
        let work = {
            let (ledger, client) = (Arc::clone(&ledger), client.clone());
            let seed = seed.wrapping_add(round << 32);
            tokio::task::spawn(async move {
                workload::run(&client, &ledger, seed, CLIENTS, u64::MAX).await;
            })
        };
        tokio::time::sleep(life).await;
        dev.kill();
        work.await.unwrap();
        let dev = DevBuilder::new(folder.path()).start();
        // Nobody writes any more; the ledger goes on into the next round.
        let kept = std::mem::take(&mut *ledger.lock().unwrap());
        let broken = kept.broken(&dev.client()).await;
        assert!(broken.is_empty(), "round {round}: {broken:#?}");
        eprintln!("round {round}: {} promises kept", kept.promises());
        // A stop leaves nothing in the outbox, so every promise has its event by now.
        assert!(dev.stop().success());
        let events = events::manifests(folder.path()).await;
        let silent = kept.manifests().find(|promise| !events.contains(promise));
        assert!(silent.is_none(), "round {round}: no event for {silent:?}");
        *ledger.lock().unwrap() = kept;
    }
}
