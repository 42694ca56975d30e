//! Blobs: reading, with ranges and conditions, and deletion (distribution-spec "Pulling blobs").
//!
//! Keeps the invariant that every answer, "not modified" included, comes after the blob was found
//! present. Bodies are never encoded or changed on their way.

use axum::body::Body;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, LOCATION};
use meridian_clients::content::conditional::{self, ConditionError};
use meridian_clients::content::{self, BlobContent};
use meridian_clients::regions::RemoteBlob;
use meridian_clients::{
    BlobStat, Condition, Delivered, Delivery, ReadBlobError, ReadError, RepositoryPath,
};
use meridian_clock::Region;
use meridian_oci::{Digest, RepositoryName};

use crate::delivery::{self, Way};
use crate::error::Failure;
use crate::find;
use crate::regions::Elsewhere;
use crate::respond::{self, Answer};
use crate::router::Call;
use crate::state::State;

/// As little as shows that a blob can be had.
const GLIMPSE: &str = "bytes=0-0";

/// The content of a digest never changes.
const FOR_A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// `HEAD /v2/<name>/blobs/<digest>`. It may come from a push that skips what is there, and nothing
/// tells it from any other, so it counts as one. It is always answered here: a client that is sent
/// elsewhere would need another URL for its HEAD than for its GET.
pub(crate) async fn head(
    call: Call<'_>,
    name: RepositoryName,
    digest: Digest,
) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    let stat = relied_upon(call.state, &repository, digest).await?;
    let mut answer = match conditional::is_current(call.headers, &digest)? {
        true => about(&digest).not_modified(),
        false => about(&digest).head(stat.size),
    };
    respond::confess(answer.headers_mut(), stat.stale);
    Ok(answer)
}

/// `GET /v2/<name>/blobs/<digest>`
pub(crate) async fn get(
    call: Call<'_>,
    name: RepositoryName,
    digest: Digest,
) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    let current = conditional::is_current(call.headers, &digest);
    if current != Ok(false) {
        return revalidate(&call, &repository, digest, current).await;
    }
    let delivering = &call.state.delivering;
    let way = delivering.way(call.client);
    let Delivered { delivery, stale } = match deliver(&call, way, &repository, digest).await {
        Err(error) if may_be_elsewhere(&error) => {
            return read_through(&call, &repository, digest, error).await;
        }
        delivered => delivered?,
    };
    let (taken, mut answer) = match delivery {
        Delivery::Here(read) => {
            let answer = about(&digest).of(read);
            let answer = answer.map_err(|range| Failure::Range(range.size))?;
            (Way::Stream, answer.map(Body::new))
        }
        Delivery::Link { .. } => {
            let link = delivering.link(&repository, &digest);
            let link = link.ok_or_else(unasked)?;
            (Way::Redirect, sent(link, &digest))
        }
        Delivery::Presigned { url, .. } => {
            let url = delivery::presigned(&url);
            (Way::Presigned, sent(url, &digest))
        }
    };
    delivering.count(way, taken);
    respond::confess(answer.headers_mut(), stale);
    Ok(answer)
}

/// Has the blob service say how the blob reaches the client.
async fn deliver(
    call: &Call<'_>,
    way: Way,
    repository: &RepositoryPath,
    digest: Digest,
) -> Result<Delivered, ReadBlobError> {
    let (state, range) = (call.state, content::range(call.headers, &digest));
    let handover = state.delivering.handover(way, call.headers);
    let delivery = state.blobs.deliver(repository, digest, range, handover);
    state.read_blob(delivery).await
}

/// Whether a blob that was not had here may be had elsewhere: it is not here, or its bytes are lost.
fn may_be_elsewhere(error: &ReadBlobError) -> bool {
    match error {
        ReadBlobError::Metadata(error) => find::is_unknown(error),
        ReadBlobError::Unreadable { .. } => true,
    }
}

/// Streams a blob that is not here from another region.
async fn read_through(
    call: &Call<'_>,
    repository: &RepositoryPath,
    digest: Digest,
    missing: ReadBlobError,
) -> Result<Answer, Failure> {
    let Some(elsewhere) = &call.state.regions else {
        return Err(missing.into());
    };
    let range = content::range(call.headers, &digest);
    let read = elsewhere.read_blob(repository, digest, range);
    let RemoteBlob { region, read } = match call.state.read_blob(read).await {
        Err(ReadBlobError::Metadata(error)) if find::is_unknown(&error) => {
            return Err(missing.into());
        }
        read => read?,
    };
    let answer = about(&digest).of(read);
    let answer = answer.map_err(|range| Failure::Range(range.size))?;
    let mut answer = answer.map(Body::new);
    respond::answered_by(answer.headers_mut(), Some(region));
    Ok(answer)
}

