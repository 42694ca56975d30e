//! A service over stores in memory, which can crash and come back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use meridian_blob_service::{BlobService, Config, Ports};
use meridian_blobstore::{BlobStore, MemoryBlobStore, Presign};
use meridian_cache::{Cache, MemoryCache, MemoryCacheConfig};
use meridian_chassis::Supervisor;
use meridian_chassis::config::{ByteSize, Secret};
use meridian_clients::{
    BlobApi, BlobRead, ByteStream, ReadBlobError, RepositoryPath, Transfer, UploadError,
    UploadStatus,
};
use meridian_clock::{Clock, ManualClock};
use meridian_oci::{Algorithm, ContentRange, Digest};

use crate::metadata::{MemoryMetadata, Mutant};
use crate::turns::Turns;

/// What survives a crash.
pub(crate) struct World {
    pub(crate) store: Arc<dyn BlobStore>,
    pub(crate) presign: Option<Arc<dyn Presign>>,
    pub(crate) metadata: Arc<MemoryMetadata>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: Config,
    pub(crate) turns: Turns,
}

/// What does not.
pub(crate) struct Life {
    pub(crate) service: Arc<BlobService>,
    supervisor: Supervisor,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(MemoryBlobStore::new()), Turns::default(), None)
    }

    pub(crate) fn with(store: Arc<dyn BlobStore>, turns: Turns, mutant: Option<Mutant>) -> Self {
        let clock = Arc::new(ManualClock::at(1_000_000));
        let mut config = Config::default();
        config.uploads.key = Secret::new("0123456789abcdef0123456789abcdef");
        config.uploads.commit_deadline = Duration::from_secs(2);
        config.uploads.inline_bytes = ByteSize::bytes(64);
        // Tests collect when they want to.
        config.collection.interval = Duration::from_secs(1_000_000);
        let for_metadata: Arc<dyn Clock> = Arc::clone(&clock) as _;
        Self {
            store,
            presign: None,
            metadata: Arc::new(MemoryMetadata::new(for_metadata, turns.clone(), mutant)),
            clock,
            config,
            turns,
        }
    }

    /// Starts the service on what is there.
    pub(crate) async fn start(&self) -> Life {
        let cache = MemoryCache::new(&MemoryCacheConfig::default(), Arc::clone(&self.clock));
        let (store, cache) = (Arc::clone(&self.store), Arc::new(cache.unwrap()));
        self.start_on(store, cache, false).await
    }

    /// Starts an instance that shares what it stands on with others, or does not.
    pub(crate) async fn start_on(
        &self,
        store: Arc<dyn BlobStore>,
        cache: Arc<dyn Cache>,
        shared: bool,
    ) -> Life {
        let ports = Ports {
            store,
            presign: self.presign.clone(),
            metadata: Arc::clone(&self.metadata) as _,
            cache,
            shared,
            clock: Arc::clone(&self.clock) as _,
        };
        let mut supervisor = Supervisor::new();
        let service = meridian_blob_service::start(self.config.clone(), ports, &mut supervisor);
        Life {
            service: service.await.unwrap(),
            supervisor,
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(u64::try_from(time.as_millis()).unwrap());
    }
}

impl Life {
    /// Ends the service in order.
    pub(crate) async fn stop(self) {
        drop(self.service);
        let stopped = self.supervisor.run(async {}, Duration::from_secs(5));
        stopped.await.unwrap();
    }
}

pub(crate) fn repository(name: &str) -> RepositoryPath {
    RepositoryPath {
        registry: "default".parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

pub(crate) fn sha256(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

/// Bytes that no other seed gives.
pub(crate) fn content(seed: u64, len: usize) -> Bytes {
    use rand_chacha::rand_core::{Rng, SeedableRng};
    let mut bytes = vec![0; len];
    rand_chacha::ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}

/// The pieces of `bytes`, each of at most `size`.
pub(crate) fn pieces(bytes: &Bytes, size: usize) -> Vec<io::Result<Bytes>> {
    let mut rest = bytes.clone();
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        pieces.push(Ok(rest.split_to(rest.len().min(size))));
    }
    pieces
}

/// A body without length, as docker sends it.
pub(crate) fn streamed(bytes: &Bytes) -> Transfer {
    Transfer {
        range: None,
        length: None,
        body: Box::pin(stream::iter(pieces(bytes, 1000))),
    }
}

/// A body with a length.
pub(crate) fn sized(bytes: &Bytes) -> Transfer {
    Transfer {
        length: Some(bytes.len() as u64),
        ..streamed(bytes)
    }
}

/// A chunk with its place.
pub(crate) fn ranged(bytes: &Bytes, start: u64) -> Transfer {
    Transfer {
        range: Some(ContentRange::new(start, start + bytes.len() as u64 - 1).unwrap()),
        ..sized(bytes)
    }
}

/// A body that breaks off after `bytes`.
pub(crate) fn broken(bytes: &Bytes) -> ByteStream {
    let mut pieces = pieces(bytes, 1000);
    pieces.push(Err(io::Error::other("the client is gone")));
    Box::pin(stream::iter(pieces))
}

/// A body that hangs after `bytes`.
pub(crate) fn hanging(bytes: &Bytes) -> ByteStream {
    Box::pin(stream::iter(pieces(bytes, 1000)).chain(stream::pending()))
}

pub(crate) async fn open(service: &BlobService, repository: &RepositoryPath) -> UploadStatus {
    service.start(repository, Algorithm::Sha256).await.unwrap()
}

/// All bytes of a blob, or of a range of it.
pub(crate) async fn pull(
    service: &BlobService,
    repository: &RepositoryPath,
    digest: Digest,
    range: Option<&str>,
) -> Result<Bytes, ReadBlobError> {
    let body = match service.read(repository, digest, range).await? {
        BlobRead::Whole { body, .. } | BlobRead::Part { body, .. } => body,
        BlobRead::Unsatisfiable { .. } => return Ok(Bytes::new()),
    };
    let bytes = body.map(|piece| piece.unwrap());
    let joined = bytes.fold(BytesMut::new(), |mut all, piece| async move {
        all.extend_from_slice(&piece);
        all
    });
    Ok(joined.await.freeze())
}

/// Uploads in one step.
pub(crate) async fn push(
    service: &BlobService,
    repository: &RepositoryPath,
    bytes: &Bytes,
) -> Result<Digest, UploadError> {
    let digest = sha256(bytes);
    service.upload(repository, digest, sized(bytes)).await?;
    Ok(digest)
}
