//! What every [`IngestApi`] must do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join;
use futures::{StreamExt, stream};
use meridian_clock::Version;
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Algorithm, Digest};
use tokio::sync::oneshot;

use super::blob::{broken, pieces};
use super::{content, sha256};
use crate::{ByteStream, IngestApi, UploadError};

/// Makes services of one body, and looks behind them.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A service with nothing in it.
    async fn open(&self) -> Arc<dyn IngestApi>;

    /// The bytes that the service which was opened last keeps of a blob.
    async fn kept(&self, registry: RegistryId, blob: Digest) -> Option<Bytes>;

    /// How many objects lie in its store, finished or not.
    async fn objects(&self) -> usize;
}

/// Runs every case.
///
/// # Panics
///
/// When the body breaks its contract.
pub async fn run(fixture: &impl Fixture) {
    let stage = Stage {
        service: fixture.open().await,
        fixture,
    };
    stage.blobs_of_all_sizes_are_kept().await;
    stage.both_algorithms_serve().await;
    stage.the_same_blob_is_kept_once().await;
    stage.other_bytes_are_refused_and_leave_nothing().await;
    stage.another_length_is_refused_and_leaves_nothing().await;
    stage.a_body_that_breaks_off_leaves_nothing().await;
}

struct Stage<'f, F> {
    service: Arc<dyn IngestApi>,
    fixture: &'f F,
}

/// Lengths around those at which something changes on the way.
const SIZES: [usize; 7] = [0, 1, 64, 65, 5000, 262_144, 1_000_003];

fn registry() -> RegistryId {
    RegistryId::new(Version {
        millis: 1,
        counter: 0,
        region: "eu".parse().unwrap(),
    })
}

fn leaf(bytes: &Bytes) -> Leaf {
    Leaf {
        digest: sha256(bytes),
        size: bytes.len() as u64,
    }
}

fn body(bytes: &Bytes) -> ByteStream {
    Box::pin(stream::iter(pieces(bytes, 70_001)))
}

// === impl Stage ===

impl<F: Fixture> Stage<'_, F> {
    async fn ingest(&self, blob: Leaf, body: ByteStream) -> Result<(), UploadError> {
        self.service.ingest(registry(), blob, body).await
    }

    async fn kept(&self, blob: Leaf) -> Option<Bytes> {
        self.fixture.kept(registry(), blob.digest).await
    }

    async fn blobs_of_all_sizes_are_kept(&self) {
        for (seed, size) in (100..).zip(SIZES) {
            let bytes = content(seed, size);
            self.ingest(leaf(&bytes), body(&bytes)).await.unwrap();
            assert_eq!(self.kept(leaf(&bytes)).await, Some(bytes), "{size}");
        }
    }

    async fn both_algorithms_serve(&self) {
        let bytes = content(1, 5000);
        let blob = Leaf {
            digest: Digest::of(Algorithm::Sha512, &bytes),
            size: 5000,
        };
        self.ingest(blob, body(&bytes)).await.unwrap();
        assert_eq!(self.kept(blob).await, Some(bytes));
    }

    async fn the_same_blob_is_kept_once(&self) {
        for bytes in [content(2, 20), content(3, 5000)] {
            let blob = leaf(&bytes);
            let (one, other) = join(
                self.ingest(blob, body(&bytes)),
                self.ingest(blob, body(&bytes)),
            )
            .await;
            one.unwrap();
            other.unwrap();
            self.ingest(blob, body(&bytes)).await.unwrap();
            assert_eq!(self.kept(blob).await, Some(bytes));
        }
    }

    async fn other_bytes_are_refused_and_leave_nothing(&self) {
        let before = self.fixture.objects().await;
        for size in SIZES.into_iter().skip(1) {
            let (bytes, other) = (content(4, size), content(5, size));
            let refused = self.ingest(leaf(&bytes), body(&other)).await;
            assert!(matches!(refused, Err(UploadError::DigestDiffers)), "{size}");
            assert_eq!(self.kept(leaf(&bytes)).await, None);
        }
        assert_eq!(self.fixture.objects().await, before);
    }

    async fn another_length_is_refused_and_leaves_nothing(&self) {
        let before = self.fixture.objects().await;
        for size in SIZES.into_iter().skip(1) {
            let bytes = content(6, size);
            for announced in [size as u64 - 1, size as u64 + 1] {
                let blob = Leaf {
                    size: announced,
                    ..leaf(&bytes)
                };
                let refused = self.ingest(blob, body(&bytes)).await;
                let differs = matches!(
                    refused,
                    Err(UploadError::LengthDiffers { expected, .. }) if expected == announced
                );
                assert!(differs, "{size}: {refused:?}");
                assert_eq!(self.kept(blob).await, None);
            }
        }
        assert_eq!(self.fixture.objects().await, before);
    }

    async fn a_body_that_breaks_off_leaves_nothing(&self) {
        let before = self.fixture.objects().await;
        // There is one empty blob only, and it is here.
        for size in SIZES.into_iter().skip(1) {
            let bytes = content(7, size);
            // All of it came, but nobody said so.
            let refused = self.ingest(leaf(&bytes), broken(&bytes)).await;
            assert!(matches!(refused, Err(UploadError::Body(_))), "{size}");
            self.give_up(&bytes).await;
            assert_eq!(self.kept(leaf(&bytes)).await, None, "{size}");
        }
        when(async || self.fixture.objects().await == before).await;
    }

    /// Sends all bytes, and goes away without a word of their end.
    async fn give_up(&self, bytes: &Bytes) {
        let (tell, is_told) = oneshot::channel();
        let hanging = stream::once(async move {
            let _ended = tell.send(());
            std::future::pending().await
        });
        let body = Box::pin(body(bytes).chain(hanging));
        tokio::select! {
            ended = self.ingest(leaf(bytes), body) => panic!("it has no end: {ended:?}"),
            told = is_told => told.unwrap(),
        }
    }
}

/// Waits until something holds.
async fn when(holds: impl AsyncFn() -> bool) {
    let asked = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let asked = tokio::time::timeout(Duration::from_secs(10), asked).await;
    asked.expect("what was given up is removed");
}
