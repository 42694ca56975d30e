//! Blobs that come from other regions.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use meridian_blob_service::INGEST_GRPC_SERVICE;
use meridian_blobstore::{BlobKey, BlobStore, Fault, Faulty, MemoryBlobStore, Operation};
use meridian_clients::conformance::ingest::{Fixture, run};
use meridian_clients::grpc::body::{UploadMessage, UploadPart};
use meridian_clients::grpc::{GrpcConfig, GrpcIngest};
use meridian_clients::{
    BlobApi, BlobLocation, ByteStream, Collect, IngestApi, MetadataApi, RequestId, StorageKey,
    UploadError,
};
use meridian_error::{Classify, Code, Retry};
use meridian_event::{Leaf, RegistryId};
use meridian_oci::Digest;
use meridian_proto::meridian::blob::v1 as pb;

use crate::collection::disk_world;
use crate::grpc::Served;
use crate::harness::{Life, World, content, pieces, push, repository, sha256};
use crate::metadata::registry_id;
use crate::turns::Turns;

fn leaf(bytes: &Bytes) -> Leaf {
    Leaf {
        digest: sha256(bytes),
        size: bytes.len() as u64,
    }
}

fn body(bytes: &Bytes) -> ByteStream {
    Box::pin(stream::iter(pieces(bytes, 1000)))
}

async fn ingest(life: &Life, bytes: &Bytes) -> Result<(), UploadError> {
    let service = &life.service;
    service
        .ingest(registry_id(), leaf(bytes), body(bytes))
        .await
}

/// Where the bytes of a blob are recorded to be.
fn object(world: &World, digest: Digest) -> StorageKey {
    match world.metadata.location(digest) {
        Some(BlobLocation::Stored(key)) => key,
        other => panic!("{other:?}"),
    }
}

fn named(key: StorageKey) -> BlobKey {
    BlobKey {
        registry: key.registry.to_string().parse().unwrap(),
        epoch: key.epoch,
        generation: key.generation,
    }
}

async fn stored(world: &World, key: StorageKey) -> Bytes {
    let mut reader = world.store.open(&named(key), None).await.unwrap();
    let mut all = BytesMut::new();
    while let Some(bytes) = reader.next().await {
        all.extend_from_slice(&bytes.unwrap());
    }
    all.freeze()
}

/// One service, in process or behind a server.
struct Bodies {
    world: World,
    is_remote: bool,
    life: Mutex<Option<(Option<Served>, Life)>>,
}

impl Bodies {
    async fn check(is_remote: bool) {
        let bodies = Self {
            world: World::new(),
            is_remote,
            life: Mutex::default(),
        };
        run(&bodies).await;
        let life = bodies.life.lock().unwrap().take();
        let (served, life) = life.unwrap();
        if let Some(served) = served {
            served.stop().await;
        }
        life.stop().await;
    }
}

#[async_trait]
impl Fixture for Bodies {
    async fn open(&self) -> Arc<dyn IngestApi> {
        let life = self.world.start().await;
        let api = Arc::clone(&life.service);
        let served = self.is_remote.then(|| Served::ingest(&life.service));
        let api: Arc<dyn IngestApi> = match &served {
            Some(served) => {
                let client = GrpcIngest::at(&served.endpoint(), &GrpcConfig::default());
                Arc::new(client.unwrap())
            }
            None => api,
        };
        *self.life.lock().unwrap() = Some((served, life));
        api
    }

    async fn kept(&self, registry: RegistryId, blob: Digest) -> Option<Bytes> {
        match self.world.metadata.location(blob)? {
            BlobLocation::Inline(bytes) => Some(bytes),
            BlobLocation::Stored(key) => {
                assert_eq!(key.registry, registry);
                Some(stored(&self.world, key).await)
            }
        }
    }

