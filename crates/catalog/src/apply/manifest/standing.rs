//! How far a manifest is here, and every step from one standing to the next.
//!
//! ```text
//!          raised, or needed           its bytes          the last leaf
//! absent ---------------------> wanted ---------> waiting -------------> exposed
//!    ^                             |                 |                      |
//!    +-----------------------------+-----------------+----------------------+
//!                  deleted, and no present manifest needs it
//! ```
//!
//! Keeps invariant 1 while content comes and goes: what is exposed has all that it needs, and what is
//! needed goes only when nothing present needs it any more. A manifest is present while its newest put
//! is newer than its newest deletion, or while a present manifest of its repository whose bytes are
//! here names it as a child. Needs are known from bytes only: what an event lists is a hint.
//!
//! A local put takes all steps at once, because its leaves were looked at before.

use std::collections::BTreeSet;

use meridian_clock::Version;
use meridian_oci::Digest;

use super::needs;
use crate::apply::agenda::Task;
use crate::apply::blob::link;
use crate::apply::guard::{self, Guard};
use crate::apply::place::Place;
use crate::apply::turn::Turn;
use crate::apply::{Result, floor, tag};
use crate::hold;
use crate::row::{Manifest, Needs, Referrer, Standing};
use crate::{CatalogError, ManifestBody, Write};

/// A manifest's cell while an entry changes it.
pub(in crate::apply) struct Cell<'p> {
    pub(in crate::apply) place: &'p Place,
    pub(in crate::apply) digest: Digest,
    /// What it was.
    pub(in crate::apply) was: Option<Manifest>,
    /// What it becomes.
    pub(in crate::apply) row: Manifest,
    /// The last deletion of its repository.
    cover: Option<Version>,
}

// === impl Cell ===

impl<'p> Cell<'p> {
    /// A cell that is there, or one that says nothing yet.
    pub(in crate::apply) fn load<S: Write>(
        turn: &Turn<'_, S>,
        place: &'p Place,
        digest: Digest,
    ) -> Result<Self, S> {
        let was = turn.read::<Manifest>(&place.manifest(digest))?;
        let cover = turn.cell(place)?.del;
        let cover = cover.filter(|_| guard::stands(Guard::DeletionCovers));
        let mut row = was.clone().unwrap_or_default();
        row.cover(cover);
        Ok(Self {
            place,
            digest,
            was,
            row,
            cover,
        })
    }

    /// Whether the deletion of its repository did not stand in its row yet.
    pub(in crate::apply) fn is_news(&self) -> bool {
        self.was.as_ref().is_some_and(|was| was.del < self.cover)
    }

    /// Writes it, if it changed.
    pub(in crate::apply) fn save<S: Write>(self, turn: &mut Turn<'_, S>) -> Result<(), S> {
        let is_news = self.is_news();
        let (place, digest, row) = (self.place, self.digest, self.row);
        let buried = self.was.as_ref().and_then(Manifest::tombstone);
        let was = self.was.unwrap_or_else(|| {
            let mut nothing = Manifest::default();
            nothing.cover(self.cover);
            nothing
        });
        if row == was {
            return Ok(());
        }
        turn.put(&place.manifest(digest), &row)?;
        let tombstone = row.tombstone();
        if let Some(buried) = buried.filter(|_| buried != tombstone) {
            floor::exhume_manifest(turn, place, digest, buried)?;
        }
        if let Some(tombstone) = tombstone.filter(|_| buried != tombstone) {
            floor::bury_manifest(turn, place, digest, tombstone)?;
        }
        if is_news {
            tag::hide_all(turn, place, digest);
            tag::judge_all(turn, place, digest)?;
            if !row.is_absent() && !row.is_added() {
                turn.agenda.push(Task::Reconsider(place.clone(), digest));
            }
        }
        Ok(())
    }
}

