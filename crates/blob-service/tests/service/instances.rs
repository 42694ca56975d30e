//! Several instances of the service over one store and one cache, and what comes between them.
//!
//! The store gives each instance writers of its own, as a bucket does: of two that are at one object,
//! the one that syncs last is told that it was overtaken.

mod concurrent;
mod lost;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meridian_blobstore::{BlobStore, Faulty, MemoryBlobStore, Operation};
use meridian_cache::{CacheKey, Forgetful};
use meridian_clients::{BlobApi, MetadataApi, RepositoryPath, Transfer, UploadError};
use meridian_oci::{Algorithm, UploadId};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::harness::{
    Life, World, content, open, pull, push, ranged, repository, sha256, sized, streamed,
};

/// After this, a session is in nobody's hand who does not renew its lease.
const LEASE: Duration = Duration::from_secs(6);

/// What instances share.
pub(crate) struct Region {
    pub(crate) world: World,
    pub(crate) store: MemoryBlobStore,
    pub(crate) cache: Arc<Forgetful>,
    pub(crate) here: RepositoryPath,
}

impl Region {
    pub(crate) fn new() -> Self {
        let world = World::new();
        Self {
            cache: Arc::new(Forgetful::new(Arc::clone(&world.clock))),
            store: MemoryBlobStore::new(),
            here: repository("a"),
            world,
        }
    }

    /// Starts an instance.
    pub(crate) async fn instance(&self) -> Life {
        self.instance_on(Arc::new(self.store.of_another_process()))
            .await
    }

    /// Starts two.
    pub(crate) async fn pair(&self) -> (Life, Life) {
        (self.instance().await, self.instance().await)
    }

    /// What instances told each other of sessions.
    pub(crate) fn memos(&self) -> Vec<(CacheKey, Bytes)> {
        self.cache.written("upload.memo")
    }

    /// Starts an instance that sees the store in its own way.
    pub(crate) async fn instance_on(&self, store: Arc<dyn BlobStore>) -> Life {
        let cache = Arc::clone(&self.cache) as _;
        self.world.start_on(store, cache, true).await
    }

    pub(crate) fn set_cache_away(&self, is_away: bool) {
        self.cache.set_away(is_away);
    }

    /// Everything that lies in the store, finished or not.
    pub(crate) async fn objects(&self) -> usize {
        self.store.list(None, 1000).await.unwrap().len()
    }
}

#[tokio::test]
async fn every_request_of_an_upload_may_come_to_another_instance() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let region = Region::new();
        let (a, here) = (region.instance().await, &region.here);
        // One of them cannot read an object: what was hashed elsewhere is gone on with.
        let blind = Arc::new(Faulty::new(region.store.of_another_process()));
        let b = region.instance_on(Arc::clone(&blind) as _).await;
        let bytes = content(1, 300_000);
        let digest = meridian_oci::Digest::of(algorithm, &bytes);
        let id = a.service.start(here, algorithm).await.unwrap().upload;
        let chunk = streamed(&bytes.slice(..100_000));
        let status = b.service.append(here, &id, chunk).await.unwrap();
        assert_eq!(status.offset, 100_000);
        let id = status.upload;
        let chunk = ranged(&bytes.slice(100_000..150_001), 100_000);
        let status = a.service.append(here, &id, chunk).await.unwrap();
        assert_eq!(status.offset, 150_001);
        for instance in [&b, &a] {
            let status = instance.service.status(here, &id).await.unwrap();
            assert_eq!((status.offset, &status.upload), (150_001, &id));
        }
        let rest = streamed(&bytes.slice(150_001..));
        b.service.finish(here, &id, digest, rest).await.unwrap();
        assert_eq!(blind.calls(Operation::Open), 0);
        assert_eq!(pull(&a.service, here, digest, None).await.unwrap(), bytes);
        assert_eq!(region.objects().await, 1);
        for instance in [&a, &b] {
            assert_eq!(instance.service.open_sessions(), 0);
            let status = instance.service.status(here, &id).await;
            assert!(matches!(status, Err(UploadError::Unknown)), "{status:?}");
        }
    }
}

#[tokio::test]
async fn an_id_that_was_replaced_leads_to_the_same_session() {
    let region = Region::new();
    let (a, b, c) = (
        region.instance().await,
        region.instance().await,
        region.instance().await,
    );
    let (bytes, here) = (content(2, 5000), &region.here);
    let first = open(&a.service, here).await.upload;
    let status = b.service.status(here, &first).await.unwrap();
    assert_eq!((status.offset, &status.upload), (0, &first));
    let chunk = streamed(&bytes.slice(..2000));
    let second = b.service.append(here, &first, chunk).await.unwrap().upload;
    assert_ne!(
        first, second,
        "a generation is begun by its own instance only"
    );
    // The answer was lost: the client asks with what it has.
    for instance in [&a, &b, &c] {
        let status = instance.service.status(here, &first).await.unwrap();
        assert_eq!((status.offset, &status.upload), (2000, &second));
    }
    let again = a.service.append(here, &first, ranged(&bytes.slice(..9), 0));
    let again = again.await;
    assert!(
        matches!(again, Err(UploadError::OutOfOrder(_))),
        "{again:?}"
    );
    let rest = ranged(&bytes.slice(2000..), 2000);
    let digest = sha256(&bytes);
    c.service.finish(here, &first, digest, rest).await.unwrap();
    for id in [&first, &second] {
        let repeated = a.service.finish(here, id, digest, Transfer::empty());
        repeated.await.unwrap();
    }
    assert_eq!(region.objects().await, 1);
}

