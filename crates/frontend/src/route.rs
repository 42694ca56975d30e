//! Which endpoint a path names (distribution-spec "Endpoints"; ACR data-plane REST API 2021-07-01).
//!
//! Owns the reading of the raw path: `%2F` and `%3A` are decoded exactly once, because some clients
//! escape names and digests as a whole; every other escape stays, and so fails the grammar of
//! whatever it stands in. Names contain `/` and may have components called `blobs`, `manifests` or
//! `uploads`, so the endpoint is found from the right. Keeps the invariant that a route holds only
//! what passed its grammar. Leaves methods and queries to the [`router`](crate::router).

use std::borrow::Cow;

use meridian_event::Target;
use meridian_oci::{Digest, ParseReferenceError, Reference, RepositoryName};

use crate::session::Session;

/// An endpoint, and what its path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/_oci/ext/discover`, for the registry or for a repository.
    Discovery(Option<RepositoryName>),
    /// `/v2/<name>/manifests/<reference>`
    Manifest(RepositoryName, Reference),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload(RepositoryName, Session),
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
    /// `/acr/v1/_catalog`
    AcrCatalog,
    /// `/acr/v1/<name>/_tags`
    AcrTags(RepositoryName),
    /// `/acr/v1/<name>/_manifests`
    AcrManifests(RepositoryName),
    /// `/acr/v1/<name>`, `/acr/v1/<name>/_tags/<tag>`, `/acr/v1/<name>/_manifests/<digest>`
    Attributes(RepositoryName, Target),
}

/// Why a path names no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    /// Nothing is there.
    #[error("no such endpoint")]
    Unknown,
    /// It would have to be an extension.
    #[error("no such extension")]
    ExtensionUnknown,
    /// The repository's name is malformed.
    #[error("repository name is malformed")]
    Name,
    /// The tag is malformed.
    #[error("tag is malformed")]
    Tag,
    /// The digest is malformed, or its algorithm is not supported.
    #[error("digest is malformed or of an unsupported algorithm")]
    Digest,
    /// No session has such an id.
    #[error("upload id is malformed")]
    Upload,
}

impl Route {
    /// Reads the path of a request's target, as it was sent.
    pub(crate) fn parse(path: &str) -> Result<Self, RouteError> {
        if let Some(path) = path.strip_prefix("/acr/v1/") {
            return attributes(&unescape(path));
        }
        let path = match path.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Self::Base),
            Some(rest) => rest.strip_prefix('/').ok_or(RouteError::Unknown)?,
            None => return Err(RouteError::Unknown),
        };
        let path = unescape(path);
        match &*path {
            "_catalog" => return Ok(Self::Catalog),
            "_oci/ext/discover" => return Ok(Self::Discovery(None)),
            _ => {}
        }
        let (rest, last) = path.rsplit_once('/').ok_or(RouteError::Unknown)?;
        let (before, keyword) = rest.rsplit_once('/').unwrap_or(("", rest));
        match (keyword, last) {
            ("manifests", text) => Ok(Self::Manifest(name(before)?, reference(text)?)),
            ("blobs", "uploads") => Ok(Self::Uploads(name(before)?)),
            ("blobs", text) => Ok(Self::Blob(name(before)?, digest(text)?)),
            ("tags", "list") => Ok(Self::Tags(name(before)?)),
            ("referrers", text) => Ok(Self::Referrers(name(before)?, digest(text)?)),
            ("uploads", text) => {
                let before = strip_component(before, "blobs").ok_or(RouteError::Unknown)?;
                let name = name(before)?;
                if text.is_empty() {
                    return Ok(Self::Uploads(name));
                }
                let id = text.parse().map_err(|_malformed| RouteError::Upload)?;
                Ok(Self::Upload(name, id))
            }
            ("ext", "discover") => {
                let before = strip_component(before, "_oci").ok_or(RouteError::ExtensionUnknown)?;
                Ok(Self::Discovery(Some(name(before)?)))
            }
            _ if path.starts_with('_') => Err(RouteError::ExtensionUnknown),
            // Nothing but a digest holds a colon, so one was meant.
            _ if path.contains(':') => Err(RouteError::Digest),
            _ => Err(RouteError::Unknown),
        }
    }
}

/// No component of a name begins with `_`, so whatever follows one that does is not the name.
fn attributes(path: &str) -> Result<Route, RouteError> {
    let Some((before, rest)) = path.split_once("/_") else {
        return match path {
            "_catalog" => Ok(Route::AcrCatalog),
            _ if path.starts_with('_') => Err(RouteError::ExtensionUnknown),
            _ => Ok(Route::Attributes(name(path)?, Target::Repository)),
        };
    };
    match rest {
        "tags" => return Ok(Route::AcrTags(name(before)?)),
        "manifests" => return Ok(Route::AcrManifests(name(before)?)),
        _ => {}
    }
    let target = match rest.split_once('/') {
        Some(("tags", text)) => Target::Tag(text.parse().map_err(|_malformed| RouteError::Tag)?),
        Some(("manifests", text)) => Target::Manifest(digest(text)?),
        _ => return Err(RouteError::ExtensionUnknown),
    };
    Ok(Route::Attributes(name(before)?, target))
}

fn name(text: &str) -> Result<RepositoryName, RouteError> {
    text.parse().map_err(|_malformed| RouteError::Name)
}

fn digest(text: &str) -> Result<Digest, RouteError> {
    text.parse().map_err(|_malformed| RouteError::Digest)
}

fn reference(text: &str) -> Result<Reference, RouteError> {
    text.parse().map_err(|error| match error {
        ParseReferenceError::Tag(_) => RouteError::Tag,
        ParseReferenceError::Digest(_) => RouteError::Digest,
    })
}

/// What stands before the last component, if that is `component`.
fn strip_component<'a>(path: &'a str, component: &str) -> Option<&'a str> {
    let rest = path.strip_suffix(component)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_suffix('/')
}

/// Decodes `%2F` and `%3A`, each once, and nothing else: what they decode to is part of no escape.
fn unescape(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let slashes = path.replace("%2F", "/").replace("%2f", "/");
    Cow::Owned(slashes.replace("%3A", ":").replace("%3a", ":"))
}

#[cfg(test)]
mod tests;
