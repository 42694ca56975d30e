//! Blobs that are not here.
//!
//! Keeps the invariants that what a push is told to skip is here, and that it is never told so by what is
//! remembered; and that a blob which something here needs is not said to be unknown. A push is not held up for
//! long by what would have to come from far: it can upload it.

use std::time::Duration;

use meridian_clients::regions::RemoteBlob;
use meridian_clients::{BlobStat, ReadBlobError, ReadError, RepositoryPath};
use meridian_oci::Digest;
use tokio::time::timeout;

use super::{is_away, is_unknown};
use crate::error::Failure;
use crate::regions::Elsewhere;
use crate::state::State;

/// As little as shows that a blob can be had.
pub(crate) const GLIMPSE: &str = "bytes=0-0";

/// How long a push waits until it is told that it must upload what is still on its way from another region.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a blob that was not had here may be had elsewhere: it is not here, or its bytes are lost.
pub(crate) const fn may_be_elsewhere(error: &ReadBlobError) -> bool {
    match error {
        ReadBlobError::Metadata(error) => is_unknown(error),
        ReadBlobError::Unreadable { .. } => true,
    }
}

/// Opens a blob that is `missing` here in another region.
pub(crate) async fn elsewhere(
    state: &State,
    repository: &RepositoryPath,
    digest: Digest,
    range: Option<&str>,
    missing: ReadBlobError,
) -> Result<RemoteBlob, Failure> {
    let Some(elsewhere) = &state.regions else {
        return Err(missing.into());
    };
    let read = elsewhere.read_blob(repository, digest, range);
    match state.read_blob(read).await {
        Err(ReadBlobError::Metadata(error)) if is_unknown(&error) => Err(missing.into()),
        read => Ok(read?),
    }
}

/// Whether a blob is here that a push may rely on. What another region has is brought here first: a
/// push that was told to skip it would be refused otherwise, or wait for its manifest.
pub(crate) async fn relied_upon(
    state: &State,
    repository: &RepositoryPath,
    digest: Digest,
) -> Result<BlobStat, Failure> {
    let stat = state.blobs.stat(repository, digest, true);
    let (missing, elsewhere) = match (state.read_blob(stat).await, &state.regions) {
        (Err(ReadBlobError::Metadata(error)), Some(elsewhere)) if is_unknown(&error) => {
            (error, elsewhere)
        }
        (stat, _) => return Ok(stat?),
    };
    let wanted = [digest];
    let bring = timeout(PATIENCE, elsewhere.bring(repository, &wanted));
    let brought = bring.await.unwrap_or(Err(ReadError::DeadlineExceeded));
    match brought {
        Ok(nowhere) if nowhere.is_empty() => {
            let stat = state.blobs.stat(repository, digest, true);
            Ok(state.read_blob(stat).await?)
        }
        Ok(_) => Err(missing.into()),
        Err(error) if is_away(&error) => {
            Err(unreachable(state, elsewhere, repository, digest, missing).await)
        }
        Err(error) => Err(error.into()),
    }
}

/// What is said of a blob that could not be brought here, or not in time. If nothing here needs it, a push may
/// upload it: a region that is cut off takes pushes, and over a thin network that is the shorter way.
async fn unreachable(
    state: &State,
    elsewhere: &Elsewhere,
    repository: &RepositoryPath,
    digest: Digest,
    missing: ReadError,
) -> Failure {
    let glimpse = elsewhere.open(repository, digest, Some(GLIMPSE));
    match state.read_blob(glimpse).await {
        Ok(found) if found.is_needed => Failure::Read(ReadError::DeadlineExceeded),
        Ok(_) => missing.into(),
        Err(ReadBlobError::Metadata(error)) if is_unknown(&error) => missing.into(),
        Err(error) => error.into(),
    }
}
