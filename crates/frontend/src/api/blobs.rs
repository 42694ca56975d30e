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
    Condition, DeleteBlobError, Delivered, Delivery, ReadBlobError, ReadError, RepositoryPath,
    WriteError,
};
use meridian_oci::{Digest, RepositoryName};

use crate::delivery::{self, Way};
use crate::error::Failure;
use crate::find::{self, blob};
use crate::respond::{self, Answer};
use crate::router::Call;

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
    let stat = blob::relied_upon(call.state, &repository, digest).await?;
    let stat = stat.pulled()?;
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
        Err(error) if blob::may_be_elsewhere(&error) => {
            match read_through(&call, &repository, digest, error).await {
                Err(
                    failure @ Failure::ReadBlob(ReadBlobError::Metadata(ReadError::BlobUnknown)),
                ) => {
                    return Err(failure);
                }
                // It may have come here since it was missed.
                Err(failure) => match deliver(&call, way, &repository, digest).await {
                    Ok(delivered) => delivered,
                    Err(_) => return Err(failure),
                },
                answered => return answered,
            }
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

/// Streams a blob that is not here from another region.
async fn read_through(
    call: &Call<'_>,
    repository: &RepositoryPath,
    digest: Digest,
    missing: ReadBlobError,
) -> Result<Answer, Failure> {
    let range = content::range(call.headers, &digest);
    let read = blob::elsewhere(call.state, repository, digest, range, missing);
    let RemoteBlob { region, read, .. } = read.await?;
    let answer = about(&digest).of(read);
    let answer = answer.map_err(|range| Failure::Range(range.size))?;
    let mut answer = answer.map(Body::new);
    respond::answered_by(answer.headers_mut(), Some(region));
    Ok(answer)
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
    match call.state.within(deletion).await? {
        Err(DeleteBlobError(WriteError::Read(missing))) if find::is_unknown(&missing) => {
            // What another region has goes as well. It is linked here first: events tell of links that end.
            blob::relied_upon(call.state, &repository, digest).await?;
            let deletion = call.state.blobs.delete(&repository, digest);
            call.state.within(deletion).await??;
        }
        deleted => deleted?,
    }
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
        Err(error) if blob::may_be_elsewhere(&error) => {
            let glimpse = Some(blob::GLIMPSE);
            let read = blob::elsewhere(call.state, repository, digest, glimpse, error);
            match read.await {
                Ok(found) => (None, Some(found.region)),
                Err(failure) => {
                    let stat = call.state.blobs.stat(repository, digest, false);
                    let stat = call.state.read_blob(stat).await;
                    (stat.map_err(|_| failure)?.pulled()?.stale, None)
                }
            }
        }
        stat => (stat?.pulled()?.stale, None),
    };
    current?;
    let mut answer = about(&digest).not_modified();
    respond::confess(answer.headers_mut(), stale);
    respond::answered_by(answer.headers_mut(), region);
    Ok(answer)
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
