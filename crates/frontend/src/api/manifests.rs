//! Manifests and tags (distribution-spec "Pulling manifests", "Pushing manifests", "Deleting").
//!
//! A manifest is served as it was pushed, whatever `Accept` says: bytes, media type and digest
//! belong together, and clients that send `*/*` or nothing are common. Conditions on writes travel
//! with the write and are decided where it is applied.

use std::iter;

use axum::body::Body;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, WARNING};
use meridian_clients::content::conditional::{self, ConditionError};
use meridian_clients::{
    Condition, DeleteManifest, Deleted, ManifestPut, PutManifest, ReadError, RepositoryPath,
    RequestId, WriteError,
};
use meridian_oci::{Algorithm, Digest, Manifest, MediaType, Reference, RepositoryName, Tag};

use crate::error::Failure;
use crate::find::{self, Sighted, Sought};
use crate::limits::{Accepted, Share};
use crate::regions::Ask;
use crate::respond::{self, Answer};
use crate::router::Call;
use crate::state::State;
use crate::{extract, location};

/// `HEAD /v2/<name>/manifests/<reference>`
pub(crate) async fn head(
    call: Call<'_>,
    name: RepositoryName,
    reference: Reference,
) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    let found = look_up(&call, &repository, &reference, false).await?;
    if conditional::is_current(call.headers, &found.stat.digest)? {
        return Ok(not_modified(found));
    }
    let size = found.stat.size;
    let mut answer = content(found, Body::empty());
    answer.headers_mut().insert(CONTENT_LENGTH, size.into());
    Ok(answer)
}

/// `GET /v2/<name>/manifests/<reference>`
pub(crate) async fn get(
    call: Call<'_>,
    name: RepositoryName,
    reference: Reference,
) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    let conditional = conditional::is_conditional(call.headers);
    let mut found = look_up(&call, &repository, &reference, !conditional).await?;
    if conditional && conditional::is_current(call.headers, &found.stat.digest)? {
        return Ok(not_modified(found));
    }
    if found.bytes.is_none() {
        found = look_up(&call, &repository, &reference, true).await?;
        // A tag may have moved in between.
        if conditional::is_current(call.headers, &found.stat.digest)? {
            return Ok(not_modified(found));
        }
    }
    let bytes = found.bytes.take().unwrap_or_default();
    Ok(content(found, Body::from(bytes)))
}

/// `PUT /v2/<name>/manifests/<reference>`
pub(crate) async fn put(
    call: Call<'_>,
    name: RepositoryName,
    reference: Reference,
) -> Result<Answer, Failure> {
    let condition = put_condition(call.headers, &reference)?;
    extract::identity(call.headers)?;
    let content_type = extract::content_type(call.headers)?;
    let length = extract::content_length(call.headers)?;
    let (tags, algorithm) = match &reference {
        Reference::Tag(tag) => (vec![tag.clone()], Algorithm::Sha256),
        Reference::Digest(digest) => (extract::tags(call.query)?, digest.algorithm()),
    };

    let intake = &call.state.intake;
    let received = intake.receive(length, call.body).await?;
    let accepted = intake.accept(received, content_type, algorithm).await?;
    let Accepted {
        manifest,
        digest,
        share: held,
    } = accepted;
    if reference.as_digest().is_some_and(|named| *named != digest) {
        return Err(Failure::ManifestDigest);
    }

    let mut answer = created(&name, &manifest, &digest);
    if reference.as_digest().is_some() {
        list_tags(answer.headers_mut(), &tags);
    }
    if content_type.is_none() {
        warn(
            answer.headers_mut(),
            "the manifest was sent without a Content-Type",
        );
    }
    let request = PutManifest {
        repository: call.state.path(name),
        manifest,
        digest,
        tags,
        condition,
        request: call.id,
    };
    find::level(call.state, &request.repository, request.tags.iter()).await?;
    fail::fail_point!("fe.manifest.after_validate_before_propose");
    let put = propose(call.state, request, held).await?;
    fail::fail_point!("fe.manifest.after_commit_before_reply");
    let version = respond::value(put.version.to_string());
    answer.headers_mut().insert(respond::VERSION, version);
    Ok(answer)
}

/// `DELETE /v2/<name>/manifests/<reference>`
pub(crate) async fn delete(
    call: Call<'_>,
    name: RepositoryName,
    reference: Reference,
) -> Result<Answer, Failure> {
    let condition = delete_condition(call.headers, &reference)?;
    let request = DeleteManifest {
        repository: call.state.path(name),
        reference,
        condition,
        request: call.id,
    };
    match request.reference.as_tag() {
        Some(tag) => find::level(call.state, &request.repository, iter::once(tag)).await?,
        // It takes tags along, and locks have a say in it.
        None => call.state.level().await?,
    }
    let deleted = take_away(call.state, request).await?;
    fail::fail_point!("fe.del.after_commit_before_reply");
    let mut answer = respond::empty(StatusCode::ACCEPTED);
    let version = respond::value(deleted.version.to_string());
    answer.headers_mut().insert(respond::VERSION, version);
    Ok(answer)
}

