//! Paths that answers point at, the inverse of [`Route::parse`](crate::route::Route::parse).
//!
//! Path-relative always: some clients cannot take an absolute `Location`, and no `Host` or
//! `X-Forwarded-*` header of a request can then poison an answer. What they are made of passed a
//! grammar without characters that would need an escape.

use meridian_oci::{Digest, RepositoryName};

use crate::session::Session;

/// `/v2/<name>/blobs/<digest>`
pub(crate) fn blob(repository: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

/// `/v2/<name>/manifests/<digest>`
pub(crate) fn manifest(repository: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{repository}/manifests/{digest}")
}

/// `/v2/<name>/blobs/uploads/<id>`
pub(crate) fn upload(repository: &RepositoryName, session: &Session) -> String {
    format!("/v2/{repository}/blobs/uploads/{session}")
}

/// `/v2/<name>/tags/list`
pub(crate) fn tags(repository: &RepositoryName) -> String {
    format!("/v2/{repository}/tags/list")
}

/// `/v2/<name>/referrers/<digest>`
pub(crate) fn referrers(repository: &RepositoryName, subject: &Digest) -> String {
    format!("/v2/{repository}/referrers/{subject}")
}

/// `/acr/v1/<name>/_tags`
pub(crate) fn tag_attributes(repository: &RepositoryName) -> String {
    format!("{ACR}/{repository}/_tags")
}

/// `/acr/v1/<name>/_manifests`
pub(crate) fn manifest_attributes(repository: &RepositoryName) -> String {
    format!("{ACR}/{repository}/_manifests")
}

/// Where the API of Azure Container Registry begins.
const ACR: &str = "/acr/v1";

/// `/acr/v1/_catalog`
pub(crate) const ACR_CATALOG: &str = "/acr/v1/_catalog";

/// `/v2/_catalog`
pub(crate) const CATALOG: &str = "/v2/_catalog";
