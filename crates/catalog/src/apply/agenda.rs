//! What an entry causes beyond itself: a blob arrives and manifests are complete, those are exposed
//! and others are, and their tags with them; a manifest goes and its children with it.
//!
//! Owns the order and the bound. Steps are taken one after the other, never one within another, so
//! that no chain of content is too long for the stack; and an entry takes so many of them at most.
//! What is left is written down, and [`sweep`] goes on with it. Until then nothing is visible that
//! must not be: what waits stays hidden, and what perhaps nothing needs any more stays complete.

use meridian_clock::Region;
use meridian_event::RegistryId;
use meridian_oci::{Digest, Tag as TagName};

use super::blob::link;
use super::guard::{self, Guard};
use super::manifest::standing::{self, Cell};
use super::place::Place;
use super::turn::Turn;
use super::{Result, floor, heartbeat, notice, repository, tag};
use crate::key::{self, Key};
use crate::row::{Manifest, Progress, Sweep};
use crate::{CatalogError, Reply, Write};

/// At how many rows of others one entry looks. So few in the crate's own tests that there, too, work
/// is left to later entries all the time.
const PER_ENTRY: usize = if cfg!(test) { 1 } else { 1000 };

/// What is to be done.
#[derive(Debug)]
pub(super) enum Task {
    /// Hide the tags that a deleted manifest does not show any more.
    HideTags(Place, Digest, Option<TagName>),
    /// Judge the tags that wait for a manifest, from after one of them on.
    JudgeTags(Place, Digest, Option<TagName>),
    /// Tell those who wait for a manifest that it is exposed.
    TellParents(Place, Digest),
    /// Tell those who wait for a blob that it is recorded.
    TellOfBlob(RegistryId, Digest),
    /// See whether a manifest is still needed.
    Reconsider(Place, Digest),
    /// Tell of the pushes that wait for a manifest.
    TellOfPushes(Place, Digest),
    /// See whether everything is here that came with copies.
    EndCopies,
    /// Have pushes wait no more for regions that were removed, from after one of them on.
    EndWaits(Vec<u8>),
    /// Drop tombstones of a shard.
    Unbury(u16),
    /// Look through what another region said of a shard.
    Hear(Region, u16),
    /// Have the deletion of a repository stand in every row that was there before.
    SweepRepository(Place, Progress),
}

/// What an entry still has to do.
#[derive(Debug)]
pub(super) struct Agenda {
    tasks: Vec<Task>,
    /// At how many rows it may still look.
    left: usize,
}

// === impl Agenda ===

impl Default for Agenda {
    fn default() -> Self {
        Self {
            tasks: Vec::new(),
            left: PER_ENTRY,
        }
    }
}

impl Agenda {
    pub(super) fn push(&mut self, task: Task) {
        self.tasks.push(task);
    }

    /// At how many rows the entry may still look.
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// Notes that it looked at some.
    pub(super) const fn spend(&mut self, rows: usize) {
        self.left = self.left.saturating_sub(rows);
    }
}

/// Does what the entry has caused, as much of it as one entry may. Returns what the tasks changed.
pub(super) fn work_off<S: Write>(turn: &mut Turn<'_, S>) -> Result<u64, S> {
    let mut changed = 0;
    while let Some(task) = turn.agenda.tasks.pop() {
        changed += match task {
            Task::HideTags(place, digest, after) => tag::hide(turn, &place, digest, after)?,
            Task::JudgeTags(place, digest, after) => tag::judge(turn, &place, digest, after)?,
            Task::TellParents(place, child) => tell_parents(turn, &place, child)?,
            Task::TellOfBlob(registry, leaf) => tell_of_blob(turn, registry, leaf)?,
            Task::Reconsider(place, digest) => reconsider(turn, &place, digest)?,
            Task::TellOfPushes(place, digest) => notice::settle(turn, &place, digest)?,
            Task::EndCopies => heartbeat::end_copies(turn)?,
            Task::EndWaits(after) => heartbeat::end_waits(turn, &after)?,
            Task::Unbury(shard) => floor::drop_tombstones(turn, shard)?,
            Task::Hear(region, shard) => heartbeat::look_through(turn, region, shard)?,
            Task::SweepRepository(place, from) => repository::sweep(turn, &place, from)?,
        };
    }
    Ok(changed)
}

/// Goes on with what earlier entries left.
pub(super) fn sweep<S: Write>(turn: &mut Turn<'_, S>) -> Result<Reply, S> {
    let Some(mut task) = first_left(turn)? else {
        return Ok(Reply::Nothing);
    };
    let mut objects = 0;
    for _ in 0..PER_ENTRY {
        if let Task::Reconsider(place, digest) = &task {
            let mark = key::unneeded(place.registry, &place.repository).digest(*digest);
            turn.remove(&mark)?;
        }
        turn.agenda.push(task);
        objects += work_off(turn)?;
        // Whatever did not use up what one entry may do is done.
        match first_left(turn)? {
            Some(next) if turn.agenda.left > 0 => task = next,
            _ => break,
        }
    }
    // What comes to nothing would come to nothing for ever.
    Ok(match turn.is_changed() {
        false => Reply::Nothing,
        true => Reply::Collected { objects, bytes: 0 },
    })
}

fn first_left<S: Write>(turn: &Turn<'_, S>) -> Result<Option<Task>, S> {
    for prefix in key::UNFINISHED {
        if let Some(suffix) = turn.suffixes(prefix, 1)?.pop() {
            return task_of(turn, prefix, &suffix).map(Some);
        }
    }
    Ok(None)
}

