//! Records as Kafka's messages, and back.

use bytes::Bytes;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Header, Headers, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::{Record, StoredRecord};

/// A message for one partition. An empty key or payload is empty, not absent: an absent payload means
/// a deletion to others who read the topic.
pub(super) fn message<'a, T: rdkafka::util::IntoOpaque>(
    topic: &'a str,
    shard: u16,
    record: &'a Record,
    opaque: T,
) -> BaseRecord<'a, [u8], [u8], T> {
    let message = BaseRecord::with_opaque_to(topic, opaque)
        .partition(i32::from(shard))
        .key(&*record.key)
        .payload(&*record.payload);
    if record.headers.is_empty() {
        return message;
    }
    let add = |headers: OwnedHeaders, (name, value): &(Box<str>, Bytes)| {
        let value = Some(&**value);
        headers.insert(Header { key: name, value })
    };
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    message.headers(record.headers.iter().fold(headers, add))
}

/// What a message holds; `None` if it has no offset.
pub(super) fn stored(message: &BorrowedMessage<'_>) -> Option<StoredRecord> {
    let bytes = |part: Option<&[u8]>| Bytes::copy_from_slice(part.unwrap_or_default());
    let header = |header: Header<'_, &[u8]>| (header.key.into(), bytes(header.value));
    let headers = message.headers();
    Some(StoredRecord {
        offset: u64::try_from(message.offset()).ok()?,
        record: Record {
            key: bytes(message.key()),
            payload: bytes(message.payload()),
            headers: headers.map_or_else(Vec::new, |headers| headers.iter().map(header).collect()),
        },
    })
}
