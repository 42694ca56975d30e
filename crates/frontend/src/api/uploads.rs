//! Upload sessions (distribution-spec "Pushing blobs").
//!
//! A session lives in the blob service; what is owned here is how it looks to a client: a path that
//! does not change while the session lives, so that a stale `Location` works, and a position that
//! every answer gives, refusals included, so that a client can resume. Heads are judged completely
//! before the first byte of a body is asked for.

use http::header::{HeaderMap, RANGE};
use http::{HeaderValue, StatusCode};
use meridian_clients::{MountOutcome, RepositoryPath, Transfer, UploadError, UploadStatus};
use meridian_oci::{ContentRange, Digest, ParseContentRangeError, RepositoryName, UploadId};

use crate::error::Failure;
use crate::extract::{self, ExtractError};
use crate::respond::{self, Answer};
use crate::router::Call;
use crate::{location, query::Query};

/// `POST /v2/<name>/blobs/uploads/`: mounts, uploads at once, or opens a session.
pub(crate) async fn start(call: Call<'_>, name: RepositoryName) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    if let Some(digest) = extract::optional_digest(call.query, "mount")? {
        return mount(&call, &repository, digest).await;
    }
    if let Some(digest) = extract::optional_digest(call.query, "digest")? {
        let body = transfer(&call, None)?;
        let upload = call.state.blobs.upload(&repository, digest, body).await;
        upload.map_err(|error| refused(&repository, error))?;
        return Ok(created(&repository.name, &digest));
    }
    open(&call, &repository).await
}

async fn open(call: &Call<'_>, repository: &RepositoryPath) -> Result<Answer, Failure> {
    let algorithm = extract::algorithm(call.query)?;
    let start = call.state.blobs.start(repository, algorithm);
    let status = call.state.within(start).await?;
    let status = status.map_err(|error| refused(repository, error))?;
    Ok(session(StatusCode::ACCEPTED, &repository.name, &status))
}

async fn mount(
    call: &Call<'_>,
    repository: &RepositoryPath,
    digest: Digest,
) -> Result<Answer, Failure> {
    let Source::Of(from) = Source::of(call.query) else {
        return open(call, repository).await;
    };
    let mount = call.state.blobs.mount(repository, from.as_ref(), digest);
    let outcome = call.state.within(mount).await?;
    match outcome.map_err(|error| refused(repository, error))? {
        MountOutcome::Mounted => Ok(created(&repository.name, &digest)),
        MountOutcome::Session(status) => {
            Ok(session(StatusCode::ACCEPTED, &repository.name, &status))
        }
    }
}

/// From where to mount.
enum Source {
    /// From this repository, or from any.
    Of(Option<RepositoryName>),
    /// From what cannot be a repository. It has nothing to mount, like one that does not exist,
    /// and is answered like one: clients offer names of other registries, of other grammars.
    Nowhere,
}

impl Source {
    fn of(query: Query<'_>) -> Self {
        match query.only("from") {
            Ok(None) => Self::Of(None),
            Ok(Some(text)) if text.is_empty() => Self::Of(None),
            Ok(Some(text)) => text
                .parse()
                .map_or(Self::Nowhere, |from| Self::Of(Some(from))),
            Err(_repeated) => Self::Nowhere,
        }
    }
}

/// `GET /v2/<name>/blobs/uploads/<id>`
pub(crate) async fn status(
    call: Call<'_>,
    name: RepositoryName,
    id: UploadId,
) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    let status = look_up(&call, &repository, &id).await?;
    Ok(session(StatusCode::NO_CONTENT, &repository.name, &status))
}

/// `PATCH /v2/<name>/blobs/uploads/<id>`
pub(crate) async fn append(
    call: Call<'_>,
    name: RepositoryName,
    id: UploadId,
) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    extract::octets(call.headers)?;
    let range = chunk_range(&call, &repository, &id).await?;
    let chunk = transfer(&call, range)?;
    let appended = call.state.blobs.append(&repository, &id, chunk).await;
    let status = appended.map_err(|error| refused(&repository, error))?;
    Ok(session(StatusCode::ACCEPTED, &repository.name, &status))
}

