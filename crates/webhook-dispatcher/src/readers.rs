//! Webhooks that fell behind, and where in the log each of them reads.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use meridian_delivery::LogPage;
use meridian_event::webhook::{Place, WebhookId};
use tokio::sync::Semaphore;

use crate::consume;
use crate::shell::Shell;
use crate::trouble::Trouble;

/// How many read at once.
const PAGES: usize = 4;

/// Those who read the log themselves.
pub(crate) struct Readers {
    stand: Mutex<BTreeMap<(WebhookId, u16), Reader>>,
    pages: Semaphore,
}

/// The part of the log that was read last: of what is behind a place, from that offset on, and where it goes on
/// behind its last place.
#[derive(Debug, Clone, Copy)]
struct Reader {
    after: Place,
    first: u64,
    upto: Place,
    next: u64,
}

// === impl Readers ===

impl Readers {
    pub(crate) fn new() -> Self {
        Self {
            stand: Mutex::default(),
            pages: Semaphore::new(PAGES),
        }
    }

    fn stand(&self) -> MutexGuard<'_, BTreeMap<(WebhookId, u16), Reader>> {
        self.stand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Reader ===

impl Reader {
    /// Where what is behind a place begins, or a little before.
    fn offset(self, after: Place) -> Option<u64> {
        if after == self.upto {
            return Some(self.next);
        }
        (self.after <= after && after < self.upto).then_some(self.first)
    }
}

// === impl Shell ===

impl Shell {
    /// A part of the log, for a webhook that fell behind.
    pub(crate) async fn log(
        &self,
        webhook: WebhookId,
        shard: u16,
        after: Place,
        limit: usize,
    ) -> Option<LogPage> {
        // Those that fell behind do not keep the others from what happens now.
        let _permit = self.readers.pages.acquire().await.ok()?;
        let reader = (webhook, shard);
        let stood = self.readers.stand().get(&reader).copied();
        let from = stood.and_then(|stood| stood.offset(after));
        let read = consume::page(self, shard, after, from, limit).await;
        match read {
            Ok((page, (first, next))) => {
                let mut readers = self.readers.stand();
                readers.retain(|(webhook, _), _| self.known.has(*webhook));
                let stands = Reader {
                    after,
                    first,
                    upto: page.upto,
                    next,
                };
                readers.insert(reader, stands);
                Some(page)
            }
            Err(error) => {
                // Offsets of a topic that is made anew are others: it is looked for in the log again.
                self.readers.stand().remove(&reader);
                let trouble = Trouble::new("the event log cannot be read");
                trouble.of_shard(shard).of_webhook(webhook).tell(&error);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use meridian_clock::Version;

    use super::*;
    use crate::stage::{SHARD, Stage, at, record, region};

    #[test]
    fn a_reader_goes_on_where_it_stood_or_reads_the_part_again() {
        let reader = Reader {
            after: at(2),
            first: 10,
            upto: at(5),
            next: 14,
        };
        for (after, offset) in [
            (1, None),
            (2, Some(10)),
            (4, Some(10)),
            (5, Some(14)),
            (6, None),
        ] {
            assert_eq!(reader.offset(at(after)), offset, "after {after}");
        }
    }

    #[tokio::test]
    async fn a_topic_that_was_made_anew_is_read_where_its_events_are() {
        let stage = Stage::new([1, 2, 3].map(record).into()).await;
        let webhook = WebhookId::new(Version::next(None, 7, region()));
        // As the topic was before: it had more records.
        let dead = Reader {
            after: at(0),
            first: 900,
            upto: at(1),
            next: 901,
        };
        let shell = &stage.shell;
        shell.readers.stand().insert((webhook, SHARD), dead);
        assert!(shell.log(webhook, SHARD, at(1), 9).await.is_none());
        let page = shell.log(webhook, SHARD, at(1), 9).await.unwrap();
        assert_eq!((page.events.len(), page.upto), (2, at(3)));
    }
}
