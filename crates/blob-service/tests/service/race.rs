//! Garbage collection against pushes, mounts and deletions, in seeded interleavings.
//!
//! One hot layer, three repositories, two processes that push, mount, name the layer in manifests,
//! take manifests back, collect and sweep, with no grace, leases that run out all the time, and a
//! sweep that takes anything for old which no session of its own process holds. Whatever
//! the interleaving: what a manifest needs can be pulled, with the right bytes; and when nothing
//! needs anything any more, the store is empty. That the test would notice is shown by faults that
//! the metadata's contract forbids, with which it must fail.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use meridian_blob_service::BlobService;
use meridian_blobstore::{
    BlobKey, BlobReader, BlobStore, BlobWriter, CreateError, Listed, MemoryBlobStore, ReadError,
    ResumeError, Space, StorageError, WriterState,
};
use meridian_clients::{BlobApi, MountOutcome, RepositoryPath};

use crate::harness::{World, content, pull, push, repository, sha256};
use crate::metadata::Mutant;
use crate::turns::Turns;

/// A store that lets other tasks go first, before and after each call.
struct Hesitant {
    store: MemoryBlobStore,
    turns: Turns,
}

#[async_trait]
impl BlobStore for Hesitant {
    async fn create(&self, key: &BlobKey) -> Result<Box<dyn BlobWriter>, CreateError> {
        self.turns.wait().await;
        self.store.create(key).await
    }

    async fn resume(
        &self,
        key: &BlobKey,
        state: Option<&WriterState>,
    ) -> Result<Option<Box<dyn BlobWriter>>, ResumeError> {
        self.turns.wait().await;
        self.store.resume(key, state).await
    }

    async fn open(
        &self,
        key: &BlobKey,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, ReadError> {
        self.turns.wait().await;
        self.store.open(key, range).await
    }

    async fn stat(&self, key: &BlobKey) -> Result<Option<u64>, StorageError> {
        self.turns.wait().await;
        self.store.stat(key).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StorageError> {
        self.turns.wait_long().await;
        self.store.delete(key).await
    }

    async fn list(
        &self,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        self.turns.wait().await;
        // To the sweep, some of it is as old as can be.
        let mut page = self.store.list(after, limit).await?;
        for listed in &mut page {
            listed.modified_millis = (self.turns.roll(3) == 0).then_some(0);
        }
        Ok(page)
    }

    async fn space(&self) -> Result<Option<Space>, StorageError> {
        self.store.space().await
    }
}

/// How often each client pushes.
const ROUNDS: u64 = 8;

/// How long sessions and objects live at most: the clock starts at a thousand seconds, and moves by
/// milliseconds.
const LIFE: Duration = Duration::from_secs(900);

/// What must not be.
type Violation = String;

/// A client of one of the processes.
struct Pusher<'w> {
    world: &'w World,
    service: &'w BlobService,
    number: u64,
    layer: &'w Bytes,
}

impl Pusher<'_> {
    async fn run(&self) -> Result<(), Violation> {
        let turns = &self.world.turns;
        for round in 0..ROUNDS {
            let here = repository(&format!("r{}", turns.roll(3)));
            let manifest = sha256(format!("{} {round}", self.number).as_bytes());
            self.provide(&here).await;
            // Leases may end before the manifest comes.
            turns.wait_long().await;
            self.world.pass(Duration::from_millis(turns.roll(40)));
            turns.wait_long().await;
            let layers = [sha256(self.layer)];
            if !self.world.metadata.manifest(&here.name, manifest, &layers) {
                continue;
            }
            for _ in 0..turns.roll(6) {
                turns.wait_long().await;
                self.check(&here).await?;
            }
            if round + 1 < ROUNDS || turns.roll(2) == 0 {
                self.world.metadata.forget_manifest(&here.name, manifest);
            }
        }
        Ok(())
    }

    /// What clients do before they put a manifest: look, mount, push.
    async fn provide(&self, here: &RepositoryPath) {
        let digest = sha256(self.layer);
        if self.service.stat(here, digest, true).await.is_ok() {
            return;
        }
        let from = repository(&format!("r{}", self.world.turns.roll(3)));
        let mount = self.service.mount(here, Some(&from.name), digest).await;
        if !matches!(mount, Ok(MountOutcome::Mounted)) {
            // With a forbidden fault it may fail; there is no manifest then.
            let _outcome = push(self.service, here, self.layer).await;
        }
    }