/// Has the deletion of its repository stand in a manifest's row, if it did not yet. Adds at how many rows of
/// others it looked.
pub(in crate::apply) fn cover<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    looks: &mut usize,
) -> Result<Manifest, S> {
    let mut cell = Cell::load(turn, place, digest)?;
    if cell.was.is_none() {
        return Err(CatalogError::Damaged("manifest"));
    }
    if !cell.is_news() {
        return Ok(cell.row);
    }
    *looks += reconsider(turn, &mut cell)?;
    let row = cell.row.clone();
    cell.save(turn)?;
    Ok(row)
}

/// Makes a manifest's standing follow its presence. Returns at how many rows of others it looked.
pub(in crate::apply) fn reconsider<S: Write>(
    turn: &mut Turn<'_, S>,
    cell: &mut Cell<'_>,
) -> Result<usize, S> {
    let mut looks = 0;
    let is_present = cell.row.is_added() || is_needed(turn, cell.place, cell.digest, &mut looks)?;
    match (cell.row.is_absent(), is_present) {
        (true, true) => want(turn, cell)?,
        (false, false) => looks += vanish(turn, cell)?,
        _ => {}
    }
    Ok(looks)
}

/// Takes the bytes of a manifest in, if they are wanted, or what they say of it.
pub(in crate::apply) fn receive<S: Write>(
    turn: &mut Turn<'_, S>,
    cell: &mut Cell<'_>,
    body: &ManifestBody,
) -> Result<(), S> {
    match cell.row.standing {
        Standing::Absent => Ok(()),
        Standing::Wanted => arrive(turn, cell, body),
        Standing::Waiting(_) | Standing::Exposed => {
            let is_right = cell.row.media_type.as_ref() == Some(&body.media_type);
            if cell.row.is_misdescribed && is_right {
                describe(turn, cell, body)?;
            }
            Ok(())
        }
    }
}

/// Notes that a manifest has another media type now, which its description is not of.
pub(in crate::apply) fn misdescribe<S: Write>(
    turn: &mut Turn<'_, S>,
    cell: &mut Cell<'_>,
) -> Result<(), S> {
    if !cell.row.has_body() || cell.row.is_misdescribed {
        return Ok(());
    }
    let needs = needs::needs_of(turn, cell.place, cell.digest)?;
    if needs.subject.is_some() {
        cell.row.is_misdescribed = true;
        turn.put_bytes(&cell.place.wanted(cell.digest), &[])?;
    }
    Ok(())
}

/// Tells a waiting manifest that one of its leaves is here.
pub(in crate::apply) fn hear<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
) -> Result<(), S> {
    let mut cell = Cell::load(turn, place, digest)?;
    match cell.row.standing {
        Standing::Waiting(missing) if missing > 1 => {
            cell.row.standing = Standing::Waiting(missing - 1);
        }
        Standing::Waiting(_) => {
            let mut needs = needs::needs_of(turn, place, digest)?;
            let referrer = needs.referrer.take();
            if referrer.is_some() {
                turn.put(&place.needs(digest), &needs)?;
            }
            expose(turn, &mut cell, needs.subject.zip(referrer))?;
        }
        _ => return Err(CatalogError::Damaged("manifest that waits")),
    }
    cell.save(turn)
}

/// Counts a manifest as exposed, lists it among the referrers, and has those told who wait for it.
pub(super) fn expose<S: Write>(
    turn: &mut Turn<'_, S>,
    cell: &mut Cell<'_>,
    referrer: Option<(Digest, Referrer)>,
) -> Result<(), S> {
    let (place, digest, size) = (cell.place, cell.digest, cell.row.size);
    if let Some((subject, referrer)) = referrer {
        turn.put(&place.referrer(subject, digest), &referrer)?;
    }
    let was_absent = cell.row.is_absent();
    cell.row.standing = Standing::Exposed;
    let (may_have_parents, may_have_tags, was_last) = turn.count(place, |repository, usage| {
        if !was_absent {
            repository.unexposed -= 1;
            usage.unexposed -= 1;
        }
        repository.manifests += 1;
        usage.manifests += 1;
        usage.manifest_bytes = usage.manifest_bytes.wrapping_add(size);
        let was_last = !was_absent && usage.unexposed == 0;
        (repository.unexposed > 0, repository.waiting > 0, was_last)
    })?;
    if was_last {
        turn.agenda.push(Task::EndCopies);
    }
    if !was_absent {
        turn.agenda.push(Task::TellOfPushes(place.clone(), digest));
    }
    if may_have_parents {
        turn.agenda.push(Task::TellParents(place.clone(), digest));
    }
    if may_have_tags {
        let task = Task::JudgeTags(place.clone(), digest, None);
        turn.agenda.push(task);
    }
    Ok(())
}

