//! Whether a manifest may be put.

use meridian_event::{Leaf, RegistryId};
use meridian_oci::Digest;

use super::unmet;
use crate::apply::guard::{self, Guard};
use crate::apply::turn::Turn;
use crate::apply::{Result, tag};
use crate::key;
use crate::row::{Blob, Manifest};
use crate::{NewManifest, Refusal, Write};

/// Why a manifest may not be put, if it may not.
pub(super) fn refusal<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
) -> Result<Option<Refusal>, S> {
    if new.tags.is_empty() {
        let cell = key::manifests(registry, &new.repository).digest(new.digest);
        let present = turn.read::<Manifest>(&cell)?;
        let current = present.filter(Manifest::is_present).map(|_| new.digest);
        if let Some(refusal) = unmet(new.condition, current) {
            return Ok(Some(refusal));
        }
    } else if new.condition.is_some() {
        for name in &new.tags {
            let current = tag::shown(turn, registry, &new.repository, name)?;
            let current = current.map(|tag| tag.digest);
            if let Some(refusal) = unmet(new.condition, current) {
                return Ok(Some(refusal));
            }
        }
    }
    leaves_refusal(turn, registry, new)
}

fn leaves_refusal<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
) -> Result<Option<Refusal>, S> {
    if !guard::stands(Guard::LeavesPresent) {
        return Ok(None);
    }
    let (mut absent, mut differing) = (Vec::new(), Vec::new());
    let mut check = |leaf: &Leaf, size: Option<u64>| match size {
        None => absent.push(leaf.digest),
        Some(size) if size != leaf.size => differing.push(leaf.digest),
        Some(_) => {}
    };
    for leaf in &new.blobs {
        check(leaf, blob_size(turn, registry, new, leaf.digest)?);
    }
    for leaf in &new.children {
        let cell = key::manifests(registry, &new.repository).digest(leaf.digest);
        let manifest = turn.read::<Manifest>(&cell)?;
        let manifest = manifest.filter(Manifest::is_present);
        check(leaf, manifest.map(|manifest| manifest.size));
    }
    if !absent.is_empty() {
        return Ok(Some(Refusal::LeavesUnknown(absent)));
    }
    Ok((!differing.is_empty()).then_some(Refusal::SizesDiffer(differing)))
}

/// The size of a blob that is present in the manifest's repository. A blob that only another
/// repository has does not count: its existence must not be observable from here.
fn blob_size<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
    digest: Digest,
) -> Result<Option<u64>, S> {
    let link = key::links(registry, &new.repository).digest(digest);
    if !turn.exists(&link)? {
        return Ok(None);
    }
    let blob = turn.read::<Blob>(&key::blob(registry, digest))?;
    Ok(blob.map(|blob| blob.size))
}
