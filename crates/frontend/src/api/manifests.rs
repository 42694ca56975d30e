//! Manifests and tags (distribution-spec "Pulling manifests", "Pushing manifests", "Deleting").
//!
//! A manifest is served as it was pushed, whatever `Accept` says: bytes, media type and digest
//! belong together, and clients that send `*/*` or nothing are common. Conditions on writes travel
//! with the write and are decided where it is applied.

use axum::body::Body;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, WARNING};
use meridian_clients::content::conditional::{self, ConditionError};
use meridian_clients::{
    Condition, DeleteManifest, ManifestStat, PutManifest, RepositoryPath, StoredManifest,
};
use meridian_oci::{Algorithm, Digest, Manifest, MediaType, Reference, RepositoryName, Tag};

use crate::error::Failure;
use crate::limits::Accepted;
use crate::respond::{self, Answer};
use crate::router::Call;
use crate::{extract, location};

/// `HEAD /v2/<name>/manifests/<reference>`
pub(crate) async fn head(
    call: Call<'_>,
    name: RepositoryName,
    reference: Reference,
) -> Result<Answer, Failure> {
    let stat = look_up(&call, &call.state.path(name), &reference).await?;
    if conditional::is_current(call.headers, &stat.digest)? {
        return Ok(not_modified(&stat));
    }
    let mut answer = content(&stat, Body::empty());
    answer
        .headers_mut()
        .insert(CONTENT_LENGTH, stat.size.into());
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
    if conditional {
        let stat = look_up(&call, &repository, &reference).await?;
        if conditional::is_current(call.headers, &stat.digest)? {
            return Ok(not_modified(&stat));
        }
    }
    let manifest = call.state.metadata.manifest(&repository, &reference);
    let StoredManifest { stat, bytes } = call.state.within(manifest).await??;
    // A tag may have moved in between.
    if conditional && conditional::is_current(call.headers, &stat.digest)? {
        return Ok(not_modified(&stat));
    }
    Ok(content(&stat, Body::from(bytes)))
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
        share: _held,
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
    fail::fail_point!("fe.manifest.after_validate_before_propose");
    let put = call.state.metadata.put_manifest(request);
    let put = call.state.within(put).await??;
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
    let deletion = call.state.metadata.delete_manifest(request);
    let deleted = call.state.within(deletion).await??;
    fail::fail_point!("fe.del.after_commit_before_reply");
    let mut answer = respond::empty(StatusCode::ACCEPTED);
    let version = respond::value(deleted.version.to_string());
    answer.headers_mut().insert(respond::VERSION, version);
    Ok(answer)
}

async fn look_up(
    call: &Call<'_>,
    repository: &RepositoryPath,
    reference: &Reference,
) -> Result<ManifestStat, Failure> {
    let stat = call.state.metadata.manifest_stat(repository, reference);
    Ok(call.state.within(stat).await??)
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

fn content(stat: &ManifestStat, body: Body) -> Answer {
    let mut answer = respond::with_body(StatusCode::OK, body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, respond::media_type(&stat.media_type));
    headers.insert(CACHE_CONTROL, respond::NO_CACHE);
    respond::identify(headers, &stat.digest);
    respond::confess(headers, stat.stale);
    answer
}

fn not_modified(stat: &ManifestStat) -> Answer {
    let mut answer = respond::empty(StatusCode::NOT_MODIFIED);
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, respond::NO_CACHE);
    respond::identify(answer.headers_mut(), &stat.digest);
    respond::confess(answer.headers_mut(), stat.stale);
    answer
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