/// Ends the waiting of a manifest for whatever it still waits for.
pub(super) fn wait_no_more<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    needs: &Needs,
) -> Result<(), S> {
    let mut awaited = 0;
    for blob in needs.distinct_blobs() {
        let waiter = place.waiter(blob, digest);
        if turn.exists(&waiter)? {
            turn.remove(&waiter)?;
            awaited += 1;
        }
    }
    for child in needs.distinct_children() {
        turn.remove(&place.waiting_for_child(child).digest(digest))?;
    }
    if awaited > 0 {
        turn.count_blobs(place.registry, |usage| usage.awaited -= awaited)?;
    }
    Ok(())
}

/// Whether a present manifest names it as a child. Those that hold it are many, if it is a blob
/// besides, and each counts towards `looks`.
fn is_needed<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    digest: Digest,
    looks: &mut usize,
) -> Result<bool, S> {
    if !guard::stands(Guard::NeedKeepsPresent) {
        return Ok(false);
    }
    let Place {
        registry,
        repository,
    } = place;
    hold::is_child(turn.store(), *registry, repository, digest, looks)
}

fn want<S: Write>(turn: &mut Turn<'_, S>, cell: &mut Cell<'_>) -> Result<(), S> {
    cell.row.standing = Standing::Wanted;
    turn.put_bytes(&cell.place.wanted(cell.digest), &[])?;
    turn.count(cell.place, |repository, usage| {
        repository.unexposed += 1;
        usage.unexposed += 1;
    })
}

fn arrive<S: Write>(
    turn: &mut Turn<'_, S>,
    cell: &mut Cell<'_>,
    body: &ManifestBody,
) -> Result<(), S> {
    let (place, digest) = (cell.place, cell.digest);
    turn.remove(&place.wanted(digest))?;
    let foreign = needs::linked_foreign(turn, place, &body.foreign)?;
    let mut needs = Needs {
        blobs: [body.blobs.as_slice(), &foreign].concat(),
        children: needs::children(digest, &body.children),
        subject: body.subject,
        referrer: None,
    };
    cell.row.size = body.bytes.len() as u64;
    let media_type = cell
        .row
        .media_type
        .get_or_insert_with(|| body.media_type.clone());
    let is_other = *media_type != body.media_type;
    needs::write(turn, place, digest, &needs, &body.bytes)?;
    let missing = await_leaves(turn, cell, &needs)?;
    let referrer = needs::referrer(body.referrer.as_ref()).filter(|_| needs.subject.is_some());
    if missing == 0 {
        expose(turn, cell, needs.subject.zip(referrer))?;
    } else {
        cell.row.standing = Standing::Waiting(missing);
        needs.referrer = referrer;
        if needs.referrer.is_some() {
            turn.put(&place.needs(digest), &needs)?;
        }
    }
    if is_other {
        misdescribe(turn, cell)?;
    }
    Ok(())
}

