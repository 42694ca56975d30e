//! What the regions tell each other of how far they are, and what comes of it.
//!
//! Owns who the other regions are, the marks that this one sends, and the last ones that it heard. Keeps
//! the invariant that a push here is told of once all the regions have completed its image that there were
//! at the push and that are there still; one whose image went before, or whose tags all point elsewhere by
//! then, is never told of. A shard has a heartbeat only when there is something new to say of it.

use meridian_clock::{Region, Version};
use meridian_event::{Event, EventId, Mark, Notice, RegistryId, SHARDS};

use super::agenda::Task;
use super::guard::{self, Guard};
use super::manifest::check;
use super::manifest::standing::Cell;
use super::place::Place;
use super::turn::Turn;
use super::{Result, floor, meet, outbox, tag};
use crate::key::{self, Key};
use crate::row::{Copied, Cursor, Heard, Peers, Push};
use crate::{CatalogError, Reply, Usage, Write};

/// Says which other regions there are. What waits for one that is not among them waits no more.
pub(super) fn set_peers<S: Write>(turn: &mut Turn<'_, S>, regions: &[Region]) -> Result<Reply, S> {
    let here = turn.system.region;
    let mut regions = regions.to_vec();
    regions.retain(|region| *region != here);
    regions.sort_unstable();
    regions.dedup();
    let old = peers(turn)?;
    if old == regions && (regions.is_empty() || turn.exists(key::OWN)?) {
        return Ok(Reply::Nothing);
    }
    let removed = old.iter().filter(|region| !regions.contains(region));
    for region in removed.clone() {
        forget(turn, *region)?;
    }
    if removed.count() > 0 {
        turn.agenda.push(Task::EndWaits(Vec::new()));
    }
    for shard in 0..SHARDS {
        for region in &regions {
            if turn.exists(&key::cursor(*region, shard))? {
                note(turn, shard)?;
            }
        }
    }
    meet::prepare(turn, &old, &regions)?;
    turn.put(key::PEERS, &Peers { regions })?;
    Ok(Reply::Done {
        version: turn.version,
    })
}

/// Forgets what another region said of this one.
pub(super) fn forget<S: Write>(turn: &mut Turn<'_, S>, region: Region) -> Result<(), S> {
    for shard in 0..SHARDS {
        for key in [key::heard(region, shard), key::unheard(region, shard)] {
            if turn.exists(&key)? {
                turn.remove(&key)?;
            }
        }
    }
    Ok(())
}

/// Has pushes wait no more for regions that were removed, from after one of them on.
pub(super) fn end_waits<S: Write>(turn: &mut Turn<'_, S>, after: &[u8]) -> Result<u64, S> {
    let (limit, regions) = (turn.agenda.left(), peers(turn)?);
    let page = turn.suffixes_after(key::AWAITED, after, limit)?;
    turn.agenda.spend(page.len());
    for suffix in &page {
        let id = key::parse_awaited(suffix).ok_or(CatalogError::Damaged("push that waits"))?;
        let id = event_here(turn, id);
        end_wait(turn, id, |region| !regions.contains(&region), true)?;
    }
    let is_left = page.len() == limit;
    match page.last().map_or(after, Vec::as_slice) {
        after if is_left => turn.put_bytes(key::REMOVED, after)?,
        _ if turn.exists(key::REMOVED)? => turn.remove(key::REMOVED)?,
        _ => {}
    }
    Ok(page.len() as u64)
}

/// Notes that there is something to say of a shard.
pub(super) fn note<S: Write>(turn: &mut Turn<'_, S>, shard: u16) -> Result<(), S> {
    let key = key::to_tell(shard);
    if turn.exists(&key)? {
        return Ok(());
    }
    turn.put_bytes(&key, &[])
}

/// Says it, of every shard of which there is something to say, or of all.
pub(super) fn beat<S: Write>(turn: &mut Turn<'_, S>, is_full: bool) -> Result<Reply, S> {
    let regions = peers(turn)?;
    let mut objects = 0;
    for shard in 0..SHARDS {
        let key = key::to_tell(shard);
        let has_news = turn.exists(&key)?;
        if has_news {
            turn.remove(&key)?;
        }
        if !has_news && !is_full {
            continue;
        }
        let mut marks = Vec::new();
        for region in &regions {
            marks.extend(mark(turn, *region, shard)?);
        }
        if !marks.is_empty() {
            let heartbeat = Event::Heartbeat { marks };
            outbox::notify(turn, shard, RegistryId::first(), heartbeat)?;
            objects += 1;
        }
    }
    Ok(match turn.is_changed() {
        false => Reply::Nothing,
        true => Reply::Collected { objects, bytes: 0 },
    })
}

