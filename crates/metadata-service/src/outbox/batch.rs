//! Events as records, and how many of them go together.

use meridian_catalog::Outgoing;
use meridian_eventlog::{Record, ShardBatch};
use meridian_proto::encode_envelope;

/// Bytes of events that are published together: an event log takes 16 MiB in one append.
const BATCH_BYTES: usize = 8 << 20;

/// Events to publish together, and the `seq` of the last one of each shard.
#[derive(Default)]
pub(super) struct Batches {
    pub(super) appends: Vec<ShardBatch>,
    pub(super) ends: Vec<(u16, u64)>,
    bytes: usize,
}

// === impl Batches ===

impl Batches {
    /// Adds the first events of a shard, as far as there is room; the very first always has room.
    /// Returns whether there is room for more.
    pub(super) fn add(&mut self, shard: u16, events: &[Outgoing]) -> bool {
        let mut records = Vec::new();
        let mut end = 0;
        let mut has_room = true;
        for event in events {
            let record = record(event);
            let is_first = self.bytes == 0;
            if !is_first && self.bytes + record.size() > BATCH_BYTES {
                has_room = false;
                break;
            }
            self.bytes += record.size();
            end = event.envelope.id.seq;
            records.push(record);
        }
        if !records.is_empty() {
            self.appends.push(ShardBatch { shard, records });
            self.ends.push((shard, end));
        }
        has_room
    }
}

fn record(outgoing: &Outgoing) -> Record {
    let event = &outgoing.envelope;
    // The key is for people who look at the topic; the shard is chosen by number.
    let key = event
        .event
        .repository()
        .map_or_else(String::new, ToString::to_string);
    let record = Record::new(key, encode_envelope(event)).with_header("id", event.id.to_string());
    match &outgoing.trace {
        Some(trace) => record.with_header("traceparent", trace.to_string()),
        None => record,
    }
}

#[cfg(test)]
mod tests {
    use meridian_clock::{Region, Version};
    use meridian_event::{Envelope, Event, EventId, Leaf, RegistryId};
    use meridian_eventlog::MAX_APPEND_BYTES;
    use meridian_oci::{Algorithm, Digest, MediaType};

    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// An event of some 700 KiB, as large as they get.
    fn large(shard: u16, seq: u64) -> Outgoing {
        let leaf = Leaf {
            digest: Digest::of(Algorithm::Sha512, b""),
            size: 1,
        };
        let region: Region = "eu".parse().unwrap();
        let id = EventId {
            region,
            epoch: 1,
            shard,
            seq,
        };
        let envelope = Envelope {
            id,
            version: Version::next(None, 1, region),
            registry: RegistryId::new(Version::next(None, 1, region)),
            event: Event::ManifestPut {
                repository: "team/app".parse().unwrap(),
                manifest: leaf,
                media_type: MediaType::OCI_IMAGE_INDEX,
                tags: Vec::new(),
                blobs: Vec::new(),
                children: vec![leaf; 10_000],
                subject: None,
            },
        };
        Outgoing {
            envelope,
            trace: Some(TRACE.parse().unwrap()),
        }
    }

    #[test]
    fn a_record_says_beside_the_event_which_one_it_is_and_whose_trace_it_is_part_of() {
        let mut outgoing = large(3, 7);
        let header = |outgoing: &Outgoing| {
            let headers = record(outgoing).headers.into_iter();
            headers
                .map(|(name, value)| (name.into_string(), String::from_utf8(value.into()).unwrap()))
                .collect::<Vec<_>>()
        };
        let id = ("id".to_owned(), "eu.1.3.7".to_owned());
        let trace = ("traceparent".to_owned(), TRACE.to_owned());
        assert_eq!(header(&outgoing), [id.clone(), trace]);
        outgoing.trace = None;
        assert_eq!(header(&outgoing), [id]);
    }

    #[test]
    fn a_backlog_of_large_events_is_published_in_appends_that_fit() {
        let mut next = [1_u64; 3];
        let mut appends = 0;
        loop {
            let mut batches = Batches::default();
            for shard in 0..3_u16 {
                let from = next[usize::from(shard)];
                let events: Vec<_> = (from..=20).map(|seq| large(shard, seq)).collect();
                if !batches.add(shard, &events) {
                    break;
                }
            }
            let size: usize = batches.appends.iter().map(ShardBatch::size).sum();
            assert!(size <= MAX_APPEND_BYTES, "{size}");
            for ((shard, end), append) in batches.ends.iter().zip(&batches.appends) {
                let before = next[usize::from(*shard)];
                assert_eq!(append.records.len() as u64, end + 1 - before);
                next[usize::from(*shard)] = end + 1;
            }
            if batches.appends.is_empty() {
                break;
            }
            appends += 1;
        }
        assert_eq!(next, [21; 3]);
        assert!(appends > 3, "{appends}");
    }
}