/// The task that was written down under a key.
fn task_of<S: Write>(turn: &Turn<'_, S>, prefix: &[u8], suffix: &[u8]) -> Result<Task, S> {
    let damaged = || CatalogError::Damaged("place of unfinished work");
    if prefix == key::REMOVED {
        let after = turn.store().get(key::REMOVED, <[u8]>::to_vec);
        let after = after.map_err(CatalogError::Store)?;
        return Ok(Task::EndWaits(after.unwrap_or_default()));
    }
    if prefix == key::UNHEARD {
        let ((region, shard), _) = key::take_shard(suffix).ok_or_else(damaged)?;
        return Ok(Task::Hear(region, shard));
    }
    if prefix == key::UNBURIED {
        let shard = suffix.try_into().map_err(|_| damaged())?;
        return Ok(Task::Unbury(u16::from_be_bytes(shard)));
    }
    let (registry, rest) = key::take_registry(suffix).ok_or_else(damaged)?;
    if prefix == key::RECORDED {
        let (leaf, _) = key::take_digest(rest).ok_or_else(damaged)?;
        return Ok(Task::TellOfBlob(registry, leaf));
    }
    if prefix == key::COVERED {
        let repository = key::parse(rest).ok_or_else(damaged)?;
        let place = Place {
            registry,
            repository,
        };
        let from = turn.read::<Progress>(&[prefix, suffix].concat())?;
        return Ok(Task::SweepRepository(place, from.unwrap_or_default()));
    }
    let (repository, rest) = key::take_repository(rest).ok_or_else(damaged)?;
    let (digest, _) = key::take_digest(rest).ok_or_else(damaged)?;
    let place = Place {
        registry,
        repository,
    };
    if prefix == key::EXPOSED {
        return Ok(Task::TellParents(place, digest));
    }
    if prefix == key::UNNEEDED {
        return Ok(Task::Reconsider(place, digest));
    }
    if prefix == key::UNTOLD {
        return Ok(Task::TellOfPushes(place, digest));
    }
    let row = turn.read::<Sweep>(&[prefix, suffix].concat())?;
    let after = row.and_then(|sweep| sweep.after);
    Ok(if prefix == key::SWEEPS {
        Task::HideTags(place, digest, after)
    } else {
        Task::JudgeTags(place, digest, after)
    })
}

fn tell_parents<S: Write>(turn: &mut Turn<'_, S>, place: &Place, child: Digest) -> Result<u64, S> {
    let waiting = place.waiting_for_child(child);
    let mark = key::exposed(place.registry, &place.repository).digest(child);
    let page = waiters(turn, &waiting)?;
    for suffix in &page {
        let manifest = key::take_digest(suffix);
        let (manifest, _) = manifest.ok_or(CatalogError::Damaged("who waits for a child"))?;
        turn.remove(&waiting.clone().digest(manifest))?;
        standing::hear(turn, place, manifest)?;
    }
    note(turn, &mark, &waiting)?;
    Ok(page.len() as u64)
}

/// Wherever in the registry a blob arrives: who waits for it in a repository has it linked there.
fn tell_of_blob<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    leaf: Digest,
) -> Result<u64, S> {
    let damaged = || CatalogError::Damaged("who waits for a blob");
    let waiting = key::waiting_for_blob(registry, leaf);
    let mark = key::recorded(registry, leaf);
    if !turn.exists(&key::blob(registry, leaf))? {
        // It went again before everybody was told.
        turn.remove(&mark)?;
        return Ok(0);
    }
    let page = waiters(turn, &waiting)?;
    for suffix in &page {
        let (repository, rest) = key::take_repository(suffix).ok_or_else(damaged)?;
        let (manifest, _) = key::take_digest(rest).ok_or_else(damaged)?;
        let place = Place {
            registry,
            repository,
        };
        turn.remove(&place.waiter(leaf, manifest))?;
        let row = turn.read::<Manifest>(&place.manifest(manifest))?;
        link::claim(turn, &place, leaf, row.and_then(|row| row.add))?;
        standing::hear(turn, &place, manifest)?;
    }
    let told = page.len() as u64;
    if told > 0 {
        turn.count_blobs(registry, |usage| usage.awaited -= told)?;
    }
    note(turn, &mark, &waiting)?;
    Ok(told)
}

/// Those who wait, as many as this entry may tell.
fn waiters<S: Write>(turn: &mut Turn<'_, S>, waiting: &Key) -> Result<Vec<Vec<u8>>, S> {
    if !guard::stands(Guard::WaitersAreTold) {
        return Ok(Vec::new());
    }
    let page = turn.suffixes(waiting, turn.agenda.left)?;
    turn.agenda.spend(page.len());
    Ok(page)
}

/// Writes down whether somebody still waits to be told.
fn note<S: Write>(turn: &mut Turn<'_, S>, mark: &Key, waiting: &Key) -> Result<(), S> {
    let is_left = guard::stands(Guard::WaitersAreTold) && !turn.suffixes(waiting, 1)?.is_empty();
    match (is_left, turn.exists(mark)?) {
        (true, false) => turn.put_bytes(mark, &[]),
        (false, true) => turn.remove(mark),
        _ => Ok(()),
    }
}

/// Lets a manifest go that was deleted, and that whoever needed it needs no more.
fn reconsider<S: Write>(turn: &mut Turn<'_, S>, place: &Place, digest: Digest) -> Result<u64, S> {
    let mut cell = Cell::load(turn, place, digest)?;
    if cell.row.is_added() || cell.row.is_absent() {
        return Ok(0);
    }
    if turn.agenda.left == 0 {
        let mark = key::unneeded(place.registry, &place.repository).digest(digest);
        turn.put_bytes(&mark, &[])?;
        return Ok(0);
    }
    let looks = standing::reconsider(turn, &mut cell)?;
    turn.agenda.spend(1 + looks);
    let is_gone = cell.row.is_absent();
    cell.save(turn)?;
    Ok(u64::from(is_gone))
}
