//! Repositories, tags and manifests with their attributes, and repositories deleted (ACR data-plane REST API
//! 2021-07-01, `/acr/v1/`).
//!
//! What an attribute forbids is decided where a write is applied, and refused with 405 there. Setting one is
//! never forbidden by another. Where a tag is only written with what all regions wrote to it, so are
//! attributes, and so is the end of a repository. How resources look stands in `shape`, lists of them in
//! `lists`.

pub(crate) mod lists;
mod shape;

use std::io;

use http::StatusCode;
use meridian_clients::{
    DeleteRepository, Described, ReadError, RepositoryPath, RequestId, SetAttributes, Stale,
    WriteError,
};
use meridian_clock::Region;
use meridian_event::{Attributes, Target};
use meridian_oci::{Reference, RepositoryName};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::body::CollectError;
use crate::error::Failure;
use crate::extract;
use crate::find::{self, Sighted, Sought};
use crate::regions::Ask;
use crate::respond::{self, Answer};
use crate::router::Call;
use crate::state::State;

/// The longest body that sets attributes.
const MAX_BODY: usize = 16 * 1024;

/// Why a body does not say which attributes to set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttributesError {
    /// It is longer than [`MAX_BODY`].
    #[error("the attributes are longer than {MAX_BODY} bytes")]
    TooLong,
    /// It broke off.
    #[error("the request body broke off")]
    Body(#[source] io::Error),
    /// It says something else as well, or is no JSON object.
    #[error("the attributes cannot be read")]
    Malformed(#[source] serde_json::Error),
}

impl From<CollectError> for AttributesError {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::TooLong => Self::TooLong,
            CollectError::BrokeOff(error) => Self::Body(error),
        }
    }
}

/// The body of a PATCH. What is not given stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Patch {
    delete_enabled: Option<bool>,
    write_enabled: Option<bool>,
    read_enabled: Option<bool>,
    list_enabled: Option<bool>,
    /// What ACR has besides. Clients send what they were shown, and nothing here comes of it.
    #[serde(rename = "quarantineState")]
    _quarantine_state: Option<IgnoredAny>,
    #[serde(rename = "quarantineDetails")]
    _quarantine_details: Option<IgnoredAny>,
    #[serde(rename = "teleportEnabled")]
    _teleport_enabled: Option<IgnoredAny>,
}

/// `GET /acr/v1/<name>`, `…/_tags/<tag>`, `…/_manifests/<digest>`. None of them says what its name says, so
/// the answer is as old as that about a tag, or a list, may be (design §6.8).
pub(crate) async fn get(
    call: Call<'_>,
    name: RepositoryName,
    target: Target,
) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    let Told { found, behind } = match target.reference() {
        None => of_repository(&call, &repository).await?,
        Some(reference) => of_reference(&call, &repository, &target, &reference).await?,
    };
    let regions = match found.attributes == Attributes::ENABLED {
        true => Vec::new(),
        false => holders(call.state, &repository, &target).await,
    };
    let registry = call.login_server();
    let document = shape::document(registry, &repository, &target, &found, &regions);
    let mut answer = respond::json(document);
    respond::confess(answer.headers_mut(), behind);
    Ok(answer)
}

/// Something described, and the regions that may know better.
struct Told {
    found: Described,
    behind: Vec<Stale>,
}

async fn of_repository(call: &Call<'_>, repository: &RepositoryPath) -> Result<Told, Failure> {
    let state = call.state;
    let behind = state.judge_list(call.headers).await?;
    let missing = match described(state, repository, &Target::Repository).await {
        Ok(found) if found.is_there => return Ok(Told { found, behind }),
        Ok(_) => ReadError::RepositoryUnknown,
        Err(error) => error,
    };
    Err(Failure::unsure(missing, &behind))
}

/// A tag or a manifest is found as it is for a pull, and then described. What must not be pulled is described
/// as well.
async fn of_reference(
    call: &Call<'_>,
    repository: &RepositoryPath,
    target: &Target,
    reference: &Reference,
) -> Result<Told, Failure> {
    let state = call.state;
    let mut behind = match target {
        // A tag is judged where it is looked for.
        Target::Tag(_) => Vec::new(),
        Target::Repository | Target::Manifest(_) => state.judge_list(call.headers).await?,
    };
    let sought = Sought {
        repository,
        reference,
        at_least: extract::min_version(call.headers)?,
        whole: false,
    };
    let sighted = match find::manifest(state, sought).await {
        Ok(sighted) => Some(sighted),
        Err(Failure::Read(ReadError::Locked)) => None,
        Err(Failure::Unsure {
            error: ReadError::Locked,
            behind: others,
        }) => {
            behind = others;
            None
        }
        Err(Failure::Read(error)) => return Err(Failure::unsure(error, &behind)),
        Err(failure) => return Err(failure),
    };
    let found = match described(state, repository, target).await {
        Ok(found) => Some(found),
        // It is not complete here, and has no attributes.
        Err(error) if find::is_unknown(&error) => None,
        Err(error) => return Err(error.into()),
    };
    let found = match (found, sighted) {
        (found, Some(sighted)) => {
            behind.extend(sighted.behind.iter().copied());
            behind.extend(sighted.stat.stale);
            seen(found.unwrap_or_default(), target, sighted)
        }
        (Some(found), None) if found.is_there => found,
        (_, None) => return Err(Failure::unsure(ReadError::unknown(target), &behind)),
    };
    Ok(Told { found, behind })
}

