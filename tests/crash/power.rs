//! Power cuts, because SIGKILL loses no page cache.
//!
//! The power goes while clients push and delete, and what they are promised until they notice
//! counts. The metadata and the blobs lie on file systems of their own, so that a sync of one cannot
//! save what the other forgot to sync. And because a test that cannot fail proves nothing: with each
//! kind of sync switched off, something acknowledged must be lost.

use std::sync::MutexGuard;
use std::time::Duration;

use harness::{Client, Content, Dev, DevBuilder, Ended, LoopDisk, can_mount, cut_power};
use harness::{digest, seed};
use tempfile::TempDir;

use crate::events;
use crate::ledger::Ledger;
use crate::workload::{Load, Shared, Work};

/// Power cuts of one run.
const ROUNDS: u64 = 6;
/// Clients at work in each.
const CLIENTS: u64 = 8;
/// How often it is tried to lose something with a sync switched off. Once is enough, unless the
/// kernel happens to write something out by itself.
const ATTEMPTS: u64 = 3;

/// Two disks that make one data directory. They are unmounted in this order.
struct Rig {
    blobs: LoopDisk,
    metadata: LoopDisk,
    _images: TempDir,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: cargo xtask crash"]
async fn nothing_acknowledged_is_missing_after_power_cuts_under_load() {
    require_mounts();
    let seed = seed(3);
    let mut chance = Content::new(seed);
    let mut rig = Rig::new();
    let ledger = Shared::default();
    for round in 0..ROUNDS {
        let dev = rig.start(None).unwrap();
        let seed = seed.wrapping_add(round << 32);
        let work = Work::begin(&dev.client(), &ledger, seed, Load::endless(CLIENTS));
        work.promises(chance.number(20..300)).await;
        // An answer has just come; the cut may be anywhere between two.
        let moment = Duration::from_micros(chance.number(0..10_000));
        tokio::time::sleep(moment).await;
        let is_noticed = chance.number(0..2) == 0;
        rig.lose_power(dev, work, &ledger, is_noticed).await;
        let dev = rig.start(None).unwrap();
        let mut kept = std::mem::take(&mut *ledger.lock().unwrap());
        let broken = kept.broken(&dev.client()).await;
        assert!(broken.is_empty(), "round {round}: {broken:#?}");
        let (promises, deletions) = (kept.promises(), kept.deletions());
        eprintln!("round {round}: {promises} promises kept, {deletions} of them deletions");
        // A stop leaves nothing in the outbox, so every promise has its event by now.
        assert!(dev.stop().success());
        let untold = kept.untold(&events::told(rig.metadata.path()).await);
        assert!(untold.is_empty(), "round {round}: no event: {untold:#?}");
        *ledger.lock().unwrap() = kept;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: cargo xtask crash"]
async fn without_the_sync_of_the_log_a_power_cut_loses_something() {
    loses("eventlog.skip_sync").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: cargo xtask crash"]
async fn without_the_sync_of_blobs_a_power_cut_loses_something() {
    loses("blob.skip_file_sync").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: cargo xtask crash"]
async fn without_the_sync_of_folders_a_power_cut_loses_something() {
    loses("blob.skip_dir_sync").await;
}

async fn loses(switch: &str) {
    require_mounts();
    let seed = seed(4);
    for attempt in 0..ATTEMPTS {
        let broken = cut_without(switch, seed.wrapping_add(attempt)).await;
        if let Some(first) = broken.first() {
            eprintln!("{switch}, attempt {attempt}: {first}");
            return;
        }
    }
    panic!("with {switch}, {ATTEMPTS} power cuts lost nothing: the test is blind");
}

/// Cuts the power with a sync switched off, and says what is missing afterwards.
///
/// A sync of any file takes along what its file system has in its journal, names of other files
/// included. So a sync that somebody else asks for covers for the one that is missing, and whether
/// something is lost would be chance. Therefore one image is the last to be written to the disk of
/// the blobs, and its push is acknowledged before the cut; what goes on meanwhile writes to the disk
/// of the metadata only.
async fn cut_without(switch: &str, seed: u64) -> Vec<String> {
    let mut rig = Rig::new();
    let ledger = Shared::default();
    let dev = rig.start(Some(switch)).unwrap();
    let client = dev.client();
    let load = Load {
        stores: false,
        ..Load::endless(CLIENTS)
    };
    let work = Work::begin(&client, &ledger, seed, load);
    work.promises(50).await;
    push_last(&client, &ledger, seed).await;
    rig.lose_power(dev, work, &ledger, false).await;
    let mut kept = std::mem::take(&mut *ledger.lock().unwrap());
    match rig.start(None) {
        Ok(dev) => {
            let broken = kept.broken(&dev.client()).await;
            assert!(dev.stop().success());
            broken
        }
        Err(ended) => vec![format!("it does not start: {}", ended.said)],
    }
}

/// Pushes an image whose layer becomes a file.
async fn push_last(client: &Client, ledger: &Shared, seed: u64) {
    const REPOSITORY: &str = "team/last";
    let image = Content::new(!seed).image(&[100_000]);
    for blob in &image.blobs {
        let put = client.push_blob(REPOSITORY, blob.clone()).await;
        put.unwrap().expect(201);
        locked(ledger).blob_put(REPOSITORY, digest(blob));
    }
    let put = client.put_manifest(REPOSITORY, "last", image.manifest.clone());
    put.await.unwrap().expect(201);
    locked(ledger).manifest_put(REPOSITORY, "last", &image);
}

fn locked(ledger: &Shared) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap()
}

// === impl Rig ===

impl Rig {
    fn new() -> Self {
        let images = tempfile::tempdir().unwrap();
        let root = images.path();
        let metadata = LoopDisk::new(root.join("data.img"), root.join("data"), 512);
        let mount = metadata.path().join("blobs");
        let blobs = LoopDisk::new(root.join("blobs.img"), mount, 512);
        Self {
            blobs,
            metadata,
            _images: images,
        }
    }

    fn start(&self, switch: Option<&str>) -> Result<Dev, Ended> {
        // A registry that has lost its disks ends by itself; some requests it cannot answer.
        let dev = DevBuilder::new(self.metadata.path()).env("MERIDIAN_GRACE", "1s");
        match switch {
            Some(switch) => dev.env("FAILPOINTS", format!("{switch}=return")),
            None => dev,
        }
        .try_start()
    }

    /// Cuts the power under the hands of clients, ends the registry, and brings the power back.
    /// The end comes at once, or only when the clients have noticed that something is wrong.
    async fn lose_power(&mut self, dev: Dev, work: Work, ledger: &Shared, is_noticed: bool) {
        let at_work = work.under_way();
        assert!(at_work > 0, "nobody is at work");
        cut_power(&[&self.blobs, &self.metadata]);
        locked(ledger).power_is_off();
        let mut work = Some(work);
        if is_noticed && let Some(work) = work.take() {
            work.end().await;
        }
        dev.kill();
        if let Some(work) = work {
            work.end().await;
        }
        let late = locked(ledger).late();
        eprintln!("the power went with {at_work} clients at work, and {late} promises came later");
        locked(ledger).power_is_on();
        self.blobs.unmount();
        self.metadata.restore();
        self.blobs.restore();
    }
}

#[track_caller]
fn require_mounts() {
    assert!(
        can_mount(),
        "power cuts need root and loop devices: run as root, or leave this test out by name"
    );
}
