//! Upload sessions (distribution-spec "Pushing blobs").
//!
//! A session lives in the blob service; what is owned here is how it looks to a client: a path that
//! does not change while the session lives, so that a stale `Location` works, and a position that
//! every answer gives, refusals included, so that a client can resume. Heads are judged completely
//! before the first byte of a body is asked for. A session of another region is gone on with there,
//! because a client may be led to any region with each request.

use http::header::{HeaderMap, RANGE};
use http::{HeaderValue, StatusCode};
use meridian_clients::{
    BlobApi, MountOutcome, RepositoryPath, Transfer, UploadError, UploadStatus,
};
use meridian_clock::Region;
use meridian_oci::{ContentRange, Digest, ParseContentRangeError, RepositoryName, UploadId};

use crate::error::Failure;
use crate::extract::{self, ExtractError};
use crate::respond::{self, Answer};
use crate::route::RouteError;
use crate::router::Call;
use crate::session::Session;
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
        upload.map_err(|error| refused(&repository, call.state.here(), error))?;
        return Ok(created(&repository.name, &digest));
    }
    open(&call, &repository).await
}

async fn open(call: &Call<'_>, repository: &RepositoryPath) -> Result<Answer, Failure> {
    let algorithm = extract::algorithm(call.query)?;
    let start = call.state.blobs.start(repository, algorithm);
    let (status, here) = (call.state.within(start).await?, call.state.here());
    let status = status.map_err(|error| refused(repository, here, error))?;
    Ok(position_of(
        StatusCode::ACCEPTED,
        here,
        &repository.name,
        &status,
    ))
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
    let (outcome, here) = (call.state.within(mount).await?, call.state.here());
    match outcome.map_err(|error| refused(repository, here, error))? {
        MountOutcome::Mounted => Ok(created(&repository.name, &digest)),
        MountOutcome::Session(status) => {
            let code = StatusCode::ACCEPTED;
            Ok(position_of(code, here, &repository.name, &status))
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
    session: Session,
) -> Result<Answer, Failure> {
    let upload = Upload::of(&call, name, session)?;
    let status = upload.look_up(&call).await?;
    Ok(upload.answer(StatusCode::NO_CONTENT, &status))
}

/// `PATCH /v2/<name>/blobs/uploads/<id>`
pub(crate) async fn append(
    call: Call<'_>,
    name: RepositoryName,
    session: Session,
) -> Result<Answer, Failure> {
    let upload = Upload::of(&call, name, session)?;
    extract::octets(call.headers)?;
    let range = upload.chunk_range(&call).await?;
    let chunk = transfer(&call, range)?;
    let append = upload.blobs.append(&upload.repository, upload.id(), chunk);
    let status = append.await.map_err(|error| upload.refused(error))?;
    Ok(upload.answer(StatusCode::ACCEPTED, &status))
}

/// `PUT /v2/<name>/blobs/uploads/<id>?digest=<digest>`
pub(crate) async fn finish(
    call: Call<'_>,
    name: RepositoryName,
    session: Session,
) -> Result<Answer, Failure> {
    let upload = Upload::of(&call, name, session)?;
    let digest = extract::digest(call.query)?;
    let range = upload.chunk_range(&call).await?;
    let chunk = transfer(&call, range)?;
    let (repository, id) = (&upload.repository, upload.id());
    let finish = upload.blobs.finish(repository, id, digest, chunk);
    finish.await.map_err(|error| upload.refused(error))?;
    Ok(created(&repository.name, &digest))
}

/// `DELETE /v2/<name>/blobs/uploads/<id>`
pub(crate) async fn cancel(
    call: Call<'_>,
    name: RepositoryName,
    session: Session,
) -> Result<Answer, Failure> {
    let upload = Upload::of(&call, name, session)?;
    let cancel = upload.blobs.cancel(&upload.repository, upload.id());
    let cancelled = call.state.within(cancel).await?;
    cancelled.map_err(|error| upload.refused(error))?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// A session, and who has it.
struct Upload<'a> {
    repository: RepositoryPath,
    session: Session,
    blobs: &'a dyn BlobApi,
}

// === impl Upload ===

impl<'a> Upload<'a> {
    /// A session of a region that is not known is one that is not known.
    fn of(call: &Call<'a>, name: RepositoryName, session: Session) -> Result<Self, Failure> {
        let state = call.state;
        let blobs = match (session.region, state.regions.as_deref()) {
            (None, _) => Some(&state.blobs),
            (Some(region), Some(elsewhere)) if region == elsewhere.here() => Some(&state.blobs),
            (Some(region), Some(elsewhere)) => elsewhere.peer(region),
            (Some(_), None) => None,
        };
        Ok(Self {
            blobs: blobs.ok_or(RouteError::Upload)?.as_ref(),
            repository: state.path(name),
            session,
        })
    }

    const fn id(&self) -> &UploadId {
        &self.session.id
    }

    async fn look_up(&self, call: &Call<'_>) -> Result<UploadStatus, Failure> {
        let status = self.blobs.status(&self.repository, self.id());
        let status = call.state.within(status).await?;
        status.map_err(|error| self.refused(error))
    }

    /// The range of a chunk. One that ends before it starts is out of order, so that the client is
    /// told where the session is.
    async fn chunk_range(&self, call: &Call<'_>) -> Result<Option<ContentRange>, Failure> {
        match extract::content_range(call.headers) {
            Ok(range) => Ok(range),
            Err(ParseContentRangeError::Malformed) => Err(ExtractError::ContentRange.into()),
            Err(ParseContentRangeError::Reversed) => {
                let status = self.look_up(call).await?;
                Err(self.refused(UploadError::OutOfOrder(status)))
            }
        }
    }

    fn answer(&self, code: StatusCode, status: &UploadStatus) -> Answer {
        position_of(code, self.session.region, &self.repository.name, status)
    }

    fn refused(&self, error: UploadError) -> Failure {
        refused(&self.repository, self.session.region, error)
    }
}

/// `Location`, `Range` and `Docker-Upload-UUID` of a session.
pub(crate) fn position(
    headers: &mut HeaderMap,
    region: Option<Region>,
    name: &RepositoryName,
    status: &UploadStatus,
) {
    let id = status.upload.clone();
    let session = Session { region, id };
    respond::point_at(headers, location::upload(name, &session));
    headers.insert(RANGE, received(status.offset));
    headers.insert(respond::UPLOAD_UUID, respond::value(session.to_string()));
}

/// What was received, inclusive, without unit. Of nothing it is `0-0`: not all clients could read
/// `0--1`.
fn received(offset: u64) -> HeaderValue {
    match offset.checked_sub(1) {
        None => HeaderValue::from_static("0-0"),
        Some(last) => respond::value(format!("0-{last}")),
    }
}

fn position_of(
    code: StatusCode,
    region: Option<Region>,
    name: &RepositoryName,
    status: &UploadStatus,
) -> Answer {
    let mut answer = respond::empty(code);
    position(answer.headers_mut(), region, name, status);
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

fn refused(repository: &RepositoryPath, region: Option<Region>, error: UploadError) -> Failure {
    Failure::Upload {
        region,
        repository: repository.name.clone(),
        error,
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