    async fn objects(&self) -> usize {
        self.world.store.list(None, 1000).await.unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_takes_in_what_it_should() {
    Bodies::check(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_in_front_of_it_does_so_too() {
    Bodies::check(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_means_nothing_is_refused_by_the_name_of_its_field() {
    assert_eq!(INGEST_GRPC_SERVICE, "meridian.blob.v1.Ingest");
    let world = World::new();
    let life = world.start().await;
    let served = Served::ingest(&life.service);
    let connected = pb::ingest_client::IngestClient::connect(served.endpoint()).await;
    let mut raw = connected.unwrap();
    let head = |registry, blob| {
        pb::IngestRequest::new(UploadPart::Head(pb::IngestHead { registry, blob }))
    };
    let (registry, blob) = (
        Some(registry_id().into()),
        Some(leaf(&content(1, 9)).into()),
    );
    let headless = pb::IngestRequest::new(UploadPart::Chunk(Bytes::from_static(b"x")));
    for (field, message) in [
        ("registry", head(None, blob)),
        ("blob", head(registry, None)),
        ("head", headless),
    ] {
        let status = raw.ingest(stream::iter([message])).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{field}");
        assert!(
            status.message().contains(&format!("field {field} ")),
            "{status}"
        );
    }
    drop(raw);
    served.stop().await;
    life.stop().await;
}

#[tokio::test]
async fn a_blob_that_came_is_kept_when_it_is_pushed() {
    let world = World::new();
    let life = world.start().await;
    let bytes = content(1, 5000);
    ingest(&life, &bytes).await.unwrap();
    let first = object(&world, sha256(&bytes));
    push(&life.service, &repository("a"), &bytes).await.unwrap();
    assert_eq!(object(&world, sha256(&bytes)), first);
    life.service.collect().await.unwrap();
    assert_eq!(world.store.list(None, 10).await.unwrap().len(), 1);
    assert_eq!(stored(&world, first).await, bytes);
}

#[tokio::test]
async fn an_object_that_was_lost_is_replaced_by_what_comes() {
    let world = World::new();
    let life = world.start().await;
    let bytes = content(2, 5000);
    push(&life.service, &repository("a"), &bytes).await.unwrap();
    let lost = object(&world, sha256(&bytes));
    world.store.delete(&named(lost)).await.unwrap();
    for is_known in [false, true] {
        if is_known {
            let lost = object(&world, sha256(&bytes));
            world.store.delete(&named(lost)).await.unwrap();
            let path = repository("a");
            let read = life.service.read(&path, sha256(&bytes), None);
            assert!(read.await.is_err());
        }
        ingest(&life, &bytes).await.unwrap();
        let found = object(&world, sha256(&bytes));
        assert_ne!(found, lost);
        assert_eq!(stored(&world, found).await, bytes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_answer_is_lost_is_asked_for_again() {
    let world = World::new();
    let life = world.start().await;
    world.metadata.lost_answers.store(2, Ordering::SeqCst);
    for bytes in [content(3, 10), content(3, 5000)] {
        ingest(&life, &bytes).await.unwrap();
        assert!(world.metadata.location(sha256(&bytes)).is_some());
    }
    assert_eq!(world.store.list(None, 10).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_the_metadata_an_object_waits_for_the_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let world = disk_world(&folder).await;
    world.metadata.set_times(1 << 50, 1 << 50);
    let life = world.start().await;
    let bytes = content(4, 5000);
    ingest(&life, &content(5, 5000)).await.unwrap();
    world.metadata.lost_requests.store(1000, Ordering::SeqCst);
    let away = ingest(&life, &bytes).await.unwrap_err();
    assert_eq!(away.retry(), Retry::Yes { after: None });
    world.metadata.lost_requests.store(0, Ordering::SeqCst);
    assert_eq!(world.store.list(None, 10).await.unwrap().len(), 2);
    ingest(&life, &bytes).await.unwrap();
    world.pass(Duration::from_secs(30 * 86_400));
    let report = life.service.collect().await.unwrap();
    assert_eq!(report.orphans.count, 1);
    let found = object(&world, sha256(&bytes));
    assert_eq!(stored(&world, found).await, bytes);
}

#[tokio::test]
async fn an_object_that_was_doomed_on_its_way_is_placed_anew() {
    let world = World::new();
    let life = world.start().await;
    // The next generation is known: they are given out in order.
    ingest(&life, &content(6, 5000)).await.unwrap();
    let first = object(&world, sha256(&content(6, 5000)));
    let next = StorageKey {
        generation: first.generation + 1,
        ..first
    };
    let doom = Collect::Doom(vec![next]);
    let doomed = world
        .metadata
        .collect(doom, RequestId(rand::random()))
        .await;
    assert_eq!(doomed.unwrap().blobs, 1);
    let bytes = content(7, 5000);
    ingest(&life, &bytes).await.unwrap();
    let found = object(&world, sha256(&bytes));
    assert_ne!(found, next);
    assert_eq!(stored(&world, found).await, bytes);
}

#[tokio::test]
async fn a_store_that_fails_keeps_nothing_and_is_tried_again() {
    let store = Faulty::new(MemoryBlobStore::new());
    let world = World::with(Arc::new(store.clone()), Turns::default(), None);
    let life = world.start().await;
    let bytes = content(8, 5000);
    for operation in [Operation::Create, Operation::Append, Operation::Commit] {
        store.script(operation, 0, Fault::Before(Code::Internal));
        let failed = ingest(&life, &bytes).await.unwrap_err();
        assert!(
            matches!(failed, UploadError::Store(_)),
            "{operation:?}: {failed}"
        );
        assert_eq!(failed.retry(), Retry::Yes { after: None });
        assert!(world.metadata.location(sha256(&bytes)).is_none());
        assert!(world.store.list(None, 10).await.unwrap().is_empty());
    }
    ingest(&life, &bytes).await.unwrap();
    assert!(world.metadata.location(sha256(&bytes)).is_some());
}

#[tokio::test]
async fn how_large_blobs_may_be_is_the_origins() {
    let mut world = World::new();
    world.config.uploads.max_blob_bytes = meridian_chassis::config::ByteSize::bytes(1000);
    let life = world.start().await;
    let bytes = content(9, 5000);
    assert!(push(&life.service, &repository("a"), &bytes).await.is_err());
    ingest(&life, &bytes).await.unwrap();
}