/// What is described here, as another region sees it, if that is newer.
fn seen(found: Described, target: &Target, sighted: Sighted) -> Described {
    let Sighted { stat, bytes, .. } = sighted;
    if found.is_there && found.updated >= Some(stat.version) {
        return found;
    }
    let is_manifest = matches!(target, Target::Manifest(_));
    Described {
        is_there: true,
        created: Some(stat.version),
        updated: Some(stat.version),
        digest: Some(stat.digest),
        media_type: Some(stat.media_type).filter(|_| is_manifest),
        bytes: bytes.filter(|_| is_manifest).unwrap_or(found.bytes),
        ..found
    }
}

/// `PATCH /acr/v1/<name>`, `…/_tags/<tag>`, `…/_manifests/<digest>`
pub(crate) async fn patch(
    call: Call<'_>,
    name: RepositoryName,
    target: Target,
) -> Result<Answer, Failure> {
    let (state, attributes) = (call.state, received(&call).await?);
    state.level().await?;
    let mut request = SetAttributes {
        repository: state.path(name),
        target,
        attributes,
        request: call.id,
    };
    let set = state.metadata.set_attributes(request.clone());
    let set = match state.within(set).await? {
        Err(WriteError::Read(missing)) if find::is_unknown(&missing) => {
            let SetAttributes {
                repository, target, ..
            } = &request;
            if !search(state, repository, target, &missing).await? {
                return Err(missing.into());
            }
            // It is another request: the first one has its answer.
            request.request = RequestId(rand::random());
            let set = state.metadata.set_attributes(request.clone());
            state.within(set).await??
        }
        set => set?,
    };
    let found = described(state, &request.repository, &request.target).await?;
    let regions = holders(state, &request.repository, &request.target).await;
    let SetAttributes {
        repository, target, ..
    } = &request;
    let document = shape::document(call.login_server(), repository, target, &found, &regions);
    let mut answer = respond::json(document);
    if let Some(version) = set.version {
        let version = respond::value(version.to_string());
        answer.headers_mut().insert(respond::VERSION, version);
    }
    Ok(answer)
}

/// `DELETE /acr/v1/<name>`
pub(crate) async fn delete(call: Call<'_>, name: RepositoryName) -> Result<Answer, Failure> {
    let state = call.state;
    state.level().await?;
    let request = DeleteRepository {
        repository: state.path(name),
        request: call.id,
    };
    let deletion = state.metadata.delete_repository(request);
    let deleted = state.within(deletion).await??;
    let mut answer = respond::json(shape::deleted(&deleted));
    *answer.status_mut() = StatusCode::ACCEPTED;
    let version = respond::value(deleted.version.to_string());
    answer.headers_mut().insert(respond::VERSION, version);
    Ok(answer)
}

/// The regions that have the attributes of something as they are here (design §6.9), as far as they say so in
/// time. There is nothing to be said where there are no others.
async fn holders(state: &State, repository: &RepositoryPath, target: &Target) -> Vec<Region> {
    let Some(elsewhere) = &state.regions else {
        return Vec::new();
    };
    let holders = state.read(elsewhere.holders(repository, target)).await;
    holders.unwrap_or_default()
}

async fn described(
    state: &State,
    repository: &RepositoryPath,
    target: &Target,
) -> Result<Described, ReadError> {
    state
        .read(state.metadata.describe(repository, target))
        .await
}

/// Has what is unknown here merged, if another region has it. Whether a repository is there, only its own
/// region's events say.
async fn search(
    state: &State,
    repository: &RepositoryPath,
    target: &Target,
    missing: &ReadError,
) -> Result<bool, Failure> {
    let (Some(reference), Some(elsewhere)) = (target.reference(), &state.regions) else {
        return Ok(false);
    };
    let resolved = elsewhere.resolve(repository, &reference, Ask::Newer);
    match state.read(resolved).await {
        Err(error) if find::is_away(&error) => {
            Err(Failure::unsure(missing.clone(), &elsewhere.ages()))
        }
        Err(error) => Ok(!find::is_nowhere(&error)),
        Ok(_) => Ok(true),
    }
}

/// Reads the body.
async fn received(call: &Call<'_>) -> Result<Attributes<Option<bool>>, AttributesError> {
    let received = call
        .body
        .collect(MAX_BODY, |_| Ok::<_, AttributesError>(()))
        .await?;
    let patch: Patch = serde_json::from_slice(&received).map_err(AttributesError::Malformed)?;
    Ok(Attributes {
        delete: patch.delete_enabled,
        write: patch.write_enabled,
        read: patch.read_enabled,
        list: patch.list_enabled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_acr_has_is_ignored_and_what_nobody_has_is_refused() {
        let known = r#"{"writeEnabled":false,"teleportEnabled":true,"quarantineState":"Passed"}"#;
        let patch: Patch = serde_json::from_str(known).unwrap();
        assert_eq!(
            (patch.write_enabled, patch.read_enabled),
            (Some(false), None)
        );
        assert!(serde_json::from_str::<Patch>(r#"{"writeEnabld":false}"#).is_err());
    }
}
