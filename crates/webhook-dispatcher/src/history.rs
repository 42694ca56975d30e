//! What was sent to receivers lately, and what they answered, for people.
//!
//! Keeps no more than so many requests of each webhook, and bodies as far as they were read; what was in headers
//! that may be credentials does not show.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

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
    of: Mutex<BTreeMap<WebhookId, VecDeque<Exchange>>>,
}

/// How many webhooks are remembered.
const WEBHOOKS: usize = 4_096;

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
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if of.len() >= WEBHOOKS && !of.contains_key(&webhook) {
            return;
        }
        let exchanges = of.entry(webhook).or_default();
        if exchanges.len() >= self.most {
            exchanges.pop_front();
        }
        exchanges.push_back(exchange);
    }

    /// Forgets webhooks that are not among these.
    pub(crate) fn retain(&self, is_there: impl Fn(WebhookId) -> bool) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.retain(|webhook, _| is_there(*webhook));
    }

    /// The last of a webhook, the newest first.
    pub(crate) fn of(&self, webhook: WebhookId) -> Vec<Exchange> {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let exchanges = of.get(&webhook).into_iter().flatten().rev();
        exchanges.cloned().collect()
    }
}
