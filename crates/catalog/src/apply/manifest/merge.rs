//! Manifests put and deleted elsewhere.
//!
//! Keeps invariant 2: cells change by joins only, so that it does not matter in which order, or how
//! often, a region hears of what happened. A put raises what it stands on, also where it lost.

use meridian_clock::Version;
use meridian_event::Leaf;
use meridian_oci::{Digest, MediaType, Tag as TagName};

use super::needs;
use super::standing::{self, Cell};
use crate::apply::blob::link;
use crate::apply::guard::{self, Guard};
use crate::apply::place::Place;
use crate::apply::turn::Turn;
use crate::apply::{Result, tag};
use crate::row::TagCell;
use crate::{FoundManifest, ManifestBody, Write};

/// A put of another region.
pub(in crate::apply) struct Put<'e> {
    pub(in crate::apply) version: Version,
    pub(in crate::apply) manifest: Leaf,
    pub(in crate::apply) media_type: &'e MediaType,
    pub(in crate::apply) tags: &'e [TagName],
    pub(in crate::apply) blobs: &'e [Leaf],
    pub(in crate::apply) children: &'e [Leaf],
    /// The bytes, if they are at hand.
    pub(in crate::apply) body: Option<&'e ManifestBody>,
}

/// Joins a put.
pub(in crate::apply) fn put<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    put: &Put<'_>,
) -> Result<(), S> {
    if !guard::stands(Guard::LoserRaises) && has_lost(turn, place, put)? {
        return Ok(());
    }
    let digest = put.manifest.digest;
    let mut cell = Cell::load(turn, place, digest)?;
    cell.row.raise(put.version);
    name(turn, &mut cell, put.version, put.media_type)?;
    measure(&mut cell, put.manifest);
    standing::reconsider(turn, &mut cell)?;
    if let Some(body) = put.body {
        standing::receive(turn, &mut cell, body)?;
    }
    cell.save(turn)?;
    turn.note_newer(place, put.version)?;
    for leaf in put.blobs.iter().chain(put.children) {
        link::raise(turn, place, leaf.digest, put.version)?;
    }
    for child in needs::children(digest, put.children) {
        raise(turn, place, child, put.version)?;
    }
    for name in put.tags {
        tag::join(turn, place, name, put.version, Some(digest))?;
    }
    Ok(())
}

/// Joins a deletion.
pub(in crate::apply) fn delete<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    version: Version,
) -> Result<(), S> {
    let mut cell = Cell::load(turn, place, digest)?;
    let is_newer = cell.row.del < Some(version);
    if is_newer || !guard::stands(Guard::DelIsAJoin) {
        cell.row.del = Some(version);
    }
    standing::reconsider(turn, &mut cell)?;
    settle(turn, cell, is_newer)
}

/// Joins a cell that was found elsewhere.
pub(in crate::apply) fn found<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    found: &FoundManifest,
) -> Result<(), S> {
    let digest = found.manifest.digest;
    let mut cell = Cell::load(turn, place, digest)?;
    let is_newer = cell.row.del < found.del;
    cell.row.add = cell.row.add.max(found.add);
    cell.row.del = cell.row.del.max(found.del);
    if let Some(put) = &found.put {
        name(turn, &mut cell, put.version, &put.media_type)?;
    }
    measure(&mut cell, found.manifest);
    standing::reconsider(turn, &mut cell)?;
    if let Some(body) = &found.body {
        standing::receive(turn, &mut cell, body)?;
    }
    settle(turn, cell, is_newer)
}

/// Writes a cell, and has its tags looked at if its last deletion is newer than it was.
fn settle<S: Write>(turn: &mut Turn<'_, S>, cell: Cell<'_>, is_newer: bool) -> Result<(), S> {
    let (place, digest) = (cell.place, cell.digest);
    let has_tags = is_newer && cell.was.is_some();
    let is_present = !cell.row.is_absent();
    cell.save(turn)?;
    if has_tags {
        tag::hide_all(turn, place, digest);
    }
    if has_tags && is_present {
        tag::judge_all(turn, place, digest)?;
    }
    Ok(())
}

/// Joins that something newer stands on a manifest.
pub(in crate::apply) fn raise<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    leaf: Leaf,
    version: Version,
) -> Result<(), S> {
    let mut cell = Cell::load(turn, place, leaf.digest)?;
    cell.row.raise(version);
    if cell.row.size == 0 {
        measure(&mut cell, leaf);
    }
    standing::reconsider(turn, &mut cell)?;
    cell.save(turn)
}

fn name<S: Write>(
    turn: &mut Turn<'_, S>,
    cell: &mut Cell<'_>,
    version: Version,
    media_type: &MediaType,
) -> Result<(), S> {
    if !guard::stands(Guard::PutVersionDecidesMediaType) {
        cell.row.put = None;
    }
    if cell.row.name(version, media_type) {
        standing::misdescribe(turn, cell)?;
    }
    Ok(())
}

/// Bytes say themselves how long they are; until they are here, somebody else does.
fn measure(cell: &mut Cell<'_>, manifest: Leaf) {
    if !cell.row.has_body() && manifest.size > 0 {
        cell.row.size = manifest.size;
    }
}

/// Whether a put loses wherever it points a tag.
fn has_lost<S: Write>(turn: &Turn<'_, S>, place: &Place, put: &Put<'_>) -> Result<bool, S> {
    let mut lost = 0;
    for name in put.tags {
        let cell = turn.read::<TagCell>(&place.tag_cell(name))?;
        lost += usize::from(cell.is_some_and(|cell| cell.version > put.version));
    }
    Ok(lost > 0 && lost == put.tags.len())
}
