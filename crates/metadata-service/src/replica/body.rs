//! Bytes, read as the manifest that they are said to be.

use bytes::Bytes;
use meridian_catalog::ManifestBody;
use meridian_oci::{Digest, Manifest, MediaType};

use crate::write;

/// What the state has to know of a manifest; or why it cannot be kept. Before its put is known, it
/// says itself under which media type it is to be read.
pub(super) fn read(
    digest: Digest,
    media_type: Option<&MediaType>,
    bytes: &Bytes,
) -> Result<ManifestBody, String> {
    if Digest::of(digest.algorithm(), bytes) != digest {
        return Err("it is not what its digest says".to_owned());
    }
    let manifest = Manifest::parse(media_type.map(MediaType::as_str), bytes.clone());
    let manifest = manifest.map_err(|error| meridian_error::chain(&error))?;
    Ok(write::body(&manifest, &digest))
}

/// About how many bytes it takes in the log.
pub(super) fn weight(body: &ManifestBody) -> usize {
    let leaves = body.blobs.len() + body.foreign.len() + body.children.len();
    let referrer = body.referrer.as_ref().map_or(0, |it| it.1.len());
    body.bytes.len() + 72 * leaves + referrer
}
