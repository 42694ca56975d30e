//! What this region tells of pushes elsewhere: that it can serve their images.
//!
//! Keeps the invariant that a push is told of once, in the entry that completes its image, or that merges
//! it if it was complete before. An image that was deleted before it was complete is never told of. Until
//! then the push is written down, by its event and by its manifest.

use meridian_event::{Event, EventId};
use meridian_oci::Digest;

use super::guard::{self, Guard};
use super::manifest::standing::Cell;
use super::place::Place;
use super::turn::Turn;
use super::{Result, heartbeat, outbox};
use crate::row::Push;
use crate::{CatalogError, Write, hold, key};

/// What becomes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outlook {
    Here,
    Coming,
    Gone,
}

/// Tells of the pushes that the entry merged, as far as their images are here.
pub(super) fn tell_of_pushes<S: Write>(turn: &mut Turn<'_, S>) -> Result<(), S> {
    for push in std::mem::take(&mut turn.pushes) {
        let place = Place::new(push.registry, &push.notice.repository);
        let outlook = outlook(turn, &place, push.notice.manifest.digest)?;
        if outlook == Outlook::Here || !guard::stands(Guard::ImagesAreAwaited) {
            tell(turn, push)?;
        } else if outlook == Outlook::Coming {
            let id = push.notice.push;
            turn.put(&incomplete(id), &push)?;
            let waiting = place.pushes_waiting_for(push.notice.manifest.digest);
            turn.put_bytes(&waiting.event(id), &[])?;
        }
    }
    Ok(())
}

/// Tells of the pushes that wait for a manifest, if it is exposed by now, and forgets them if it is gone.
pub(super) fn settle<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
) -> Result<u64, S> {
    let outlook = outlook(turn, place, digest)?;
    let waiting = place.pushes_waiting_for(digest);
    let is_settled = outlook != Outlook::Coming;
    let limit = turn.agenda.left();
    let page = match is_settled {
        true => turn.suffixes(&waiting, limit)?,
        false => Vec::new(),
    };
    turn.agenda.spend(page.len());
    for suffix in &page {
        let id = key::parse_event(suffix);
        let id = id.ok_or(CatalogError::Damaged("push that waits"))?;
        let push = turn.read::<Push>(&incomplete(id))?;
        let push = push.ok_or(CatalogError::Damaged("push"))?;
        turn.remove(&incomplete(id))?;
        turn.remove(&waiting.clone().event(id))?;
        heartbeat::note(turn, id.shard)?;
        if outlook == Outlook::Here {
            tell(turn, push)?;
        }
    }
    let mark = key::untold(place.registry, &place.repository).digest(digest);
    let is_full = is_settled && page.len() == limit;
    let is_left = is_full && !turn.suffixes(&waiting, 1)?.is_empty();
    match (is_left, turn.exists(&mark)?) {
        (true, false) => turn.put_bytes(&mark, &[])?,
        (false, true) => turn.remove(&mark)?,
        _ => {}
    }
    Ok(page.len() as u64)
}

fn outlook<S: Write>(turn: &Turn<'_, S>, place: &Place, digest: Digest) -> Result<Outlook, S> {
    let row = Cell::load(turn, place, digest)?.row;
    if row.is_absent() {
        return Ok(Outlook::Gone);
    }
    if !row.is_exposed() {
        return Ok(Outlook::Coming);
    }
    // What is deleted stays complete until somebody has seen that nothing needs it any more.
    let Place {
        registry,
        repository,
    } = place;
    let cover = turn.cell(place)?.cover();
    let is_present = hold::is_present(turn.store(), *registry, repository, digest, &row, cover)?;
    Ok(match is_present {
        true => Outlook::Here,
        false => Outlook::Gone,
    })
}

fn tell<S: Write>(turn: &mut Turn<'_, S>, push: Push) -> Result<(), S> {
    let notice = Box::new(push.notice);
    let shard = notice.push.shard;
    outbox::notify(turn, shard, push.registry, Event::Replicated(notice))
}

/// Where a push is written down.
fn incomplete(id: EventId) -> key::Key {
    key::incomplete(id.region, id.shard, id.epoch).number(id.seq)
}
