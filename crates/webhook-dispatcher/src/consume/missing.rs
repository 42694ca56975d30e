//! What the event log lacks, asked of the metadata.
//!
//! Owns the difference between what is still to be had and what nobody has any more: people are told of the latter, once
//! for each who reads it. Leaves to `consume.rs` what is done with it.

use std::sync::atomic::Ordering;

use meridian_clients::ReadError as MetadataError;
use meridian_clients::replica::{EventRange, Events};
use meridian_error::{Classify, Code};
use meridian_event::Envelope;
use meridian_event::webhook::Place;

use super::PAUSE;
use crate::shell::Shell;

/// How many bytes of events are asked for at once.
const REFILL: usize = 1 << 20;
/// How often the metadata are asked for an event that means nothing here: a member that is failing says the same, and
/// another one may lead soon.
const ATTEMPTS: usize = 20;

/// What the metadata have of the events that the log does not, between two places: the first of them, in order,
/// and up to where nobody has any before those. People are told of these.
pub(super) async fn missing(
    shell: &Shell,
    shard: u16,
    before: Place,
    place: Place,
) -> Result<(Place, Vec<Envelope>), MetadataError> {
    let begin = match before.epoch == place.epoch {
        true => before.seq + 1,
        false => 1,
    };
    let last = place.before();
    let mut first = Place { seq: begin, ..last };
    let mut events = asked(shell, shard, first, last.seq, REFILL).await?;
    if events.is_empty() {
        first.seq = first_kept(shell, shard, first, last.seq).await?;
        if first.seq <= last.seq {
            events = asked(shell, shard, first, last.seq, REFILL).await?;
        }
    }
    let lost = first.seq - begin;
    // Before there was a dispatcher nobody kept anything for it.
    if lost > 0 && before != Place::default() {
        shell.meters.lost.fetch_add(lost, Ordering::Relaxed);
        tracing::error!(
            shard,
            events = lost,
            "events are lost, and webhooks are not told of them: neither the event log nor the metadata have them any more"
        );
    }
    let upto = match lost {
        0 => before,
        _ => first.before(),
    };
    Ok((upto, events))
}

/// The `seq` of the first event that the metadata still have; that behind the last, if they have none of these.
async fn first_kept(
    shell: &Shell,
    shard: u16,
    first: Place,
    last: u64,
) -> Result<u64, MetadataError> {
    // What is kept is the end of what there was.
    let (mut gone, mut end) = (first.seq, last + 1);
    while end - gone > 1 {
        let middle = gone + (end - gone) / 2;
        let place = Place {
            seq: middle,
            ..first
        };
        match asked(shell, shard, place, last, 1).await?.is_empty() {
            true => gone = middle,
            false => end = middle,
        }
    }
    Ok(end)
}

/// Asks the metadata for the events from one on, which is among them, or there are none.
async fn asked(
    shell: &Shell,
    shard: u16,
    first: Place,
    last: u64,
    max_bytes: usize,
) -> Result<Vec<Envelope>, MetadataError> {
    let range = EventRange {
        shard,
        epoch: first.epoch,
        from: first.seq,
        to: last,
        max_bytes,
    };
    let is_asked = |events: &Vec<Envelope>| {
        let place = events.first().map(|envelope| Place::of(&envelope.id));
        place == Some(first)
    };
    match shell.api().events(&range).await? {
        Events::Here(events) if is_asked(&events) => Ok(events),
        Events::Here(_) | Events::Gone => Ok(Vec::new()),
    }
}

/// What the metadata have of an event that the log has as something that cannot be read.
pub(super) async fn kept(
    shell: &Shell,
    shard: u16,
    place: Place,
) -> Result<Option<Envelope>, MetadataError> {
    for _ in 0..ATTEMPTS {
        match asked(shell, shard, place, place.seq, 1).await {
            Ok(events) => return Ok(events.into_iter().next()),
            Err(error) if error.code() == Code::Internal => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error),
        }
    }
    // It means nothing there either, nor will it the next time.
    Ok(None)
}