/// Looks for what a manifest needs, and has it told of the rest. Returns how much is missing; a
/// digest that is needed as a blob and as a child counts twice.
fn await_leaves<S: Write>(turn: &mut Turn<'_, S>, of: &Cell<'_>, needs: &Needs) -> Result<u64, S> {
    let (place, digest) = (of.place, of.digest);
    let (mut awaited, mut missing) = (0, 0);
    for leaf in needs.distinct_blobs() {
        if !link::claim(turn, place, leaf, of.row.add)? {
            turn.put_bytes(&place.waiter(leaf, digest), &[])?;
            awaited += 1;
        }
    }
    for child in needs.distinct_children() {
        let mut cell = Cell::load(turn, place, child)?;
        if cell.row.is_absent() && guard::stands(Guard::NeedKeepsPresent) {
            cell.row.size = child_size(needs, child);
            want(turn, &mut cell)?;
        }
        if !cell.row.is_exposed() {
            turn.put_bytes(&place.waiting_for_child(child).digest(digest), &[])?;
            missing += 1;
        }
        cell.save(turn)?;
    }
    if awaited > 0 {
        turn.count_blobs(place.registry, |usage| usage.awaited += awaited)?;
    }
    Ok(awaited + missing)
}

fn child_size(needs: &Needs, child: Digest) -> u64 {
    let mut children = needs.children.iter();
    let leaf = children.find(|leaf| leaf.digest == child);
    leaf.map_or(0, |leaf| leaf.size)
}

/// Describes a manifest to its subject anew.
fn describe<S: Write>(
    turn: &mut Turn<'_, S>,
    cell: &mut Cell<'_>,
    body: &ManifestBody,
) -> Result<(), S> {
    let (place, digest) = (cell.place, cell.digest);
    let mut needs = needs::needs_of(turn, place, digest)?;
    let referrer = needs::referrer(body.referrer.as_ref());
    match needs.subject.zip(referrer) {
        Some((subject, referrer)) if cell.row.is_exposed() => {
            turn.put(&place.referrer(subject, digest), &referrer)?;
        }
        Some((_, referrer)) => {
            needs.referrer = Some(referrer);
            turn.put(&place.needs(digest), &needs)?;
        }
        None => {}
    }
    cell.row.is_misdescribed = false;
    turn.remove(&place.wanted(digest))
}

/// Removes what a manifest was and needed. A blob that nothing needs any more begins its grace; a
/// child may go as well, and tags that wait for it give up. Returns how many leaves it let go.
pub(super) fn vanish<S: Write>(turn: &mut Turn<'_, S>, cell: &mut Cell<'_>) -> Result<usize, S> {
    let mut leaves = 0;
    let (place, digest, size) = (cell.place, cell.digest, cell.row.size);
    let standing = std::mem::take(&mut cell.row.standing);
    if standing == Standing::Wanted || cell.row.is_misdescribed {
        cell.row.is_misdescribed = false;
        turn.remove(&place.wanted(digest))?;
    }
    if standing != Standing::Wanted {
        let needs = needs::needs_of(turn, place, digest)?;
        if standing != Standing::Exposed {
            wait_no_more(turn, place, digest, &needs)?;
        }
        leaves = needs.blobs.len() + needs.children.len();
        needs::remove(turn, place, digest, &needs)?;
        let children: BTreeSet<_> = needs.distinct_children();
        for child in children {
            turn.agenda.push(Task::Reconsider(place.clone(), child));
        }
    }
    let (may_have_tags, was_last) = turn.count(place, |repository, usage| {
        if standing == Standing::Exposed {
            repository.manifests -= 1;
            usage.manifests -= 1;
            usage.manifest_bytes = usage.manifest_bytes.wrapping_sub(size);
        } else {
            repository.unexposed -= 1;
            usage.unexposed -= 1;
        }
        let was_last = standing != Standing::Exposed && usage.unexposed == 0;
        (repository.waiting > 0, was_last)
    })?;
    if was_last {
        turn.agenda.push(Task::EndCopies);
    }
    if standing != Standing::Exposed {
        turn.agenda.push(Task::TellOfPushes(place.clone(), digest));
    }
    if may_have_tags {
        let task = Task::JudgeTags(place.clone(), digest, None);
        turn.agenda.push(task);
    }
    Ok(leaves)
}
