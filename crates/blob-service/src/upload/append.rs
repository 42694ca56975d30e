//! A chunk that is not the last.

use std::sync::Arc;

use bytes::Bytes;
use meridian_blobstore::BlobWriter;
use meridian_clients::{Transfer, UploadError, UploadStatus};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::body::{Body, Fault};
use super::draft::Draft;
use super::over::Ending;
use super::session::{Progress, Session};
use super::{Uploads, failure};

impl Uploads {
    pub(super) async fn append_to(
        &self,
        session: &Arc<Session>,
        mut progress: OwnedMutexGuard<Progress>,
        chunk: Transfer,
        gone: CancellationToken,
    ) -> Result<UploadStatus, UploadError> {
        self.explore(session, &mut progress).await?;
        let taken = match &mut *progress {
            Progress::Open(draft) => self.take_chunk(session, draft, chunk, gone).await,
            Progress::Sealed(sealed) if chunk.length != Some(0) => {
                Err(UploadError::OutOfOrder(session.status_at(sealed.size)))
            }
            Progress::Sealed(_) => Ok(()),
            Progress::Unexplored(_) | Progress::Over => Err(UploadError::Unknown),
        };
        session.touch(self.clock.now_millis());
        if let Err(UploadError::Store(_) | UploadError::StoreFull) = taken {
            self.lose(session, &mut progress).await;
        } else {
            session.acknowledge(progress.offset());
        }
        taken?;
        fail::fail_point!("fe.patch.after_blob_ack_before_reply");
        Ok(session.status_at(progress.offset()))
    }

    async fn take_chunk(
        &self,
        session: &Session,
        draft: &mut Draft,
        chunk: Transfer,
        gone: CancellationToken,
    ) -> Result<(), UploadError> {
        let mut body = self.admit(session, draft, chunk, gone)?;
        let first = match body.next().await {
            Ok(Some(first)) => first,
            Ok(None) => return Ok(()),
            Err(fault) => return Err(fault.error),
        };
        self.store_rest(session, draft, vec![first], Ok(body)).await
    }

    /// A chunk whose headers fit the session.
    pub(super) fn admit(
        &self,
        session: &Session,
        draft: &Draft,
        chunk: Transfer,
        gone: CancellationToken,
    ) -> Result<Body, UploadError> {
        if chunk.range.is_some_and(|range| range.start() != draft.offset()) {
            return Err(UploadError::OutOfOrder(session.status_at(draft.offset())));
        }
        let limit = self.config.max_blob_bytes.as_u64();
        Body::new(chunk, draft.offset(), limit, gone)
    }
}
