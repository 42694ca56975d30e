//! The record of a blob, proposed and proposed again.
//!
//! Keeps the invariant that a session proposes one request for one object and one digest, whoever
//! repeats it: so a PUT whose outcome stayed unknown is settled by the same PUT. A session that is over is answered
//! by what became of its blob.

use std::sync::Arc;

use meridian_clients::{
    BlobLocation, Encoding, MetadataApi, PutBlob, ReadError, RepositoryPath, StorageKey,
    UploadError, WriteError,
};
use meridian_error::{Classify, Code};
use meridian_oci::Digest;

use super::Uploads;
use super::over::Ending;
use super::session::Session;
use super::write::Stop;
use crate::ticket::Ticket;

/// Where a finished upload belongs.
pub(super) struct Target<'r> {
    pub(super) repository: &'r RepositoryPath,
    pub(super) digest: Digest,
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
            let blob = PutBlob {
                repository: target.repository.clone(),
                digest: target.digest,
                size,
                encoding: Encoding::Plain,
                location: location.clone(),
                instead_of,
                request,
            };
            async move { metadata.put_blob(blob).await }
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
        target: &Target<'_>,
    ) -> Result<(), UploadError> {
        for id in session.ids() {
            match self.endings.recall(&id).await {
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

    pub(super) async fn is_present(&self, target: &Target<'_>) -> Result<bool, UploadError> {
        match self.metadata.blob(target.repository, target.digest).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Code::NotFound => Ok(false),
            Err(error) => Err(WriteError::Read(error).into()),
        }
    }
}
