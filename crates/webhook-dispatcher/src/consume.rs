//! Reading the region's own topic.
//!
//! Owns where it is read from: from the place on that the metadata say, which is looked for in the log, because
//! offsets are the log's own. Keeps the promise that the engine relies on: it is offered every event of a shard in
//! order, and all webhooks are known then that were there at its commit. What is missing in the log is had from the
//! metadata (`consume/missing.rs`), which keep it until it is told; what nobody has any more, or can read, is passed
//! over, and people are told. Leaves to the engine who is told of what, and to `readers.rs` where those read that fell
//! behind.

mod missing;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use meridian_clients::ReadError as MetadataError;
use meridian_clients::webhook::WebhookError;
use meridian_delivery::{Dispatcher, LogPage, Offered};
use meridian_error::Classify;
use meridian_event::webhook::Place;
use meridian_event::{Envelope, EventId};
use meridian_eventlog::{ReadError, ReadLimits, StoredRecord, Topic};
use meridian_proto::decode_envelope;
use tokio_util::sync::CancellationToken;

use self::missing::{kept, missing};
use crate::shell::Shell;
use crate::trouble::Trouble;

/// How long a read waits for the next record.
const WAIT: Duration = Duration::from_secs(5);
/// How long to wait after something failed.
const PAUSE: Duration = Duration::from_millis(500);
/// How many records are read at once, and how many bytes.
const RECORDS: usize = 512;
const BYTES: usize = 1 << 20;

/// Why the topic is not read on.
enum End {
    /// The shard is somebody else's.
    Elsewhere,
    /// The log does not answer.
    Log(ReadError),
    /// The metadata do not say what is missing in it.
    Metadata(MetadataError),
    /// Nor which webhooks there are.
    Webhooks(WebhookError),
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
                    if let Err(error) = shell.refresh().await {
                        tell(&shell, shard, &error);
                    } else {
                        shell
                            .engine
                            .tell(|engine, now| engine.assign(now, shard, assignment));
                        taken = Some(generation);
                        follow(&shell, shard, generation, cursor).await;
                    }
                }
                Err(error) => tell(&shell, shard, &error),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    stop.run_until_cancelled(work).await;
    shell.meters.stops.go_on(shard);
    if let Some(generation) = taken.filter(|_| !end.is_cancelled()) {
        shell.engine.tell(|engine, _| {
            if engine.works_on(shard, generation) {
                engine.revoke(shard);
            }
        });
    }
}

fn tell<E: Classify + 'static>(shell: &Shell, shard: u16, error: &E) {
    shell.meters.stops.stop(shard, error);
    let trouble = Trouble::new("a shard is not worked on yet");
    trouble.of_shard(shard).tell(error);
}

/// Reads on until the shard is somebody else's.
async fn follow(shell: &Shell, shard: u16, generation: u64, mut cursor: Place) {
    loop {
        match read_on(shell, shard, generation, &mut cursor).await {
            End::Elsewhere => return,
            End::Log(error) => tell(shell, shard, &error),
            End::Metadata(error) => tell(shell, shard, &error),
            End::Webhooks(error) => tell(shell, shard, &error),
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
            shell.meters.stops.go_on(shard);
            continue;
        }
        // After the events were read: who was there at their commits is known then.
        if let Err(error) = shell.refresh().await {
            return End::Webhooks(error);
        }
        for record in records {
            from = record.offset + 1;
            if let Some(end) = offer(shell, shard, &record, cursor).await {
                return end;
            }
        }
        shell.meters.stops.go_on(shard);
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
            Err(error) => Some(End::Metadata(error)),
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
                    return Some(End::Metadata(error));
                }
            }
        }
    }
}

/// Passes over a record that cannot be read, unless the metadata still have its event, and that can be: then the record
/// is damaged, and the event not of a kind that is newer than this program, of which nobody can be told. Says whether
/// the shard is this dispatcher's.
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
        if let Some(envelope) = kept(shell, shard, place).await? {
            shell.engine.tell(|engine, _| engine.offer(&envelope));
        } else {
            shell.meters.unreadable.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                shard,
                epoch = place.epoch,
                seq = place.seq,
                "an event cannot be read, and webhooks are not told of it: it is damaged, or newer than this program"
            );
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
        if place > page.upto {
            let event = match decoded {
                Some(event) => Some(event),
                None => match kept(shell, shard, place).await {
                    Ok(event) => event,
                    Err(_) => break,
                },
            };
            page.upto = place;
            page.events.extend(event.map(Arc::new));
        }
        from = record.offset + 1;
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

#[cfg(test)]
mod tests;
