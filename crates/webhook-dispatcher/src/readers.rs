//! Webhooks that fell behind, and where in the log each of them reads.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use meridian_delivery::LogPage;
use meridian_event::webhook::{Place, WebhookId};
use tokio::sync::Semaphore;

use crate::consume;
use crate::shell::Shell;

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
                let error = meridian_error::chain(&error);
                tracing::debug!(%webhook, shard, error, "the event log cannot be read");
                None
            }
        }
    }
}
