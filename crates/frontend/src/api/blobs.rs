//! Blobs: reading, with ranges and conditions, and deletion (distribution-spec "Pulling blobs").
//!
//! Keeps the invariant that every answer, "not modified" included, comes after the blob was found
//! present. Bodies are never encoded or changed on their way.

use axum::body::Body;
use http::StatusCode;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, RANGE,
};
use meridian_clients::{BlobRead, Condition, RepositoryPath};
use meridian_oci::{Digest, RepositoryName};

use crate::conditional::{self, ConditionError};
use crate::error::Failure;
use crate::respond::{self, Answer};
use crate::router::Call;

/// The content of a digest never changes.
const FOR_A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");
const NOSNIFF: (HeaderName, HeaderValue) = (
    http::header::X_CONTENT_TYPE_OPTIONS,
    HeaderValue::from_static("nosniff"),
);

/// `HEAD /v2/<name>/blobs/<digest>`. It may come from a push that skips what is there, and nothing
/// tells it from any other, so it counts as one.
pub(crate) async fn head(
    call: Call<'_>,
    name: RepositoryName,
    digest: Digest,
) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    let stat = call.state.blobs.stat(&repository, digest, true);
    let stat = call.state.within(stat).await??;
    if conditional::is_current(call.headers, &digest)? {
        return Ok(not_modified(&digest));
    }
    let mut answer = content(StatusCode::OK, &digest, Body::empty());
    answer
        .headers_mut()
        .insert(CONTENT_LENGTH, stat.size.into());
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
    let read = call
        .state
        .blobs
        .read(&repository, digest, range(call.headers, &digest));
    match call.state.within(read).await?? {
        BlobRead::Whole { size, body } => Ok(content(
            StatusCode::OK,
            &digest,
            respond::stream(size, body),
        )),
        BlobRead::Part {
            size,
            start,
            end_inclusive,
            body,
        } => {
            let body = respond::stream(end_inclusive - start + 1, body);
            let mut answer = content(StatusCode::PARTIAL_CONTENT, &digest, body);
            let part = respond::value(format!("bytes {start}-{end_inclusive}/{size}"));
            answer.headers_mut().insert(CONTENT_RANGE, part);
            Ok(answer)
        }
        BlobRead::Unsatisfiable { size } => Err(Failure::Range(size)),
    }
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
    call.state.within(stat).await??;
    current?;
    Ok(not_modified(&digest))
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

/// The `Range` to obey. More than one header of that name is none.
fn range<'a>(headers: &'a HeaderMap, digest: &Digest) -> Option<&'a str> {
    let mut ranges = headers.get_all(RANGE).into_iter();
    let range = ranges.next()?;
    if ranges.next().is_some() || !conditional::range_applies(headers, digest) {
        return None;
    }
    range.to_str().ok()
}

fn not_modified(digest: &Digest) -> Answer {
    let mut answer = respond::empty(StatusCode::NOT_MODIFIED);
    respond::identify(answer.headers_mut(), digest);
    answer.headers_mut().insert(CACHE_CONTROL, FOR_A_YEAR);
    answer
}

fn content(status: StatusCode, digest: &Digest, body: Body) -> Answer {
    let mut answer = respond::with_body(status, body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, respond::OCTETS);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, FOR_A_YEAR);
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    respond::identify(headers, digest);
    answer
}
