//! Reading the region's own topic.
//!
//! Owns where it is read from: from the place on that the metadata say, which is looked for in the log, because
//! offsets are the log's own. What is missing there is asked of the metadata, which keep it until it is told; what
//! nobody has any more is passed over, and people are told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use meridian_clients::ReadError as MetadataError;
use meridian_clients::replica::{EventRange, Events};
use meridian_delivery::{Dispatcher, LogPage, Offered};
use meridian_event::webhook::Place;
use meridian_event::{Envelope, EventId};
use meridian_eventlog::{ReadError, ReadLimits, StoredRecord, Topic};
use meridian_proto::decode_envelope;
use tokio_util::sync::CancellationToken;

use crate::shell::Shell;

/// How long a read waits for the next record.
const WAIT: Duration = Duration::from_secs(5);
/// How long to wait after something failed.
const PAUSE: Duration = Duration::from_millis(500);
/// How many records are read at once, and how many bytes.
const RECORDS: usize = 512;
const BYTES: usize = 1 << 20;
/// How many bytes of events the metadata are asked for at once.
const REFILL: usize = 1 << 20;

/// Why the topic is not read on.
enum End {
    /// The shard is somebody else's.
    Elsewhere,
    /// The log does not answer.
    Log(ReadError),
    /// The metadata do not.
    Metadata(String),
}

