//! The end of an upload that goes well: verified, durable, recorded, in this order.
//!
//! Keeps the invariant that a record is proposed only for bytes that are durable and were seen to
//! hash to the digest. Nothing is deleted that might be recorded; what turns out not to be is the
//! sweep's.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use meridian_clients::{StorageKey, Transfer, UploadError};
use meridian_oci::{Algorithm, Digest, Hasher};
use tokio::task::coop::consume_budget;
use tokio_util::sync::CancellationToken;

use super::body::Body;
use super::draft::Draft;
use super::over::Ending;
use super::record::{Owner, Target};
use super::session::{Progress, Sealed, Session};
use super::turn::Left;
use super::write::{Rest, Stop};
use super::{Uploads, failure};
use crate::layout;

/// A whole blob, where it waits to be recorded.
pub(super) enum Whole {
    Small(Bytes),
    Stored(Sealed),
}

impl Uploads {
    pub(super) async fn finish_session(
        &self,
        session: &Arc<Session>,
        mut progress: Left,
        digest: Digest,
        chunk: Transfer,
        gone: CancellationToken,
    ) -> (Result<(), UploadError>, Left) {
        // On the heap, because it is large and moves before it begins.
        let finished = Box::pin(self.finish_with(session, &mut progress, digest, chunk, gone));
        (finished.await, progress)
    }

    async fn finish_with(
        &self,
        session: &Arc<Session>,
        progress: &mut Progress,
        digest: Digest,
        chunk: Transfer,
        gone: CancellationToken,
    ) -> Result<(), UploadError> {
        self.explore(session, progress).await?;
        let target = Target {
            owner: Owner::Repository(&session.repository),
            digest,
        };
        if matches!(progress, Progress::Over) {
            return self.repeat(session, digest).await;
        }
        // An id of an earlier life, without bytes: perhaps they went into a record long ago.
        let is_repeated = session.is_reissued() && progress.offset() == 0;
        if !(is_repeated && self.is_present(&session.repository, digest).await?) {
            let completed = self.complete(session, progress, &target, chunk, gone).await;
            self.settle(session, progress, completed).await?;
        }
        self.end(session, progress, Ending::Finished(digest)).await;
        Ok(())
    }

    /// Takes what is missing, and records the blob.
    async fn complete(
        &self,
        session: &Session,
        progress: &mut Progress,
        target: &Target<'_>,
        chunk: Transfer,
        gone: CancellationToken,
    ) -> Result<(), Stop> {
        if let Progress::Open(draft) = progress {
            draft.expect(target.digest.algorithm());
            let body = self.admit(session, draft, chunk, gone)?;
            match self.take_last(target, draft, body).await? {
                Whole::Small(bytes) => {
                    return self.record_inline(target, draft.ticket, bytes).await;
                }
                Whole::Stored(mut sealed) => {
                    if !self.is_alone_at(session).await {
                        sealed.digest = None;
                    }
                    *progress = Progress::Sealed(sealed);
                }
            }
        }
        let Progress::Sealed(sealed) = progress else {
            return Err(Stop::Kept(UploadError::Unknown));
        };
        self.verify(sealed, target.digest).await?;
        self.record_object(target, sealed).await
    }

    /// Holds a finished object against the digest.
    pub(super) async fn verify(&self, sealed: &mut Sealed, digest: Digest) -> Result<(), Stop> {
        let algorithm = digest.algorithm();
        let found = match sealed.digest.filter(|known| known.algorithm() == algorithm) {
            Some(found) => found,
            None => self.hash_object(sealed.key, algorithm).await?,
        };
        sealed.digest = Some(found);
        if found == digest {
            return Ok(());
        }
        fail::fail_point!("blob.hash.mismatch_cleanup");
        Err(if sealed.proposed {
            Stop::Kept(UploadError::DigestDiffers)
        } else {
            Stop::Lost(UploadError::DigestDiffers)
        })
    }

    /// Takes the rest of a blob and holds it against its digest.
    pub(super) async fn take_last(
        &self,
        target: &Target<'_>,
        draft: &mut Draft,
        body: Body,
    ) -> Result<Whole, Stop> {
        let few = self.config.inline_bytes.as_usize();
        let room = draft.head().map(|head| few.saturating_sub(head.len()));
        let gathered = Self::gather(body, room.unwrap_or(0)).await;
        if let (Some(head), Rest::None) = (draft.head(), &gathered.rest)
            && gathered.pieces.iter().map(Bytes::len).sum::<usize>() <= few - head.len()
        {
            if draft.digest_with(&gathered.pieces) != Some(target.digest) {
                return Err(Stop::Lost(UploadError::DigestDiffers));
            }
            return Ok(Whole::Small(join(head, &gathered.pieces)));
        }
        let writer = self.write(target.owner, draft, gathered).await?;
        let digest = draft.digest_with([]);
        if digest.is_some_and(|digest| digest != target.digest) {
            fail::fail_point!("blob.hash.mismatch_cleanup");
            writer.abort().await;
            return Err(Stop::Lost(UploadError::DigestDiffers));
        }
        let Some(key) = draft.key() else {
            return Err(Stop::Lost(failure::lost("a written draft has no object")));
        };
        let committed = writer.commit().await;
        let size = committed.map_err(Stop::of)?;
        if size != draft.offset() {
            return Err(Stop::Lost(failure::lost(
                "the store committed another length",
            )));
        }
        Ok(Whole::Stored(Sealed {
            ticket: draft.ticket,
            key,
            size,
            digest,
            proposed: false,
        }))
    }

    /// Reads a finished object for its digest.
    async fn hash_object(&self, key: StorageKey, algorithm: Algorithm) -> Result<Digest, Stop> {
        let kept = |error| Stop::Kept(error);
        let opened = self.store.open(&layout::object(key), None).await;
        let mut reader = opened.map_err(|error| kept(failure::of_store(error)))?;
        let mut hasher = Hasher::new(algorithm);
        while let Some(bytes) = reader.next().await {
            hasher.update(&bytes.map_err(|error| kept(failure::lost(error)))?);
            consume_budget().await;
        }
        Ok(hasher.finish())
    }
}

/// One buffer of its own, because a piece may be a small part of a large one.
fn join(head: &[u8], pieces: &[Bytes]) -> Bytes {
    let len = head.len() + pieces.iter().map(Bytes::len).sum::<usize>();
    let mut all = BytesMut::with_capacity(len);
    all.extend_from_slice(head);
    pieces.iter().for_each(|piece| all.extend_from_slice(piece));
    all.freeze()
}