/// How far this region is with a shard of another one.
fn mark<S: Write>(turn: &Turn<'_, S>, origin: Region, shard: u16) -> Result<Option<Mark>, S> {
    let Some(cursor) = turn.read::<Cursor>(&key::cursor(origin, shard))? else {
        return Ok(None);
    };
    let copied = turn.read::<Copied>(&key::copied(origin, shard))?;
    let incomplete = key::incomplete(origin, shard, cursor.epoch);
    let mut except = seqs(turn, &incomplete, 0, Mark::EXCEPTIONS + 1)?;
    let complete = match except.get(Mark::EXCEPTIONS) {
        Some(next) => next - 1,
        None => cursor.seq,
    };
    except.truncate(Mark::EXCEPTIONS);
    Ok(Some(Mark {
        origin,
        epoch: cursor.epoch,
        merged: cursor.seq,
        version: cursor.version,
        copied: copied.map_or(0, |copied| copied.seq),
        complete,
        except,
    }))
}

/// Notes that a shard was copied up to there.
pub(super) fn copied<S: Write>(
    turn: &mut Turn<'_, S>,
    origin: Region,
    shard: u16,
    seq: u64,
) -> Result<(), S> {
    turn.put(&key::copied(origin, shard), &Copied { seq })?;
    turn.agenda.push(Task::EndCopies);
    note(turn, shard)
}

/// Ends what is remembered of copies, if everything that came with them is here.
pub(super) fn end_copies<S: Write>(turn: &mut Turn<'_, S>) -> Result<u64, S> {
    let copied = turn.suffixes(key::COPIED, usize::MAX)?;
    if copied.is_empty() {
        return Ok(0);
    }
    for registry in turn.suffixes(key::USAGE, usize::MAX)? {
        let usage = turn.read::<Usage>(&[key::USAGE, &registry].concat())?;
        if usage.is_some_and(|usage| usage.unexposed > 0) {
            return Ok(0);
        }
    }
    for suffix in &copied {
        let (of, _) = key::take_shard(suffix).ok_or(CatalogError::Damaged("copied shard"))?;
        turn.remove(&key::copied(of.0, of.1))?;
        note(turn, of.1)?;
    }
    Ok(copied.len() as u64)
}

/// Takes in what another region says of this one.
pub(super) fn hear<S: Write>(
    turn: &mut Turn<'_, S>,
    (region, shard): (Region, u16),
    version: Version,
    marks: &[Mark],
) -> Result<(), S> {
    let stream = outbox::stream(turn, shard)?;
    let here = turn.system.region;
    let past = floor::past(turn, (region, version), marks)?;
    let mut marks = marks.iter();
    let mark = marks.find(|it| it.origin == here && it.epoch == stream.epoch);
    let Some(mut mark) = mark.cloned() else {
        return Ok(());
    };
    if !peers(turn)?.contains(&region) {
        return Ok(());
    }
    // Nobody has what is not committed yet.
    mark.merged = mark.merged.min(stream.next - 1);
    mark.complete = mark.complete.min(mark.merged);
    let key = key::heard(region, shard);
    let old = turn.read::<Heard>(&key)?;
    let old = old.filter(|old| old.mark.epoch == mark.epoch);
    let (seen, owed) = old.map_or((0, Vec::new()), |old| (old.seen, old.owed));
    let heard = Heard {
        version,
        mark,
        seen,
        owed,
        past,
    };
    turn.put(&key, &heard)?;
    turn.agenda.push(Task::Hear(region, shard));
    floor::raise(turn, shard)?;
    outbox::trim(turn, shard, outbox::PER_ENTRY).map(drop)
}

/// Looks for images that another region has completed since it was last looked, as many as this entry may.
/// What it has said once it need not say again: marks fall when it copies the state of this region.
pub(super) fn look_through<S: Write>(
    turn: &mut Turn<'_, S>,
    region: Region,
    shard: u16,
) -> Result<u64, S> {
    let heard_key = key::heard(region, shard);
    let unheard = key::unheard(region, shard);
    let Some(mut heard) = turn.read::<Heard>(&heard_key)? else {
        if turn.exists(&unheard)? {
            turn.remove(&unheard)?;
        }
        return Ok(0);
    };
    let mark = heard.mark.clone();
    let limit = turn.agenda.left();
    let mut page = Vec::new();
    if heard.seen < mark.complete {
        page = seqs(turn, &key::awaited(shard, mark.epoch), heard.seen, limit)?;
    }
    let is_full = heard.seen < mark.complete && page.len() == limit;
    page.retain(|seq| *seq <= mark.complete);
    turn.agenda.spend(page.len());
    let last = page.last().copied().unwrap_or(heard.seen);
    let is_left = is_full && (page.len() == limit) && last < mark.complete;
    heard.seen = match is_left {
        true => last,
        false => mark.complete.max(heard.seen),
    };
    let owed = std::mem::take(&mut heard.owed).into_iter().chain(page);
    let (complete, owed): (Vec<_>, Vec<_>) = owed.partition(|seq| mark.is_complete(*seq));
    heard.owed = owed;
    turn.put(&heard_key, &heard)?;
    match (is_left, turn.exists(&unheard)?) {
        (true, false) => turn.put_bytes(&unheard, &[])?,
        (false, true) => turn.remove(&unheard)?,
        _ => {}
    }
    for seq in &complete {
        let id = event_here(turn, (shard, mark.epoch, *seq));
        end_wait(turn, id, |it| it == region, false)?;
    }
    Ok(complete.len() as u64)
}