/// Whether a blob is here that a push may rely on. What another region has is brought here first: a
/// push that was told to skip it would be refused otherwise, or wait for its manifest.
async fn relied_upon(
    state: &State,
    repository: &RepositoryPath,
    digest: Digest,
) -> Result<BlobStat, Failure> {
    let stat = state.blobs.stat(repository, digest, true);
    let missing = match (state.read_blob(stat).await, &state.regions) {
        (Err(ReadBlobError::Metadata(error)), Some(elsewhere)) if find::is_unknown(&error) => {
            (error, elsewhere)
        }
        (stat, _) => return Ok(stat?),
    };
    let (missing, elsewhere) = missing;
    match state.read(elsewhere.bring(repository, &[digest])).await {
        Ok(nowhere) if nowhere.is_empty() => {
            let stat = state.blobs.stat(repository, digest, true);
            Ok(state.read_blob(stat).await?)
        }
        Ok(_) => Err(missing.into()),
        Err(error) if find::is_away(&error) => {
            Err(unreachable(state, elsewhere, repository, digest, missing).await)
        }
        Err(error) => Err(error.into()),
    }
}

/// What is said of a blob that could not be brought here. If nothing here needs it, a push may upload
/// it: a region that is cut off takes pushes.
async fn unreachable(
    state: &State,
    elsewhere: &Elsewhere,
    repository: &RepositoryPath,
    digest: Digest,
    missing: ReadError,
) -> Failure {
    let glimpse = elsewhere.open(repository, digest, Some(GLIMPSE));
    match state.read_blob(glimpse).await {
        Ok(_) => Failure::Read(ReadError::DeadlineExceeded),
        Err(ReadBlobError::Metadata(error)) if find::is_unknown(&error) => missing.into(),
        Err(error) => error.into(),
    }
}

/// The blob service sends a client where nobody asked it to.
fn unasked() -> Failure {
    let reason = "the blob service wants a link where none can be made".to_owned();
    Failure::Read(ReadError::Internal { reason })
}

/// `DELETE /v2/<name>/blobs/<digest>`
pub(crate) async fn delete(
    call: Call<'_>,
    name: RepositoryName,
    digest: Digest,
) -> Result<Answer, Failure> {
    delete_condition(call.headers, &digest)?;
    let repository = call.state.path(name);
    let deletion = call.state.blobs.delete(&repository, digest);
    call.state.within(deletion).await??;
    fail::fail_point!("fe.del.blob.after_commit_before_reply");
    Ok(respond::empty(StatusCode::ACCEPTED))
}

/// Says that the client has what is there, or means something else, once it is known to be there.
async fn revalidate(
    call: &Call<'_>,
    repository: &RepositoryPath,
    digest: Digest,
    current: Result<bool, ConditionError>,
) -> Result<Answer, Failure> {
    let stat = call.state.blobs.stat(repository, digest, false);
    let (stale, region) = match call.state.read_blob(stat).await {
        Err(error) if may_be_elsewhere(&error) => {
            (None, glimpse(call.state, repository, digest, error).await?)
        }
        stat => (stat?.stale, None),
    };
    current?;
    let mut answer = about(&digest).not_modified();
    respond::confess(answer.headers_mut(), stale);
    respond::answered_by(answer.headers_mut(), region);
    Ok(answer)
}

/// The region that has a blob which is not here.
async fn glimpse(
    state: &State,
    repository: &RepositoryPath,
    digest: Digest,
    missing: ReadBlobError,
) -> Result<Option<Region>, Failure> {
    let Some(elsewhere) = &state.regions else {
        return Err(missing.into());
    };
    let read = elsewhere.read_blob(repository, digest, Some(GLIMPSE));
    match state.read_blob(read).await {
        Err(ReadBlobError::Metadata(error)) if find::is_unknown(&error) => Err(missing.into()),
        read => Ok(Some(read?.region)),
    }
}

/// `If-Match` holds if it names the blob itself, and says nothing more then. That a blob must not be
/// there is no condition under which it could be deleted.
fn delete_condition(headers: &HeaderMap, digest: &Digest) -> Result<(), ConditionError> {
    match conditional::on_write(headers)? {
        None => Ok(()),
        Some(Condition::PointsAt(named)) if named == *digest => Ok(()),
        Some(Condition::PointsAt(_)) => Err(ConditionError::Foreign),
        Some(Condition::Absent) => Err(ConditionError::Undecidable),
    }
}

fn about(digest: &Digest) -> BlobContent<'_> {
    BlobContent {
        digest,
        keep: FOR_A_YEAR,
    }
}

/// 307, on which the method, `Range` and conditions stay as they are. Nobody keeps it: it is for one
/// client, and for a few minutes.
fn sent(place: HeaderValue, digest: &Digest) -> Answer {
    let mut answer = respond::empty(StatusCode::TEMPORARY_REDIRECT);
    let headers = answer.headers_mut();
    headers.insert(LOCATION, place);
    headers.insert(CACHE_CONTROL, respond::NO_STORE);
    respond::name(headers, digest);
    answer
}
