//! What was sent to receivers lately, and what they answered, for people.
//!
//! Keeps no more than so many requests of each webhook, and so many bytes of all, bodies as far as they were read; what was in headers
//! that may be credentials does not show.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meridian_event::webhook::{Action, Message, MessageId, WebhookId};

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// By what the receiver knows the message.
    pub id: MessageId,
    /// What was told; nothing, if it was a ping.
    pub action: Option<Action>,
    /// The message, to tell it again.
    pub message: Option<Arc<Message>>,
    /// The how manieth attempt it was, from 1.
    pub attempt: u8,
    /// When it began, in milliseconds since the Unix epoch.
    pub at: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Where to, without what may be a secret.
    pub uri: String,
    /// Names and values of the request's headers; credentials are masked.
    pub headers: Vec<(String, String)>,
    /// What was sent.
    pub body: String,
    /// What came of it.
    pub attempted: Attempted,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempted {
    /// The receiver answered.
    Answered {
        /// The status.
        status: u16,
        /// Its headers.
        headers: Vec<(String, String)>,
        /// The beginning of its body.
        body: String,
    },
    /// It did not; this is why.
    Failed(String),
}

/// The exchanges.
#[derive(Debug)]
pub(crate) struct History {
    most: usize,
    of: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    of: BTreeMap<WebhookId, Exchanges>,
    bytes: usize,
}

/// Those of one webhook, and about how much they take.
#[derive(Debug, Default)]
struct Exchanges {
    all: VecDeque<Exchange>,
    bytes: usize,
}

/// How many webhooks are remembered.
const WEBHOOKS: usize = 4_096;
/// How much all of it may take, in bytes. Beyond it, whichever webhook takes most loses what is oldest.
const BYTES: usize = 64 << 20;

// === impl Attempted ===

impl Attempted {
    /// Whether the receiver took it.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        matches!(
            self,
            Self::Answered {
                status: 200..=299,
                ..
            }
        )
    }
}

// === impl History ===

impl History {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            of: Mutex::default(),
        }
    }

    pub(crate) fn add(&self, webhook: WebhookId, exchange: Exchange) {
        if self.most == 0 {
            return;
        }
        let mut remembered = self.remembered();
        let Remembered { of, bytes } = &mut *remembered;
        if of.len() >= WEBHOOKS && !of.contains_key(&webhook) {
            return;
        }
        let exchanges = of.entry(webhook).or_default();
        if exchanges.all.len() >= self.most {
            *bytes -= exchanges.forget();
        }
        *bytes += exchanges.add(exchange);
        while *bytes > BYTES
            && let Some(largest) = of.values_mut().max_by_key(|it| it.bytes)
        {
            *bytes -= largest.forget();
        }
    }

    /// Forgets webhooks that are not among these.
    pub(crate) fn retain(&self, is_there: impl Fn(WebhookId) -> bool) {
        let mut remembered = self.remembered();
        remembered.of.retain(|webhook, _| is_there(*webhook));
        remembered.bytes = remembered.of.values().map(|it| it.bytes).sum();
    }

    /// The last of a webhook, the newest first.
    pub(crate) fn of(&self, webhook: WebhookId) -> Vec<Exchange> {
        let remembered = self.remembered();
        let exchanges = remembered.of.get(&webhook).map(|it| it.all.iter().rev());
        exchanges.into_iter().flatten().cloned().collect()
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Exchanges ===

impl Exchanges {
    /// Returns how much it takes.
    fn add(&mut self, exchange: Exchange) -> usize {
        let bytes = exchange.bytes();
        self.bytes += bytes;
        self.all.push_back(exchange);
        bytes
    }

    /// Forgets the oldest, and returns how much that took.
    fn forget(&mut self) -> usize {
        let bytes = self.all.pop_front().map_or(0, |oldest| oldest.bytes());
        self.bytes -= bytes;
        bytes
    }
}

// === impl Exchange ===

impl Exchange {
    /// About how much it takes in memory.
    fn bytes(&self) -> usize {
        let headers = |pairs: &[(String, String)]| -> usize {
            let lengths = pairs.iter().map(|(name, value)| name.len() + value.len());
            lengths.sum::<usize>() + 48 * pairs.len()
        };
        let attempted = match &self.attempted {
            Attempted::Answered {
                headers: given,
                body,
                ..
            } => headers(given) + body.len(),
            Attempted::Failed(why) => why.len(),
        };
        1_024 + self.uri.len() + headers(&self.headers) + self.body.len() + attempted
    }
}
