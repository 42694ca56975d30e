//! One client that reads: where it stands, and what comes next.
//!
//! Keeps the invariant that a record is handed out only at the offset that is expected. What lies
//! before it is left over from another place and dropped; what lies behind it is a gap, and ends the
//! read, as does anything that the broker says about the offset. The client then stands nowhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};

use super::client::Telling;
use super::failure::{Failure, is_missing};
use super::message::stored;
use crate::{Outage, StoredRecord, Topic};

/// A client that reads.
pub(super) struct Reader {
    client: Arc<Client>,
    place: Option<Place>,
    /// What was received and did not fit.
    ahead: Option<StoredRecord>,
}

struct Client {
    consumer: StreamConsumer<Telling>,
    /// Counts the moves, so that one that was given up does not undo a later one.
    moves: AtomicU64,
    moving: Mutex<()>,
}

struct Place {
    topic: Topic,
    shard: u16,
    /// The offset that is expected.
    next: u64,
}

/// Why nothing more comes from a place.
#[derive(Debug)]
pub(super) enum Lost {
    /// The offset is outside of the bounds, or was when the broker was asked.
    Offset(Failure),
    /// There is no such topic or shard any more.
    Missing(Failure),
    /// Records are missing: this is the next one that is there.
    Gap(u64),
    /// The broker refuses.
    Refused(Failure),
}

// === impl Reader ===

impl Reader {
    /// Makes a client that stands nowhere. Blocks.
    pub(super) fn new(config: &ClientConfig) -> KafkaResult<Self> {
        Ok(Self {
            client: Arc::new(Client {
                consumer: config.create_with_context(Telling)?,
                moves: AtomicU64::new(0),
                moving: Mutex::default(),
            }),
            place: None,
            ahead: None,
        })
    }

    pub(super) fn is_at(&self, topic: &Topic, shard: u16, from: u64) -> bool {
        let is_at = |it: &Place| it.topic == *topic && it.shard == shard && it.next == from;
        self.place.as_ref().is_some_and(is_at)
    }

    /// Moves to another place. Nothing is asked of a broker yet.
    pub(super) async fn move_to(
        &mut self,
        topic: &Topic,
        shard: u16,
        from: u64,
    ) -> Result<(), Outage> {
        self.leave();
        let (client, name) = (Arc::clone(&self.client), topic.clone());
        let number = client.moves.fetch_add(1, Ordering::SeqCst) + 1;
        let moving = move || client.assign(number, &name, shard, from);
        let moving = tokio::task::spawn_blocking(moving);
        let moved = moving.await.map_err(|_| Outage::Closed)?;
        moved.map_err(Failure::to("move a reader"))?;
        self.place = Some(Place {
            topic: topic.clone(),
            shard,
            next: from,
        });
        Ok(())
    }

    /// Whether a record is here already.
    pub(super) fn has_ready(&mut self) -> bool {
        if self.ahead.is_none() {
            self.ahead = self.receive().now_or_never().and_then(Result::ok);
        }
        self.ahead.is_some()
    }

    /// The next record, as soon as it is there. Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> Result<StoredRecord, Lost> {
        let record = match self.ahead.take() {
            Some(record) => record,
            None => self.receive().await?,
        };
        if let Some(place) = &mut self.place {
            place.next += 1;
        }
        Ok(record)
    }

    /// Gives back the record that came last.
    pub(super) fn give_back(&mut self, record: StoredRecord) {
        if let Some(place) = &mut self.place {
            place.next = record.offset;
            self.ahead = Some(record);
        }
    }

    /// The record at the place.
    async fn receive(&mut self) -> Result<StoredRecord, Lost> {
        loop {
            let received = self.client.consumer.recv().await;
            let judged = self.judge(received.as_ref());
            drop(received);
            match judged {
                Ok(Some(record)) => return Ok(record),
                Ok(None) => {}
                Err(lost) => {
                    self.leave();
                    return Err(lost);
                }
            }
        }
    }

    fn leave(&mut self) {
        self.place = None;
        self.ahead = None;
    }

    /// The expected record, `None` for what is of no concern, or why there will be none.
    fn judge(
        &self,
        received: Result<&BorrowedMessage<'_>, &KafkaError>,
    ) -> Result<Option<StoredRecord>, Lost> {
        let Some(place) = &self.place else {
            return Ok(None);
        };
        let message = match received {
            Ok(message) => message,
            Err(error) => return judge_error(error).map_or(Ok(None), Err),
        };
        let is_ours = message.topic() == place.topic.as_str()
            && message.partition() == i32::from(place.shard);
        match stored(message).filter(|_| is_ours) {
            Some(record) if record.offset == place.next => Ok(Some(record)),
            Some(record) if record.offset > place.next => Err(Lost::Gap(record.offset)),
            _ => Ok(None),
        }
    }
}

// === impl Client ===

impl Client {
    fn assign(&self, number: u64, topic: &Topic, shard: u16, from: u64) -> KafkaResult<()> {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        if self.moves.load(Ordering::SeqCst) != number {
            return Ok(());
        }
        let offset = i64::try_from(from).map_or(Offset::End, Offset::Offset);
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(topic.as_str(), i32::from(shard), offset)?;
        self.consumer.assign(&places)
    }
}

/// What an error says about the place; `None` for what the client gets over by itself.
fn judge_error(error: &KafkaError) -> Option<Lost> {
    let failure = || Failure::to("read")(error.clone());
    let code = error.rdkafka_error_code()?;
    match code {
        RDKafkaErrorCode::AutoOffsetReset
        | RDKafkaErrorCode::OffsetOutOfRange
        | RDKafkaErrorCode::LogTruncation => Some(Lost::Offset(failure())),
        code if is_missing(code) => Some(Lost::Missing(failure())),
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::GroupAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::Authentication
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::BadMessage
        | RDKafkaErrorCode::Fatal => Some(Lost::Refused(failure())),
        _ => None,
    }
}
