//! What a document is.
//!
//! Owns the rules by which the same bytes can be taken for one kind of manifest only
//! (CVE-2021-41190): content type and `mediaType` agree, and the members are those of the kind that
//! they name and of no other.

use super::document::Document;
use super::{ManifestKind, ParseManifestError};
use crate::MediaType;

/// The media type that the request declares, if it does.
pub(super) fn declared(
    content_type: Option<&str>,
) -> Result<Option<MediaType>, ParseManifestError> {
    let Some(header) = content_type.filter(|header| !header.trim_ascii().is_empty()) else {
        return Ok(None);
    };
    let media_type =
        MediaType::from_header(header).map_err(|_| ParseManifestError::UnsupportedMediaType)?;
    supported(media_type).map(Some)
}

/// The media type of a document.
pub(super) fn media_type(
    declared: Option<MediaType>,
    document: &Document<'_>,
) -> Result<MediaType, ParseManifestError> {
    if document.has_fs_layers || document.schema_version == Some(1) {
        return Err(ParseManifestError::Schema1);
    }
    match (declared, document.media_type.as_deref()) {
        (Some(declared), None) => Ok(declared),
        (Some(declared), Some(own)) if own == declared.as_str() => Ok(declared),
        (Some(_), Some(_)) => Err(ParseManifestError::MediaTypeMismatch),
        (None, Some(own)) => own
            .parse()
            .map_err(|_| ParseManifestError::UnsupportedMediaType)
            .and_then(supported),
        (None, None) => by_members(document).ok_or(ParseManifestError::Undetermined),
    }
}

/// The kind of a document of this media type, whose members must be that kind's.
pub(super) fn kind(
    media_type: &MediaType,
    document: &Document<'_>,
) -> Result<ManifestKind, ParseManifestError> {
    let kind = media_type
        .manifest_kind()
        .ok_or(ParseManifestError::UnsupportedMediaType)?;
    let members = [
        ("config", document.config.is_some(), ManifestKind::Image),
        ("layers", document.layers.is_some(), ManifestKind::Image),
        (
            "manifests",
            document.manifests.is_some(),
            ManifestKind::Index,
        ),
        ("blobs", document.blobs.is_some(), ManifestKind::Artifact),
    ];
    for (name, present, of) in members {
        if present && of != kind {
            return Err(ParseManifestError::Misplaced(name));
        }
    }
    match kind {
        ManifestKind::Image if document.config.is_none() => {
            Err(ParseManifestError::Missing("config"))
        }
        ManifestKind::Index if document.manifests.is_none() => {
            Err(ParseManifestError::Missing("manifests"))
        }
        _ => check_schema_version(kind, document.schema_version).map(|()| kind),
    }
}

fn supported(media_type: MediaType) -> Result<MediaType, ParseManifestError> {
    if media_type.is_docker_schema1() {
        Err(ParseManifestError::Schema1)
    } else if media_type.is_manifest() {
        Ok(media_type)
    } else {
        Err(ParseManifestError::UnsupportedMediaType)
    }
}

/// Only what OCI's own types may leave out: Docker's and the artifact types must be named.
fn by_members(document: &Document<'_>) -> Option<MediaType> {
    match (&document.config, &document.manifests) {
        (Some(_), None) => Some(MediaType::OCI_IMAGE_MANIFEST),
        (None, Some(_)) => Some(MediaType::OCI_IMAGE_INDEX),
        _ => None,
    }
}

/// The artifact manifests that preceded version 1.1 have no `schemaVersion`.
fn check_schema_version(
    kind: ManifestKind,
    version: Option<u64>,
) -> Result<(), ParseManifestError> {
    match (kind, version) {
        (_, Some(2)) | (ManifestKind::Artifact, None) => Ok(()),
        _ => Err(ParseManifestError::SchemaVersion),
    }
}