/// Deletes what is known here, or else what another region put a moment ago.
async fn take_away(state: &State, request: DeleteManifest) -> Result<Deleted, Failure> {
    let again = state.regions.as_ref().map(|it| (it, request.clone()));
    let deletion = state.metadata.delete_manifest(request);
    let deleted = state.within(deletion).await?;
    let (Err(WriteError::Read(missing)), Some((elsewhere, mut request))) = (&deleted, again) else {
        return Ok(deleted?);
    };
    if !find::is_unknown(missing) {
        return Ok(deleted?);
    }
    let resolved = elsewhere.resolve(&request.repository, &request.reference, Ask::Newer);
    match state.read(resolved).await {
        Err(error) if find::is_nowhere(&error) => Ok(deleted?),
        // What was found is merged, also if its bytes cannot be had.
        resolved => {
            // It is another request: the first one has its answer.
            request.request = RequestId(rand::random());
            let deletion = state.metadata.delete_manifest(request);
            match state.within(deletion).await? {
                Err(WriteError::Read(missing))
                    if find::is_unknown(&missing) && resolved.is_err() =>
                {
                    Err(Failure::unsure(missing, &elsewhere.ages()))
                }
                deleted => Ok(deleted?),
            }
        }
    }
}

async fn look_up(
    call: &Call<'_>,
    repository: &RepositoryPath,
    reference: &Reference,
    whole: bool,
) -> Result<Sighted, Failure> {
    let sought = Sought {
        repository,
        reference,
        at_least: extract::min_version(call.headers)?,
        whole,
    };
    find::manifest(call.state, sought).await
}

/// Puts a manifest. What it names and other regions have is brought here first, because a push may have
/// been spread over regions.
async fn propose(
    state: &State,
    request: PutManifest,
    share: Share<'_>,
) -> Result<ManifestPut, Failure> {
    let again = state.regions.as_ref().map(|it| (it, request.clone()));
    let put = state.within(state.metadata.put_manifest(request)).await?;
    let (Err(WriteError::LeavesUnknown(leaves)), Some((elsewhere, mut request))) = (&put, again)
    else {
        return Ok(put?);
    };
    // Others need not wait for what comes from far.
    let _buffered = share.wait();
    let bring = elsewhere.bring(&request.repository, leaves);
    let brought = tokio::time::timeout(state.bring, bring).await;
    let nowhere = brought.unwrap_or(Err(ReadError::DeadlineExceeded))?;
    if !nowhere.is_empty() {
        return Err(WriteError::LeavesUnknown(nowhere).into());
    }
    // It is another request: the first one has its answer.
    request.request = RequestId(rand::random());
    let put = state.metadata.put_manifest(request);
    Ok(state.within(put).await??)
}

/// `If-Match` speaks of what a tag points at; under a digest there is nothing to compare.
fn put_condition(
    headers: &HeaderMap,
    reference: &Reference,
) -> Result<Option<Condition>, ConditionError> {
    match (conditional::on_write(headers)?, reference) {
        (Some(Condition::PointsAt(_)), Reference::Digest(_)) => Err(ConditionError::Undecidable),
        (condition, _) => Ok(condition),
    }
}

/// Under a digest, `If-Match` holds if it names that digest, and says nothing more then.
fn delete_condition(
    headers: &HeaderMap,
    reference: &Reference,
) -> Result<Option<Condition>, ConditionError> {
    match (conditional::on_write(headers)?, reference) {
        (Some(Condition::PointsAt(digest)), Reference::Digest(named)) if digest == *named => {
            Ok(None)
        }
        (Some(Condition::PointsAt(_)), Reference::Digest(_)) => Err(ConditionError::Foreign),
        (condition, _) => Ok(condition),
    }
}

fn content(found: Sighted, body: Body) -> Answer {
    let mut answer = respond::with_body(StatusCode::OK, body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, respond::media_type(&found.stat.media_type));
    describe(headers, found);
    answer
}

fn not_modified(found: Sighted) -> Answer {
    let mut answer = respond::empty(StatusCode::NOT_MODIFIED);
    describe(answer.headers_mut(), found);
    answer
}

/// What an answer about a manifest says, with its bytes and without.
fn describe(headers: &mut HeaderMap, found: Sighted) {
    headers.insert(CACHE_CONTROL, respond::NO_CACHE);
    respond::identify(headers, &found.stat.digest);
    respond::confess(headers, found.stat.stale);
    respond::confess(headers, found.behind);
    respond::answered_by(headers, found.region);
}

fn created(name: &RepositoryName, manifest: &Manifest, digest: &Digest) -> Answer {
    let mut answer = respond::empty(StatusCode::CREATED);
    let headers = answer.headers_mut();
    respond::identify(headers, digest);
    respond::point_at(headers, location::manifest(name, digest));
    if let Some(subject) = manifest.subject() {
        let subject = respond::value(subject.digest.to_string());
        headers.insert(respond::SUBJECT, subject);
    }
    let withdrawn = [
        MediaType::OCI_ARTIFACT_MANIFEST,
        MediaType::ORAS_ARTIFACT_MANIFEST,
    ];
    if withdrawn.contains(manifest.media_type()) {
        warn(
            headers,
            "this media type was withdrawn; push an image manifest with an artifactType instead",
        );
    }
    answer
}

fn list_tags(headers: &mut HeaderMap, tags: &[Tag]) {
    for tag in tags {
        headers.append(respond::TAG, respond::value(String::from(tag.clone())));
    }
}

/// Adds a warning for people (distribution-spec "Warnings").
fn warn(headers: &mut HeaderMap, text: &'static str) {
    let warning = respond::value(format!("299 - \"{text}\""));
    headers.append(WARNING, warning);
}
