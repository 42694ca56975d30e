//! The end of an upload that goes well: verified, durable, recorded, in this order.
//!
//! Keeps the invariant that a record is proposed only for bytes that are durable and were seen to
//! hash to the digest. A proposal whose outcome stays unknown leaves the session sealed: the same
//! PUT again proposes the same request. Nothing is deleted that might be recorded; what turns out
//! not to be is the sweep's.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use meridian_clients::{
    BlobLocation, Encoding, MetadataApi, PutBlob, RepositoryPath, StorageKey, Transfer,
    UploadError, WriteError,
};
use meridian_error::{Classify, Code};
use meridian_oci::{Algorithm, Digest, Hasher};
use tokio::sync::OwnedMutexGuard;
use tokio::task::coop::consume_budget;
use tokio_util::sync::CancellationToken;

use super::body::Body;
use super::draft::Draft;
use super::over::Ending;
use super::session::{Progress, Sealed, Session};
use super::write::{Rest, Stop};
use super::{Uploads, failure};
use crate::layout;
use crate::ticket::Ticket;

/// A whole blob, where it waits to be recorded.
enum Whole {
    Small(Bytes),
    Stored(Sealed),
}

/// Where a finished upload belongs.
struct Target<'r> {
    repository: &'r RepositoryPath,
    digest: Digest,
}

impl Uploads {
    pub(super) async fn finish_session(
        &self,
        session: &Arc<Session>,
        mut progress: OwnedMutexGuard<Progress>,
        digest: Digest,
        chunk: Transfer,
        gone: CancellationToken,
    ) -> Result<(), UploadError> {
        self.explore(session, &mut progress).await?;
        let target = Target {
            repository: &session.repository,
            digest,
        };
        if matches!(*progress, Progress::Over) {
            return self.repeat(session, &target).await;
        }
        // An id of an earlier life, without bytes: perhaps they went into a record long ago.
        let is_repeated = session.is_reissued() && progress.offset() == 0;
        if !(is_repeated && self.is_present(&target).await?) {
            let status_at = |offset| session.status_at(offset);
            let body = |draft: &Draft| self.admit(draft, chunk, gone, status_at);
            let outcome = self.complete(&mut progress, &target, body).await;
            self.settle(session, &mut progress, outcome).await?;
        }
        self.end(session, &mut progress, Ending::Finished(digest)).await;
        Ok(())
    }

    /// Finishes an upload that has no session.
    pub(super) async fn finish_unnamed(
        &self,
        repository: &RepositoryPath,
        ticket: Ticket,
        digest: Digest,
        body: Transfer,
        gone: CancellationToken,
    ) -> Result<(), UploadError> {
        self.generations.claim(ticket.epoch, ticket.generation, true);
        let mut progress = Progress::open(Draft::new(ticket, digest.algorithm()));
        let limit = self.config.max_blob_bytes.as_u64();
        let body = |_: &Draft| Body::new(body, 0, limit, gone).map_err(Stop::Kept);
        let target = Target { repository, digest };
        let outcome = self.complete(&mut progress, &target, body).await;
        self.dispose(progress).await;
        outcome.map_err(|(Stop::Kept(error) | Stop::Lost(error))| error)
    }

    async fn complete(
        &self,
        progress: &mut Progress,
        target: &Target<'_>,
        body: impl FnOnce(&Draft) -> Result<Body, Stop>,
    ) -> Result<(), Stop> {
        if let Progress::Open(draft) = progress {
            draft.expect(target.digest.algorithm());
            let body = body(draft)?;
            match self.take_last(target, draft, body).await? {
                Whole::Small(bytes) => {
                    let size = bytes.len() as u64;
                    let location = BlobLocation::Inline(bytes);
                    return self.record(target, draft.ticket, size, location).await;
                }
                Whole::Stored(sealed) => *progress = Progress::Sealed(sealed),
            }
        }
        let Progress::Sealed(sealed) = progress else {
            return Err(Stop::Kept(UploadError::Unknown));
        };
        self.verify(sealed, target.digest).await?;
        sealed.proposed = true;
        let location = BlobLocation::Stored(sealed.key);
        self.record(target, sealed.ticket, sealed.size, location).await
    }

    /// Holds a finished object against the digest.
    async fn verify(&self, sealed: &mut Sealed, digest: Digest) -> Result<(), Stop> {
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
    async fn take_last(
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
        let writer = self.write(target.repository, draft, gathered).await?;
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
        let size = committed.map_err(|error| Stop::Lost(failure::of_store(error)))?;
        if size != draft.offset() {
            return Err(Stop::Lost(failure::lost("the store committed another length")));
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

    async fn record(
        &self,
        target: &Target<'_>,
        ticket: Ticket,
        size: u64,
        location: BlobLocation,
    ) -> Result<(), Stop> {
        fail::fail_point!("fe.put.before_commit");
        let request = self.stamp.request(ticket, target.digest);
        let put = |metadata: Arc<dyn MetadataApi>, request| {
            let blob = PutBlob {
                repository: target.repository.clone(),
                digest: target.digest,
                size,
                encoding: Encoding::Plain,
                location: location.clone(),
                request,
            };
            async move { metadata.put_blob(blob).await }
        };
        let recorded = self.proposer.run_as(request, put).await;
        recorded.map_err(|error| Stop::Kept(error.into()))?;
        fail::fail_point!("fe.put.after_commit_before_reply");
        Ok(())
    }

    /// A session that is over is finished once more.
    async fn repeat(&self, session: &Session, target: &Target<'_>) -> Result<(), UploadError> {
        for id in session.ids() {
            match self.endings.recall(id).await {
                None => {}
                Some(Ending::Finished(digest)) if digest == target.digest => {}
                Some(_) => return Err(UploadError::Unknown),
            }
        }
        if self.is_present(target).await? {
            Ok(())
        } else {
            Err(UploadError::Unknown)
        }
    }

    async fn is_present(&self, target: &Target<'_>) -> Result<bool, UploadError> {
        match self.metadata.blob(target.repository, target.digest).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Code::NotFound => Ok(false),
            Err(error) => Err(WriteError::Read(error).into()),
        }
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