    async fn check(&self, here: &RepositoryPath) -> Result<(), Violation> {
        match pull(self.service, here, sha256(self.layer), None).await {
            Ok(bytes) if bytes == *self.layer => Ok(()),
            Ok(_) => Err(format!("wrong bytes in {}", here.name)),
            Err(error) => Err(format!("a needed blob of {} is away: {error}", here.name)),
        }
    }
}

/// Collects until `stop`.
async fn collect(world: &World, service: &BlobService, stop: &Cell<bool>) -> Result<(), Violation> {
    while !stop.get() {
        world.turns.wait_long().await;
        world.pass(Duration::from_millis(world.turns.roll(10)));
        service.collect().await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn run(seed: u64, mutant: Option<Mutant>) -> Result<(), Violation> {
    let turns = Turns::seeded(seed);
    let store = Hesitant {
        store: MemoryBlobStore::new(),
        turns: turns.clone(),
    };
    let mut world = World::with(Arc::new(store), turns, mutant);
    // No session grows so old, nothing that is swept is so young.
    (
        world.config.uploads.idle_expiry,
        world.config.uploads.max_lifetime,
    ) = (LIFE, LIFE);
    world.metadata.set_times(0, 20);
    let (one, two) = (world.start().await, world.start().await);
    let layer = content(seed, 3000);
    let pusher = |number, service| Pusher {
        world: &world,
        service,
        number,
        layer: &layer,
    };
    let (first, second) = (pusher(1, &one.service), pusher(2, &two.service));
    let third = pusher(3, &one.service);
    let over = Cell::new(false);
    let pushers = async {
        let outcome = tokio::try_join!(first.run(), second.run(), third.run());
        over.set(true);
        outcome.map(|_| ())
    };
    tokio::try_join!(
        pushers,
        collect(&world, &one.service, &over),
        collect(&world, &two.service, &over),
    )?;
    for (name, _) in world.metadata.needed() {
        first.check(&repository(name.as_str())).await?;
    }
    for round in 0..ROUNDS {
        for number in 1..=3 {
            let manifest = sha256(format!("{number} {round}").as_bytes());
            for repository in ["r0", "r1", "r2"] {
                world
                    .metadata
                    .forget_manifest(&repository.parse().unwrap(), manifest);
            }
        }
    }
    world.pass(Duration::from_secs(1));
    let last = one.service.collect().await;
    last.map_err(|error| error.to_string())?;
    let left = world.store.list(None, 10).await.unwrap();
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("garbage is left: {left:?}"))
    }
}

/// The first violation among so many interleavings.
fn search(seeds: Range<u64>, mutant: Option<Mutant>) -> Option<(u64, Violation)> {
    seeds.into_iter().find_map(|seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let outcome = runtime.block_on(run(seed, mutant));
        outcome.err().map(|violation| (seed, violation))
    })
}

/// `SEED=…` replays one interleaving, `SEEDS=…` tries so many.
fn seeds() -> Range<u64> {
    let number = |name| std::env::var_os(name)?.to_str()?.parse::<u64>().ok();
    let one = number("SEED").map(|seed| seed..seed + 1);
    one.unwrap_or_else(|| 0..number("SEEDS").unwrap_or(300))
}

#[test]
fn what_a_manifest_needs_is_never_collected() {
    assert_eq!(search(seeds(), None), None);
}

#[test]
fn a_removal_that_does_not_look_again_is_noticed() {
    assert!(search(0..300, Some(Mutant::RemovesUnseen)).is_some());
}

#[test]
fn a_manifest_that_is_put_unseen_is_noticed() {
    assert!(search(0..300, Some(Mutant::AdmitsDangling)).is_some());
}

#[test]
fn a_sweep_that_is_not_fenced_is_noticed() {
    assert!(search(0..300, Some(Mutant::DoomsUnfenced)).is_some());
}

#[test]
fn generations_that_repeat_are_noticed() {
    assert!(search(0..300, Some(Mutant::RepeatsGenerations)).is_some());
}
