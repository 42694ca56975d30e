//! Whether a manifest may be put.

use meridian_event::Leaf;
use meridian_oci::Digest;

use super::unmet;
use crate::apply::guard::{self, Guard};
use crate::apply::place::Place;
use crate::apply::turn::Turn;
use crate::apply::{Result, tag};
use crate::hold;
use crate::key;
use crate::row::{Blob, Manifest};
use crate::{NewManifest, Refusal, Write};

/// Why a manifest may not be put, if it may not.
pub(super) fn refusal<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    new: &NewManifest,
) -> Result<Option<Refusal>, S> {
    if new.tags.is_empty() {
        let manifest = turn.read::<Manifest>(&place.manifest(new.digest))?;
        let is_present = is_present(turn, place, new.digest, manifest.as_ref())?;
        let current = is_present.then_some(new.digest);
        if let Some(refusal) = unmet(new.condition, current) {
            return Ok(Some(refusal));
        }
    } else if new.condition.is_some() {
        for name in &new.tags {
            let current = tag::points_at(turn, place, name)?;
            if let Some(refusal) = unmet(new.condition, current) {
                return Ok(Some(refusal));
            }
        }
    }
    leaves_refusal(turn, place, new)
}

/// Whether a manifest is present, exposed or not.
pub(super) fn is_present<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    digest: Digest,
    manifest: Option<&Manifest>,
) -> Result<bool, S> {
    match manifest {
        None => Ok(false),
        Some(manifest) => {
            let Place {
                registry,
                repository,
            } = place;
            hold::is_present(turn.store(), *registry, repository, digest, manifest)
        }
    }
}

fn leaves_refusal<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
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
        check(leaf, blob_size(turn, place, leaf.digest)?);
    }
    for leaf in &new.children {
        check(leaf, manifest_size(turn, place, leaf.digest)?);
    }
    if !absent.is_empty() {
        return Ok(Some(Refusal::LeavesUnknown(absent)));
    }
    Ok((!differing.is_empty()).then_some(Refusal::SizesDiffer(differing)))
}

/// The size of a manifest that is exposed. One that is merged and not complete cannot be pulled, and
/// what stands on it could not either.
fn manifest_size<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    digest: Digest,
) -> Result<Option<u64>, S> {
    let manifest = turn.read::<Manifest>(&place.manifest(digest))?;
    let manifest = manifest.filter(Manifest::is_exposed);
    let is_present = is_present(turn, place, digest, manifest.as_ref())?;
    Ok(manifest
        .filter(|_| is_present)
        .map(|manifest| manifest.size))
}

/// The size of a blob that is present in the manifest's repository. A blob that only another
/// repository has does not count: its existence must not be observable from here.
fn blob_size<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    digest: Digest,
) -> Result<Option<u64>, S> {
    if !turn.exists(&place.link(digest))? {
        return Ok(None);
    }
    let blob = turn.read::<Blob>(&key::blob(place.registry, digest))?;
    Ok(blob.map(|blob| blob.size))
}
