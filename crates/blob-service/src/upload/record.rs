//! The record of a blob, proposed and proposed again.
//!
//! Keeps the invariant that a session proposes one request for one object and one digest, whoever
//! repeats it: so a PUT whose outcome stayed unknown is settled by the same PUT. A session that is over is answered
//! by what became of its blob.

use std::sync::Arc;

use futures::future::BoxFuture;
use meridian_clients::{
    BlobLocation, BlobPut, Encoding, MetadataApi, PutBlob, ReadError, RepositoryPath, RequestId,
    StorageKey, StoreBlob, UploadError, WriteError,
};
use meridian_error::{Classify, Code};
use meridian_event::{Leaf, RegistryId};
use meridian_oci::Digest;

use super::Uploads;
use super::over::Ending;
use super::session::Session;
use super::write::Stop;
use crate::ticket::Ticket;

/// Where a finished upload belongs.
pub(super) struct Target<'r> {
    pub(super) owner: Owner<'r>,
    pub(super) digest: Digest,
}

/// Who is to have a blob.
#[derive(Clone, Copy)]
pub(super) enum Owner<'r> {
    /// The repository to which it is pushed.
    Repository(&'r RepositoryPath),
    /// Whoever needs it in a registry: it came from another region.
    Registry(RegistryId),
}

/// What came of a record that was proposed.
pub(super) enum Recorded {
    /// The blob is where it was put.
    Done,
    /// It is present, but its record keeps the object that it had.
    Kept(StorageKey),
    /// It is not: its object was named or doomed before, so the bytes must be placed anew.
    MayBeGone,
}

impl Uploads {
    /// Proposes a blob until its outcome is known, or the deadline over. `instead_of` is an object
    /// of it that was found to be lost.
    pub(super) async fn record(
        &self,
        target: &Target<'_>,
        ticket: Ticket,
        size: u64,
        location: BlobLocation,
        instead_of: Option<StorageKey>,
    ) -> Result<Recorded, Stop> {
        fail::fail_point!("fe.put.before_commit");
        let request = self.stamp.request(ticket, target.digest, instead_of);
        let put = |metadata: Arc<dyn MetadataApi>, request| {
            let location = location.clone();
            async move {
                let proposed = target.propose(&*metadata, size, location, instead_of, request);
                proposed.await
            }
        };
        let recorded = match self.proposer.run_as(request, put).await {
            Ok(put) => put.kept.map_or(Recorded::Done, Recorded::Kept),
            Err(WriteError::Read(ReadError::BlobUnknown)) => Recorded::MayBeGone,
            Err(error) => return Err(Stop::Kept(error.into())),
        };
        fail::fail_point!("fe.put.after_commit_before_reply");
        Ok(recorded)
    }

    /// A session that is over is finished once more.
    pub(super) async fn repeat(
        &self,
        session: &Session,
        digest: Digest,
    ) -> Result<(), UploadError> {
        for id in session.ids() {
            match self.endings.recall(&id).await {
                None => {}
                Some(Ending::Finished(finished)) if finished == digest => {}
                Some(_) => return Err(UploadError::Unknown),
            }
        }
        if self.is_present(&session.repository, digest).await? {
            Ok(())
        } else {
            Err(UploadError::Unknown)
        }
    }

    pub(super) async fn is_present(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<bool, UploadError> {
        match self.metadata.blob(repository, digest).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Code::NotFound => Ok(false),
            Err(error) => Err(WriteError::Read(error).into()),
        }
    }
}

// === impl Target ===

impl Target<'_> {
    fn propose<'m>(
        &self,
        metadata: &'m dyn MetadataApi,
        size: u64,
        location: BlobLocation,
        instead_of: Option<StorageKey>,
        request: RequestId,
    ) -> BoxFuture<'m, Result<BlobPut, WriteError>> {
        let (digest, encoding) = (self.digest, Encoding::Plain);
        match self.owner {
            Owner::Repository(repository) => metadata.put_blob(PutBlob {
                repository: repository.clone(),
                digest,
                size,
                encoding,
                location,
                instead_of,
                request,
            }),
            Owner::Registry(registry) => metadata.store_blob(StoreBlob {
                registry,
                blob: Leaf { digest, size },
                encoding,
                location,
                instead_of,
                request,
            }),
        }
    }
}
