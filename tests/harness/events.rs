//! What an event log says.

use std::collections::BTreeMap;
use std::time::Duration;

use meridian_event::{Envelope, SHARDS};
use meridian_eventlog::{EventLog, ReadLimits, Topic};
use meridian_proto::decode_envelope;

/// The payload of a record that is no event, and that a test has put into a topic by itself.
pub const NO_EVENT: &[u8] = b"no event";

/// All events of a topic, by shard and in their order, each once. Passes over [`NO_EVENT`].
///
/// # Errors
///
/// When a shard has not each `seq` from the first one on, in order; or one of them twice, and it
/// does not say the same both times.
///
/// # Panics
///
/// When the log cannot be read, or holds what is no event.
pub async fn events(log: &dyn EventLog, topic: &Topic) -> Result<Vec<Envelope>, String> {
    let mut all = Vec::new();
    for shard in 0..SHARDS {
        all.extend(shard_events(log, topic, shard).await?.into_values());
    }
    Ok(all)
}

async fn shard_events(
    log: &dyn EventLog,
    topic: &Topic,
    shard: u16,
) -> Result<BTreeMap<u64, Envelope>, String> {
    let mut events: BTreeMap<u64, Envelope> = BTreeMap::new();
    let mut from = 0;
    loop {
        let limits = ReadLimits {
            records: 1_000,
            bytes: 8 << 20,
            wait: Duration::ZERO,
        };
        let records = log.read(topic, shard, from, limits).await.unwrap();
        let Some(last) = records.last() else {
            return Ok(events);
        };
        from = last.offset + 1;
        for record in records {
            if record.record.payload == NO_EVENT {
                continue;
            }
            let event = decode_envelope(&record.record.payload).unwrap();
            if event.id.shard != shard {
                return Err(format!("{:?} stands in shard {shard}", event.id));
            }
            let next = events.last_key_value().map_or(1, |(seq, _)| seq + 1);
            match events.get(&event.id.seq) {
                Some(first) if *first == event => continue,
                Some(_) => return Err(format!("{:?} says two things", event.id)),
                None if event.id.seq != next => {
                    return Err(format!(
                        "shard {shard} has {} after {}",
                        event.id.seq,
                        next - 1
                    ));
                }
                None => {}
            }
            events.insert(event.id.seq, event);
        }
    }
}
