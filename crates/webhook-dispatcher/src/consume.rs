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
use meridian_delivery::{LogPage, Offered};
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
/// known of who lives.
pub(crate) async fn run(shell: Arc<Shell>, shard: u16, stop: CancellationToken) {
    let work = async {
        loop {
            match shell.api().take(shard).await {
                Ok(assignment) => {
                    let cursor = assignment.cursor;
                    if let Err(error) = shell.known.refresh(&shell.engine).await {
                        tell(shard, &meridian_error::chain(&error));
                    } else {
                        shell
                            .engine
                            .tell(|engine, now| engine.assign(now, shard, assignment));
                        follow(&shell, shard, cursor).await;
                    }
                }
                Err(error) => tell(shard, &meridian_error::chain(&error)),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    stop.run_until_cancelled(work).await;
    shell.engine.tell(|engine, _| engine.revoke(shard));
}

fn tell(shard: u16, error: &str) {
    tracing::debug!(shard, error, "a shard is not worked on yet");
}

/// Reads on until the shard is somebody else's.
async fn follow(shell: &Shell, shard: u16, mut cursor: Place) {
    loop {
        match read_on(shell, shard, &mut cursor).await {
            End::Elsewhere => return,
            End::Log(error) => tell(shard, &meridian_error::chain(&error)),
            End::Metadata(error) => tell(shard, &error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read_on(shell: &Shell, shard: u16, cursor: &mut Place) -> End {
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
        // Of a kind that is newer than this program, of which nobody can be told.
        if let Some(id) = id_of(record) {
            *cursor = Place::of(&id);
            let place = *cursor;
            shell.engine.tell(|engine, _| engine.skip(shard, place));
        }
        return None;
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

/// Offers what is missing in the log between two places, or passes it over if nobody has it.
async fn close(
    shell: &Shell,
    shard: u16,
    before: Place,
    place: Place,
) -> Result<(), MetadataError> {
    let from = match before.epoch == place.epoch {
        true => before.seq + 1,
        false => 1,
    };
    let range = EventRange {
        shard,
        epoch: place.epoch,
        from,
        to: place.seq - 1,
        max_bytes: REFILL,
    };
    if let Events::Here(events) = shell.ports.replica.events(&range).await?
        && let Some(first) = events.first()
        && first.id.seq == from
    {
        for envelope in &events {
            shell.engine.tell(|engine, _| engine.offer(envelope));
        }
        return Ok(());
    }
    let lost = place.before();
    shell.engine.tell(|engine, _| engine.skip(shard, lost));
    // Before there was a dispatcher nobody kept anything for it.
    if before != Place::default() {
        let events = lost.seq.saturating_sub(from - 1);
        shell.meters.lost.fetch_add(events, Ordering::Relaxed);
        tracing::error!(
            shard,
            events,
            "events are lost, and webhooks are not told of them: neither the event log nor the metadata have them any more"
        );
    }
    Ok(())
}

/// A part of the log behind a place, from that offset on if it is known, and where to go on.
pub(crate) async fn page(
    shell: &Shell,
    shard: u16,
    after: Place,
    from: Option<u64>,
    limit: usize,
) -> Result<(LogPage, u64), ReadError> {
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
    for record in records {
        from = record.offset + 1;
        if let Ok(envelope) = decode_envelope(&record.record.payload) {
            let place = Place::of(&envelope.id);
            if place > page.upto {
                page.upto = place;
                page.events.push(Arc::new(envelope));
            }
        } else if let Some(id) = id_of(&record) {
            page.upto = Place::of(&id).max(page.upto);
        }
    }
    Ok((page, from))
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