/// Works on a shard until it is stopped: takes it over, and has the engine know all that is in its log from there
/// on. One that another dispatcher took over meanwhile is taken again, as long as it is this one's by what is
/// known of who lives. When the process is to `end`, what is under way in the shard still does, and is recorded.
pub(crate) async fn run(
    shell: Arc<Shell>,
    shard: u16,
    stop: CancellationToken,
    end: CancellationToken,
) {
    let mut taken = None;
    let work = async {
        loop {
            match shell.api().take(shard).await {
                Ok(assignment) => {
                    let (generation, cursor) = (assignment.generation, assignment.cursor);
                    if let Err(error) = shell.known.refresh(&shell.engine).await {
                        tell(shard, &meridian_error::chain(&error));
                    } else {
                        shell
                            .engine
                            .tell(|engine, now| engine.assign(now, shard, assignment));
                        taken = Some(generation);
                        follow(&shell, shard, generation, cursor).await;
                    }
                }
                Err(error) => tell(shard, &meridian_error::chain(&error)),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    stop.run_until_cancelled(work).await;
    if let Some(generation) = taken.filter(|_| !end.is_cancelled()) {
        shell.engine.tell(|engine, _| {
            if engine.works_on(shard, generation) {
                engine.revoke(shard);
            }
        });
    }
}

fn tell(shard: u16, error: &str) {
    tracing::debug!(shard, error, "a shard is not worked on yet");
}

/// Reads on until the shard is somebody else's.
async fn follow(shell: &Shell, shard: u16, generation: u64, mut cursor: Place) {
    loop {
        match read_on(shell, shard, generation, &mut cursor).await {
            End::Elsewhere => return,
            End::Log(error) => tell(shard, &meridian_error::chain(&error)),
            End::Metadata(error) => tell(shard, &error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read_on(shell: &Shell, shard: u16, generation: u64, cursor: &mut Place) -> End {
    let (topic, log) = (Topic::events(shell.region), &shell.ports.log);
    let mut from = match seek(shell, shard, *cursor).await {
        Ok(from) => from,
        Err(error) => return End::Log(error),
    };
    loop {
        let limits = ReadLimits {
            records: RECORDS,
            bytes: BYTES,
            wait: WAIT,
        };
        let records = match log.read(&topic, shard, from, limits).await {
            Ok(records) => records,
            // Retention has passed us. What it took, the metadata are asked for.
            Err(ReadError::OutOfRange { low, .. }) if low > from => {
                from = low;
                continue;
            }
            Err(error) => return End::Log(error),
        };
        // Whoever took the shard over is noticed though nothing happens in it.
        let is_ours = |engine: &Dispatcher| engine.works_on(shard, generation);
        if !shell.engine.look(is_ours) {
            return End::Elsewhere;
        }
        if records.is_empty() {
            continue;
        }
        // After the events were read: who was there at their commits is known then.
        match shell.known.refresh(&shell.engine).await {
            Ok(news) => shell.welcome(&news).await,
            Err(error) => return End::Metadata(meridian_error::chain(&error)),
        }
        for record in records {
            from = record.offset + 1;
            if let Some(end) = offer(shell, shard, &record, cursor).await {
                return end;
            }
        }
    }
}

/// Gives a record to the engine, and what is missing before it.
async fn offer(
    shell: &Shell,
    shard: u16,
    record: &StoredRecord,
    cursor: &mut Place,
) -> Option<End> {
    let Ok(envelope) = decode_envelope(&record.record.payload) else {
        let place = Place::of(&id_of(record)?);
        return match pass(shell, shard, place).await {
            Ok(true) => {
                *cursor = place.max(*cursor);
                None
            }
            Ok(false) => Some(End::Elsewhere),
            Err(error) => Some(End::Metadata(meridian_error::chain(&error))),
        };
    };
    let place = Place::of(&envelope.id);
    loop {
        let offered = shell.engine.tell(|engine, _| engine.offer(&envelope));
        match offered {
            Offered::Taken | Offered::Old => {
                *cursor = place.max(*cursor);
                return None;
            }
            Offered::Elsewhere => return Some(End::Elsewhere),
            Offered::Gap(before) => {
                if let Err(error) = close(shell, shard, before, place).await {
                    return Some(End::Metadata(meridian_error::chain(&error)));
                }
            }
        }
    }
}

/// Passes over a record that cannot be read, unless the metadata still have its event: then it is damaged, and not of
/// a kind that is newer than this program, of which nobody can be told. Says whether the shard is this dispatcher's.
async fn pass(shell: &Shell, shard: u16, place: Place) -> Result<bool, MetadataError> {
    loop {
        let Some(head) = shell.engine.look(|engine| engine.head(shard)) else {
            return Ok(false);
        };
        if place <= head {
            return Ok(true);
        }
        if !place.continues(head) {
            close(shell, shard, head, place).await?;
            continue;
        }
        if let Some(envelope) = asked(shell, shard, place, place.seq, 1).await?.first() {
            shell.engine.tell(|engine, _| engine.offer(envelope));
        }
        shell.engine.tell(|engine, _| engine.skip(shard, place));
    }
}

/// Offers what is missing in the log between two places, or passes it over if nobody has it.
async fn close(
    shell: &Shell,
    shard: u16,
    before: Place,
    place: Place,
) -> Result<(), MetadataError> {
    let (upto, events) = missing(shell, shard, before, place).await?;
    shell.engine.tell(|engine, _| {
        engine.skip(shard, upto);
        for envelope in &events {
            engine.offer(envelope);
        }
    });
    Ok(())
}

/// What the metadata have of the events that the log does not, between two places: the first of them, in order,
/// and up to where nobody has any before those. People are told of these.
async fn missing(
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

/// A part of the log behind a place, from that offset on if it is known, what it does not have any more included as
/// far as the metadata do. And at which offset it was read, and is to be read on.
pub(crate) async fn page(
    shell: &Shell,
    shard: u16,
    after: Place,
    from: Option<u64>,
    limit: usize,
) -> Result<(LogPage, (u64, u64)), ReadError> {
    let (topic, log) = (Topic::events(shell.region), &shell.ports.log);
    let mut from = match from {
        Some(from) => from,
        None => seek(shell, shard, after).await?,
    };
    let limits = ReadLimits {
        records: limit.max(1),
        bytes: BYTES,
        wait: Duration::ZERO,
    };
    let records = match log.read(&topic, shard, from, limits).await {
        Err(ReadError::OutOfRange { low, .. }) if low > from => {
            from = low;
            log.read(&topic, shard, from, limits).await?
        }
        read => read?,
    };
    let mut page = LogPage {
        events: Vec::new(),
        upto: after,
    };
    let first = records.first().map_or(from, |record| record.offset);
    for record in records {
        let decoded = decode_envelope(&record.record.payload).ok();
        let id = decoded.as_ref().map(|it| it.id).or_else(|| id_of(&record));
        let Some(place) = id.map(|id| Place::of(&id)) else {
            continue;
        };
        if place > page.upto && !place.continues(page.upto) {
            let Ok((lost, events)) = missing(shell, shard, page.upto, place).await else {
                break;
            };
            page.upto = events.last().map_or(lost, |last| Place::of(&last.id));
            page.events.extend(events.into_iter().map(Arc::new));
            if !place.continues(page.upto) && page.upto.epoch == place.epoch {
                // There is more of it than is asked for at once.
                break;
            }
        }
        from = record.offset + 1;
        if place > page.upto {
            page.upto = place;
            page.events.extend(decoded.map(Arc::new));
        }
    }
    Ok((page, (first, from)))
}

/// The last record that is not behind a place, or the oldest that is left.
async fn seek(shell: &Shell, shard: u16, cursor: Place) -> Result<u64, ReadError> {
    let topic = Topic::events(shell.region);
    let is_passed = |record: &StoredRecord| place_of(record).map(|place| place <= cursor);
    meridian_eventlog::seek(&*shell.ports.log, &topic, shard, is_passed).await
}

fn place_of(record: &StoredRecord) -> Option<Place> {
    let envelope: Option<Envelope> = decode_envelope(&record.record.payload).ok();
    let id = envelope.map(|it| it.id).or_else(|| id_of(record));
    id.map(|id| Place::of(&id))
}

/// What a record says of itself beside its payload.
fn id_of(record: &StoredRecord) -> Option<EventId> {
    let mut headers = record.record.headers.iter();
    let (_, id) = headers.find(|(name, _)| &**name == "id")?;
    std::str::from_utf8(id).ok()?.parse().ok()
}
