//! Whether a manifest may be put.

use meridian_event::Leaf;
use meridian_oci::Digest;

use super::standing::Cell;
use super::unmet;
use crate::apply::guard::{self, Guard};
use crate::apply::place::Place;
use crate::apply::turn::Turn;
use crate::apply::{Result, lock, tag};
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
    if lock::forbids_put(turn, place, new)? {
        return Ok(Some(Refusal::Locked));
    }
    if new.tags.is_empty() {
        let manifest = Cell::load(turn, place, new.digest)?.row;
        let is_present = is_present(turn, place, new.digest, &manifest)?;
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
pub(in crate::apply) fn is_present<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    digest: Digest,
    manifest: &Manifest,
) -> Result<bool, S> {
    let Place {
        registry,
        repository,
    } = place;
    let cover = turn.cell(place)?.cover();
    hold::is_present(turn.store(), *registry, repository, digest, manifest, cover)
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
    let manifest = Cell::load(turn, place, digest)?.row;
    let is_there = manifest.is_exposed() && is_present(turn, place, digest, &manifest)?;
    Ok(is_there.then_some(manifest.size))
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