/// `PUT /v2/<name>/blobs/uploads/<id>?digest=<digest>`
pub(crate) async fn finish(
    call: Call<'_>,
    name: RepositoryName,
    id: UploadId,
) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    let digest = extract::digest(call.query)?;
    let range = chunk_range(&call, &repository, &id).await?;
    let chunk = transfer(&call, range)?;
    let finish = call.state.blobs.finish(&repository, &id, digest, chunk);
    finish.await.map_err(|error| refused(&repository, error))?;
    Ok(created(&repository.name, &digest))
}

/// `DELETE /v2/<name>/blobs/uploads/<id>`
pub(crate) async fn cancel(
    call: Call<'_>,
    name: RepositoryName,
    id: UploadId,
) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    let cancel = call.state.blobs.cancel(&repository, &id);
    let cancelled = call.state.within(cancel).await?;
    cancelled.map_err(|error| refused(&repository, error))?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `Location`, `Range` and `Docker-Upload-UUID` of a session.
pub(crate) fn position(headers: &mut HeaderMap, name: &RepositoryName, status: &UploadStatus) {
    respond::point_at(headers, location::upload(name, &status.upload));
    headers.insert(RANGE, received(status.offset));
    let id = respond::value(String::from(status.upload.clone()));
    headers.insert(respond::UPLOAD_UUID, id);
}

/// What was received, inclusive, without unit. Of nothing it is `0-0`: not all clients could read
/// `0--1`.
fn received(offset: u64) -> HeaderValue {
    match offset.checked_sub(1) {
        None => HeaderValue::from_static("0-0"),
        Some(last) => respond::value(format!("0-{last}")),
    }
}

fn session(code: StatusCode, name: &RepositoryName, status: &UploadStatus) -> Answer {
    let mut answer = respond::empty(code);
    position(answer.headers_mut(), name, status);
    if let Some(least) = status.min_chunk {
        answer
            .headers_mut()
            .insert(respond::CHUNK_MIN_LENGTH, least.into());
    }
    answer
}

fn created(name: &RepositoryName, digest: &Digest) -> Answer {
    let mut answer = respond::empty(StatusCode::CREATED);
    respond::identify(answer.headers_mut(), digest);
    respond::point_at(answer.headers_mut(), location::blob(name, digest));
    answer
}

fn refused(repository: &RepositoryPath, error: UploadError) -> Failure {
    Failure::Upload {
        repository: repository.name.clone(),
        error,
    }
}

async fn look_up(
    call: &Call<'_>,
    repository: &RepositoryPath,
    id: &UploadId,
) -> Result<UploadStatus, Failure> {
    let status = call.state.blobs.status(repository, id);
    let status = call.state.within(status).await?;
    status.map_err(|error| refused(repository, error))
}

/// The range of a chunk. One that ends before it starts is out of order, so that the client is told
/// where the session is.
async fn chunk_range(
    call: &Call<'_>,
    repository: &RepositoryPath,
    id: &UploadId,
) -> Result<Option<ContentRange>, Failure> {
    match extract::content_range(call.headers) {
        Ok(range) => Ok(range),
        Err(ParseContentRangeError::Malformed) => Err(ExtractError::ContentRange.into()),
        Err(ParseContentRangeError::Reversed) => {
            let status = look_up(call, repository, id).await?;
            Err(refused(repository, UploadError::OutOfOrder(status)))
        }
    }
}

/// The body, once its head does not contradict itself.
fn transfer(call: &Call<'_>, range: Option<ContentRange>) -> Result<Transfer, ExtractError> {
    let length = extract::content_length(call.headers)?;
    match (length, range) {
        (Some(length), Some(range)) if range.length() != length => Err(ExtractError::LengthsDiffer),
        _ => Ok(Transfer {
            range,
            length,
            body: call.body.lend(),
        }),
    }
}
