//! Events of ours as records, told apart by a number in their tag.

use meridian_clock::Version;
use meridian_event::{Envelope, Event, EventId, Leaf, RegistryId};
use meridian_eventlog::Record;
use meridian_oci::{Algorithm, Digest};
use meridian_proto::{decode_envelope, encode_envelope};

use super::super::stock::{CONFIG, LAYER, small_manifest};
use crate::client::CallError;
use crate::content::MANIFEST_TYPE;
use crate::kafka::Stream;

/// What a manifest with a number is tagged.
pub(super) fn tag(number: u64) -> String {
    format!("e{number}")
}

/// The number of the manifest that a record is about; nothing for records about something else.
pub(super) fn number_in(record: &Record) -> Option<u64> {
    match decode_envelope(&record.payload).ok()?.event {
        Event::ManifestPut { tags, .. } => {
            let tag = tags.first()?.as_str();
            tag.strip_prefix('e')?.parse().ok()
        }
        _ => None,
    }
}

/// The record that ours would publish for the push of a manifest with this number.
pub(super) fn like_ours(
    number: u64,
    repository: &str,
    shard: u16,
    stream: &Stream,
) -> Result<Record, CallError> {
    let what = "an event";
    let manifest = small_manifest(number);
    // As a clock of today stamps it.
    let version = Version {
        millis: 1_790_000_000_000 + number,
        counter: 0,
        region: stream.region,
    };
    let id = EventId {
        region: stream.region,
        epoch: 1,
        shard,
        seq: number + 1,
    };
    let put = Event::ManifestPut {
        repository: repository.parse().map_err(CallError::of(what))?,
        manifest: Leaf {
            digest: Digest::of(Algorithm::Sha256, &manifest.body),
            size: manifest.body.len() as u64,
        },
        media_type: MANIFEST_TYPE.parse().map_err(CallError::of(what))?,
        tags: vec![tag(number).parse().map_err(CallError::of(what))?],
        blobs: [CONFIG, LAYER].map(leaf).to_vec(),
        children: Vec::new(),
        subject: None,
    };
    let envelope = Envelope {
        id,
        version,
        registry: RegistryId::new(version),
        event: put,
    };
    let record = Record::new(repository.to_owned(), encode_envelope(&envelope));
    Ok(record.with_header("id", id.to_string()))
}

fn leaf(content: &[u8]) -> Leaf {
    Leaf {
        digest: Digest::of(Algorithm::Sha256, content),
        size: content.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_its_number() {
        let stream = Stream {
            brokers: Vec::new(),
            region: "eu".parse().unwrap(),
        };
        let record = like_ours(7, "load/events-1", 3, &stream).unwrap();
        assert_eq!(number_in(&record), Some(7));
        assert_eq!(number_in(&Record::new("", "nonsense")), None);
    }
}
