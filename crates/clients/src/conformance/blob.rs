//! What every [`BlobApi`] must do.

mod downloads;
mod sessions;
mod uploads;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use meridian_oci::{Algorithm, ContentRange, Digest};

use super::{content, repository, sha256};
use crate::{
    BlobApi, BlobRead, ByteStream, ReadBlobError, RepositoryPath, Transfer, UploadError,
    UploadStatus,
};

/// Makes services of one body.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A service with one registry, `default`, and nothing in it.
    async fn open(&self) -> Arc<dyn BlobApi>;
}

/// Runs every case.
///
/// # Panics
///
/// When the body breaks its contract.
pub async fn run(fixture: &impl Fixture) {
    let stage = Stage(fixture.open().await);
    uploads::blobs_of_all_sizes_come_back(&stage).await;
    uploads::a_body_may_be_cut_anyhow(&stage).await;
    uploads::both_algorithms_serve(&stage).await;
    uploads::another_digest_is_refused(&stage).await;
    uploads::another_length_is_refused(&stage).await;
    uploads::a_broken_body_leaves_nothing(&stage).await;
    uploads::a_blob_is_mounted_or_uploaded(&stage).await;
    uploads::a_deleted_blob_is_absent(&stage).await;

    sessions::chunks_make_a_blob(&stage).await;
    sessions::a_session_takes_the_last_chunk_with_its_end(&stage).await;
    sessions::a_chunk_out_of_order_learns_the_offset(&stage).await;
    sessions::what_came_before_a_break_is_kept(&stage).await;
    sessions::a_chunk_with_a_range_counts_whole_or_not_at_all(&stage).await;
    sessions::a_session_has_one_writer(&stage).await;
    sessions::a_session_is_known_in_its_repository_only(&stage).await;
    sessions::a_cancelled_session_is_over(&stage).await;
    sessions::a_finished_session_is_finished_again(&stage).await;

    downloads::a_range_yields_exactly_its_bytes(&stage).await;
    downloads::what_is_absent_is_told_apart(&stage).await;
    downloads::a_reader_may_stop_anywhere(&stage).await;
    downloads::a_reader_is_sent_only_for_what_is_there(&stage).await;
}

/// A service, and what requests to it look like.
struct Stage(Arc<dyn BlobApi>);

impl std::ops::Deref for Stage {
    type Target = dyn BlobApi;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Stage {
    async fn push(&self, at: &RepositoryPath, bytes: &Bytes) -> Digest {
        let digest = sha256(bytes);
        self.upload(at, digest, sized(bytes)).await.unwrap();
        digest
    }

    async fn session(&self, at: &RepositoryPath) -> UploadStatus {
        self.start(at, Algorithm::Sha256).await.unwrap()
    }

    /// All bytes of a blob, or of a range of it.
    async fn pull(
        &self,
        at: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<Bytes, ReadBlobError> {
        let body = match self.read(at, digest, range).await? {
            BlobRead::Whole { body, .. } | BlobRead::Part { body, .. } => body,
            BlobRead::Unsatisfiable { .. } => return Ok(Bytes::new()),
        };
        Ok(gather(body).await.unwrap())
    }
}

async fn gather(mut body: ByteStream) -> io::Result<Bytes> {
    let mut all = BytesMut::new();
    while let Some(piece) = body.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all.freeze())
}

/// The pieces of `bytes`, each of at most `size`.
pub(super) fn pieces(bytes: &Bytes, size: usize) -> Vec<io::Result<Bytes>> {
    let mut rest = bytes.clone();
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        pieces.push(Ok(rest.split_to(rest.len().min(size))));
    }
    pieces
}

/// A body of unknown length, in pieces that no message has.
fn streamed(bytes: &Bytes) -> Transfer {
    Transfer {
        range: None,
        length: None,
        body: Box::pin(stream::iter(pieces(bytes, 70_001))),
    }
}

/// A body with its length.
fn sized(bytes: &Bytes) -> Transfer {
    Transfer {
        length: Some(bytes.len() as u64),
        ..streamed(bytes)
    }
}

/// A chunk with its place.
fn ranged(bytes: &Bytes, start: u64) -> Transfer {
    Transfer {
        range: Some(ContentRange::new(start, start + bytes.len() as u64 - 1).unwrap()),
        ..sized(bytes)
    }
}

/// A body that breaks off after `bytes`.
pub(super) fn broken(bytes: &Bytes) -> ByteStream {
    let why = io::Error::new(io::ErrorKind::ConnectionReset, "the client is gone");
    let pieces = pieces(bytes, 70_001).into_iter().chain([Err(why)]);
    Box::pin(stream::iter(pieces.collect::<Vec<_>>()))
}

/// Asks until the answer is not that somebody else is writing.
async fn when_free<T>(ask: impl AsyncFn() -> Result<T, UploadError>) -> Result<T, UploadError> {
    let patience = Duration::from_secs(10);
    let asked = tokio::time::timeout(patience, async {
        loop {
            match ask().await {
                Err(UploadError::Busy) => tokio::time::sleep(Duration::from_millis(5)).await,
                other => return other,
            }
        }
    });
    asked.await.unwrap_or(Err(UploadError::Busy))
}
