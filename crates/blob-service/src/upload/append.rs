//! A chunk that is not the last.

use std::sync::Arc;

use meridian_clients::{Transfer, UploadError, UploadStatus};
use tokio_util::sync::CancellationToken;

use super::Uploads;
use super::body::Body;
use super::draft::Draft;
use super::over::Ending;
use super::record::Owner;
use super::session::{Progress, Session};
use super::turn::Left;
use super::write::{Rest, Stop};
use crate::generation::Claim;

impl Uploads {
    pub(super) async fn append_to(
        &self,
        session: &Arc<Session>,
        mut progress: Left,
        chunk: Transfer,
        gone: CancellationToken,
    ) -> (Result<UploadStatus, UploadError>, Left) {
        let appended = self.append_with(session, &mut progress, chunk, gone);
        (appended.await, progress)
    }

    async fn append_with(
        &self,
        session: &Arc<Session>,
        progress: &mut Progress,
        chunk: Transfer,
        gone: CancellationToken,
    ) -> Result<UploadStatus, UploadError> {
        self.explore(session, progress).await?;
        let taken = match progress {
            Progress::Open(draft) => self.take_chunk(session, draft, chunk, gone).await,
            Progress::Sealed(_) if chunk.length == Some(0) => Ok(()),
            Progress::Sealed(sealed) => {
                let status = session.status_at(sealed.size);
                Err(Stop::Kept(UploadError::OutOfOrder(status)))
            }
            Progress::Unexplored(_) | Progress::Over => return Err(UploadError::Unknown),
        };
        self.settle(session, progress, taken).await?;
        fail::fail_point!("fe.patch.after_blob_ack_before_reply");
        Ok(session.status_at(progress.offset()))
    }

    /// Makes known where a session stands after a request, or that its bytes are lost.
    pub(super) async fn settle<T>(
        &self,
        session: &Session,
        progress: &mut Progress,
        outcome: Result<T, Stop>,
    ) -> Result<T, UploadError> {
        session.touch(self.clock.now_millis());
        match outcome {
            Err(Stop::Lost(error)) => {
                self.end(session, progress, Ending::Lost).await;
                Err(error)
            }
            Err(Stop::Taken) => {
                tracing::info!(
                    generation = session.current().generation,
                    "an upload was continued by another instance meanwhile",
                );
                *progress = Progress::Unexplored(Claim::Foreign);
                session.forget_status();
                Err(UploadError::Busy)
            }
            Err(Stop::Kept(error)) => {
                session.acknowledge(progress.offset());
                Err(error)
            }
            Ok(done) => {
                session.acknowledge(progress.offset());
                Ok(done)
            }
        }
    }

    async fn take_chunk(
        &self,
        session: &Session,
        draft: &mut Draft,
        chunk: Transfer,
        gone: CancellationToken,
    ) -> Result<(), Stop> {
        let body = self.admit(session, draft, chunk, gone)?;
        // The object begins with the first byte: a body without any leaves no trace.
        let gathered = Self::gather(body, 0).await;
        if let (true, Rest::None) = (gathered.pieces.is_empty(), &gathered.rest) {
            return Ok(());
        }
        let writer = self
            .write(Owner::Repository(&session.repository), draft, gathered)
            .await?;
        self.sync(draft, writer).await
    }

    /// The body of a chunk whose headers fit the session.
    pub(super) fn admit(
        &self,
        session: &Session,
        draft: &Draft,
        chunk: Transfer,
        gone: CancellationToken,
    ) -> Result<Body, Stop> {
        let offset = draft.offset();
        if chunk.range.is_some_and(|range| range.start() != offset) {
            let status = session.status_at(offset);
            return Err(Stop::Kept(UploadError::OutOfOrder(status)));
        }
        let limit = self.config.max_blob_bytes.as_u64();
        Body::new(chunk, offset, limit, gone).map_err(Stop::Kept)
    }
}