#[tokio::test]
async fn a_small_blob_goes_into_its_record_wherever_its_end_comes() {
    let region = Region::new();
    let ((a, b), here) = (region.pair().await, &region.here);
    let bytes = content(3, 60);
    let id = open(&a.service, here).await.upload;
    let chunk = streamed(&bytes.slice(..50));
    let id = a.service.append(here, &id, chunk).await.unwrap().upload;
    let (digest, rest) = (sha256(&bytes), sized(&bytes.slice(50..)));
    b.service.finish(here, &id, digest, rest).await.unwrap();
    assert_eq!(pull(&a.service, here, digest, None).await.unwrap(), bytes);
    assert_eq!(region.objects().await, 0, "its draft was deleted");
    assert_eq!(region.world.metadata.doomed(10).await.unwrap().len(), 1);
    assert_eq!(a.service.collect().await.unwrap().deleted_objects, 1);
}

#[tokio::test]
async fn a_finished_session_is_remembered_by_all_instances() {
    for forgets in [false, true] {
        let region = Region::new();
        let ((a, b), here) = (region.pair().await, &region.here);
        for (seed, len) in [(4, 10), (5, 5000)] {
            let (bytes, other) = (content(seed, len), sha256(b"else"));
            let digest = sha256(&bytes);
            let id = open(&a.service, here).await.upload;
            let done = a.service.finish(here, &id, digest, streamed(&bytes));
            done.await.unwrap();
            if forgets {
                region.cache.forget();
            }
            let repeated = b.service.finish(here, &id, digest, streamed(&bytes));
            repeated.await.unwrap();
            let wrong = b.service.finish(here, &id, other, streamed(&bytes)).await;
            assert!(
                matches!(
                    wrong,
                    Err(UploadError::Unknown | UploadError::DigestDiffers)
                ),
                "{wrong:?}"
            );
        }
    }
}

#[tokio::test]
async fn wrong_content_ends_the_session_for_all() {
    let region = Region::new();
    let ((a, b), here) = (region.pair().await, &region.here);
    let id = open(&a.service, here).await.upload;
    let chunk = streamed(&content(6, 5000));
    let id = a.service.append(here, &id, chunk).await.unwrap().upload;
    let wrong = sha256(b"else");
    let put = b.service.finish(here, &id, wrong, Transfer::empty()).await;
    assert!(matches!(put, Err(UploadError::DigestDiffers)), "{put:?}");
    let again = a.service.append(here, &id, streamed(&content(6, 10))).await;
    assert!(matches!(again, Err(UploadError::Unknown)), "{again:?}");
    assert_eq!(region.objects().await, 0);
    push(&a.service, here, &content(6, 5000)).await.unwrap();
}

/// A client, whose requests come to any instance.
struct Client<'r> {
    region: &'r Region,
    instances: Vec<Life>,
    dice: ChaCha8Rng,
    id: UploadId,
    bytes: Bytes,
    sent: usize,
}

impl Client<'_> {
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice.next_u64() % sides
    }

    fn any(&mut self) -> usize {
        usize::try_from(self.roll(self.instances.len() as u64)).unwrap()
    }

    async fn step(&mut self) {
        let at = self.any();
        match self.roll(10) {
            0 => self.region.set_cache_away(true),
            1 => self.region.set_cache_away(false),
            2 => self.region.cache.forget(),
            3 => {
                let store = self.region.store.of_another_process();
                self.instances[at] = self.region.instance_on(Arc::new(store)).await;
            }
            4 => self.region.world.pass(Duration::from_secs(2)),
            _ => self.send(at).await,
        }
        let at = self.any();
        let (service, here) = (&self.instances[at].service, &self.region.here);
        let status = service.status(here, &self.id).await.unwrap();
        assert_eq!(status.offset, self.sent as u64);
        self.id = status.upload;
    }

    async fn send(&mut self, at: usize) {
        let left = self.bytes.len() - self.sent;
        let len = usize::try_from(self.roll(1 + left.min(4000) as u64)).unwrap();
        let chunk = self.bytes.slice(self.sent..self.sent + len);
        let chunk = match self.roll(3) {
            0 if len > 0 => ranged(&chunk, self.sent as u64),
            1 => sized(&chunk),
            _ => streamed(&chunk),
        };
        let (service, here) = (&self.instances[at].service, &self.region.here);
        let status = service.append(here, &self.id, chunk).await.unwrap();
        self.sent += len;
        assert_eq!(status.offset, self.sent as u64);
        self.id = status.upload;
    }
}

#[tokio::test]
async fn whatever_comes_between_no_acknowledged_byte_is_lost() {
    for seed in 0..60 {
        let region = Region::new();
        let instances = vec![
            region.instance().await,
            region.instance().await,
            region.instance().await,
        ];
        let id = open(&instances[0].service, &region.here).await.upload;
        let mut client = Client {
            bytes: content(seed, 40_000),
            dice: ChaCha8Rng::seed_from_u64(seed),
            region: &region,
            instances,
            sent: 0,
            id,
        };
        for _ in 0..25 {
            client.step().await;
        }
        let at = client.any();
        let (service, here) = (&client.instances[at].service, &region.here);
        let rest = streamed(&client.bytes.slice(client.sent..));
        let digest = sha256(&client.bytes);
        let finished = service.finish(here, &client.id, digest, rest).await;
        finished.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        let at = client.any();
        let pulled = pull(&client.instances[at].service, here, digest, None).await;
        assert_eq!(pulled.unwrap(), client.bytes, "seed {seed}");
        for life in client.instances {
            assert_eq!(life.service.open_sessions(), 0, "seed {seed}");
        }
    }
}
