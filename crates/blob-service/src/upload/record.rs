//! The record of a blob, proposed and proposed again.
//!
//! Keeps the invariant that a session proposes one request for one digest, whoever repeats it: so a
//! PUT whose outcome stayed unknown is settled by the same PUT. A session that is over is answered
//! by what became of its blob.

use std::sync::Arc;

use meridian_clients::{
    BlobLocation, Encoding, MetadataApi, PutBlob, RepositoryPath, UploadError, WriteError,
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

impl Uploads {
    /// Proposes a blob until its outcome is known, or the deadline over.
    pub(super) async fn record(
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
    pub(super) async fn repeat(
        &self,
        session: &Session,
        target: &Target<'_>,
    ) -> Result<(), UploadError> {
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

    pub(super) async fn is_present(&self, target: &Target<'_>) -> Result<bool, UploadError> {
        match self.metadata.blob(target.repository, target.digest).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Code::NotFound => Ok(false),
            Err(error) => Err(WriteError::Read(error).into()),
        }
    }
}
