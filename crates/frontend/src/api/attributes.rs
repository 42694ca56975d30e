//! Repositories, tags and manifests with their attributes, and repositories deleted (ACR data-plane REST API
//! 2021-07-01, `/acr/v1/`).
//!
//! What an attribute forbids is decided where a write is applied, and refused with 405 there. Setting one is
//! never forbidden by another. How resources look stands in `shape`.

mod shape;

use std::io;

use http::StatusCode;
use meridian_clients::{
    DeleteRepository, Described, ReadError, RepositoryPath, RequestId, SetAttributes, WriteError,
};
use meridian_event::{Attributes, Target};
use meridian_oci::RepositoryName;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::body::CollectError;
use crate::error::Failure;
use crate::find;
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

/// `GET /acr/v1/<name>`, `…/_tags/<tag>`, `…/_manifests/<digest>`
pub(crate) async fn get(
    call: Call<'_>,
    name: RepositoryName,
    target: Target,
) -> Result<Answer, Failure> {
    let repository = call.state.path(name);
    let missing = match describe(call.state, &repository, &target).await {
        Ok(found) if found.is_there => {
            return Ok(respond::json(shape::document(&repository, &target, &found)));
        }
        Ok(_) => ReadError::unknown(&target),
        Err(Failure::Read(missing)) if find::is_unknown(&missing) => missing,
        Err(failure) => return Err(failure),
    };
    if !search(call.state, &repository, &target, &missing).await? {
        return Err(missing.into());
    }
    let found = describe(call.state, &repository, &target).await?;
    if !found.is_there {
        return Err(missing.into());
    }
    Ok(respond::json(shape::document(&repository, &target, &found)))
}

/// `PATCH /acr/v1/<name>`, `…/_tags/<tag>`, `…/_manifests/<digest>`
pub(crate) async fn patch(
    call: Call<'_>,
    name: RepositoryName,
    target: Target,
) -> Result<Answer, Failure> {
    let (state, attributes) = (call.state, received(&call).await?);
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
    let found = describe(state, &request.repository, &request.target).await?;
    let document = shape::document(&request.repository, &request.target, &found);
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

async fn describe(
    state: &State,
    repository: &RepositoryPath,
    target: &Target,
) -> Result<Described, Failure> {
    let described = state.metadata.describe(repository, target);
    Ok(state.read(described).await?)
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