/// Up to which event every other region has merged a shard of this one, as far as it has said so.
pub(super) fn merged_everywhere<S: Write>(
    turn: &Turn<'_, S>,
    shard: u16,
    epoch: u64,
) -> Result<u64, S> {
    let mut lowest = u64::MAX;
    for region in peers(turn)? {
        let heard = turn.read::<Heard>(&key::heard(region, shard))?;
        let mark = heard.filter(|heard| heard.mark.epoch == epoch);
        lowest = lowest.min(mark.map_or(0, |heard| heard.mark.merged));
    }
    Ok(lowest)
}

/// Writes down that a push is to be told of once the other regions have completed it.
pub(super) fn await_others<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    notice: Notice,
) -> Result<(), S> {
    let regions = peers(turn)?;
    if regions.is_empty() {
        return Ok(());
    }
    let key = awaited(notice.push);
    let push = Push {
        registry,
        notice,
        waits: regions.clone(),
        regions,
    };
    turn.put(&key, &push)
}

/// Has a push wait no more for some regions, because they have completed it or were removed. Tells of it if it
/// waits for none any more; one that was removed meanwhile has not completed it, though it come back.
fn end_wait<S: Write>(
    turn: &mut Turn<'_, S>,
    id: EventId,
    is_over: impl Fn(Region) -> bool,
    was_removed: bool,
) -> Result<(), S> {
    let Some(mut push) = turn.read::<Push>(&awaited(id))? else {
        return Ok(());
    };
    let waited = push.waits.len();
    push.waits.retain(|region| !is_over(*region));
    if push.waits.len() == waited {
        return Ok(());
    }
    if was_removed {
        push.regions.retain(|region| !is_over(*region));
    }
    if !push.waits.is_empty() && guard::stands(Guard::AllAreAwaited) {
        return turn.put(&awaited(id), &push);
    }
    turn.remove(&awaited(id))?;
    if is_superseded(turn, push.registry, &push.notice)? {
        return Ok(());
    }
    let peers = peers(turn)?;
    let mut regions = push.regions;
    regions.retain(|region| peers.contains(region));
    let event = Event::ReplicatedAll {
        notice: Box::new(push.notice),
        regions,
    };
    outbox::notify(turn, id.shard, push.registry, event)
}

/// An event of this region.
fn event_here<S: Write>(turn: &Turn<'_, S>, (shard, epoch, seq): (u16, u64, u64)) -> EventId {
    EventId {
        region: turn.system.region,
        epoch,
        shard,
        seq,
    }
}

/// Whether the image is gone, or none of the tags that the push pointed at it points there any more.
fn is_superseded<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    notice: &Notice,
) -> Result<bool, S> {
    let place = Place::new(registry, &notice.repository);
    let digest = notice.manifest.digest;
    let row = Cell::load(turn, &place, digest)?.row;
    if !row.is_exposed() || !check::is_present(turn, &place, digest, &row)? {
        return Ok(true);
    }
    for name in &notice.tags {
        if tag::points_at(turn, &place, name)? == Some(digest) {
            return Ok(false);
        }
    }
    Ok(!notice.tags.is_empty())
}

/// The other regions.
pub(super) fn peers<S: Write>(turn: &Turn<'_, S>) -> Result<Vec<Region>, S> {
    let peers = turn.read::<Peers>(key::PEERS)?;
    Ok(peers.unwrap_or_default().regions)
}

/// The numbers that fill the rest of keys, after one of them.
fn seqs<S: Write>(
    turn: &Turn<'_, S>,
    prefix: &Key,
    after: u64,
    limit: usize,
) -> Result<Vec<u64>, S> {
    let suffixes = turn.suffixes_after(prefix, &after.to_be_bytes(), limit)?;
    let seqs = suffixes.iter().map(|suffix| match key::take_u64(suffix) {
        Some((seq, [])) => Some(seq),
        _ => None,
    });
    let seqs: Option<Vec<u64>> = seqs.collect();
    seqs.ok_or(CatalogError::Damaged("seq of a push"))
}

fn awaited(id: EventId) -> Key {
    key::awaited(id.shard, id.epoch).number(id.seq)
}
