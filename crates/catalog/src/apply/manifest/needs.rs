//! What manifests need, from both sides.
//!
//! Owns the rows that tie a manifest to its leaves, its subject and its bytes. They come with its
//! bytes and go with its presence, all together.

use meridian_event::Leaf;
use meridian_oci::Digest;

use super::standing::Cell;
use crate::apply::blob::link;
use crate::apply::place::Place;
use crate::apply::turn::Turn;
use crate::apply::{Result, blob};
use crate::row::{Link, Needs, Referrer};
use crate::{CatalogError, NewManifest, Write};

/// How a manifest shows itself among the referrers of its subject.
pub(super) fn referrer(shown: Option<&(Option<String>, String)>) -> Option<Referrer> {
    let (artifact_type, descriptor) = shown?;
    Some(Referrer {
        artifact_type: artifact_type.clone(),
        descriptor: descriptor.clone(),
    })
}

/// The children of a manifest. No manifest names itself, whatever a command says: it would wait for
/// itself, and keep itself, for ever.
pub(super) fn children(digest: Digest, named: &[Leaf]) -> Vec<Leaf> {
    let named = named.iter().filter(|leaf| leaf.digest != digest);
    named.copied().collect()
}

/// The blobs of a manifest that need not be in its repository, and are.
pub(super) fn linked_foreign<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    foreign: &[Leaf],
) -> Result<Vec<Leaf>, S> {
    let mut linked = Vec::new();
    for leaf in foreign {
        if turn.exists(&place.link(leaf.digest))? {
            linked.push(*leaf);
        }
    }
    Ok(linked)
}

/// Writes what a manifest is and needs.
pub(super) fn write<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    needs: &Needs,
    bytes: &[u8],
) -> Result<(), S> {
    turn.put_bytes(&place.body(digest), bytes)?;
    turn.put(&place.needs(digest), needs)?;
    for leaf in needs.leaves() {
        turn.put_bytes(&place.holders(leaf).digest(digest), &[])?;
    }
    Ok(())
}

/// Lets a manifest that was there before hold what came after it, and wait for nothing.
pub(super) fn adopt<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    foreign: &[Leaf],
) -> Result<Needs, S> {
    let mut needs = needs_of(turn, place, digest)?;
    needs.referrer = None;
    let held = needs.leaves();
    for leaf in foreign.iter().filter(|leaf| !held.contains(&leaf.digest)) {
        needs.blobs.push(*leaf);
        turn.put_bytes(&place.holders(leaf.digest).digest(digest), &[])?;
    }
    turn.put(&place.needs(digest), &needs)?;
    Ok(needs)
}

pub(super) fn needs_of<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    digest: Digest,
) -> Result<Needs, S> {
    turn.read::<Needs>(&place.needs(digest))?
        .ok_or(CatalogError::Damaged("needs of a manifest"))
}

/// Raises what a put stands on, so that an older delete from anywhere loses against it.
pub(super) fn raise_leaves<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    new: &NewManifest,
    foreign: &[Leaf],
) -> Result<(), S> {
    for leaf in new.blobs.iter().chain(foreign).chain(&new.children) {
        let link_key = place.link(leaf.digest);
        if let Some(mut link) = turn.read::<Link>(&link_key)? {
            link.add = turn.version;
            turn.put(&link_key, &link)?;
            link::resume(turn, place, leaf.digest)?;
            blob::revive(turn, place.registry, leaf.digest)?;
        }
    }
    for child in children(new.digest, &new.children) {
        let mut cell = Cell::load(turn, place, child.digest)?;
        // A deleted manifest is not what it stands on, but a blob of the same digest.
        if !cell.row.is_absent() {
            cell.row.raise(turn.version);
            cell.save(turn)?;
        }
    }
    Ok(())
}

/// Removes what a manifest was and needed. A blob that nothing needs any more begins its grace.
pub(super) fn remove<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    needs: &Needs,
) -> Result<(), S> {
    turn.remove(&place.needs(digest))?;
    turn.remove(&place.body(digest))?;
    for leaf in needs.leaves() {
        let of_leaf = place.holders(leaf);
        turn.remove(&of_leaf.clone().digest(digest))?;
        let is_blob = turn.exists(&place.link(leaf))?;
        if is_blob && turn.suffixes(&of_leaf, 1)?.is_empty() {
            blob::release(turn, place.registry, leaf)?;
            link::end(turn, place, leaf)?;
        }
    }
    if let Some(subject) = needs.subject {
        turn.remove(&place.referrer(subject, digest))?;
    }
    Ok(())
}
