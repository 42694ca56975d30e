//! The keys of webhooks, and of what is kept of their delivery.
//!
//! A webhook's id is written as that of a registry, because it is one of the same kind: a version.

use meridian_event::RegistryId;
use meridian_event::webhook::{MessageId, WebhookId, WebhookName};

use super::{Key, split_shard, take_registry, take_u64};

/// Prefix of all names of webhooks; registry and name follow.
pub const WEBHOOKS: &[u8] = b"7";
/// Prefix of all webhooks that are there; registry and name follow.
pub const LIVE_WEBHOOKS: &[u8] = b"8";
/// When a webhook changed last.
pub const WEBHOOKS_CHANGED: &[u8] = b"9";

/// Prefix of the names of a registry's webhooks, deleted ones too; a name follows.
#[must_use]
pub fn webhooks(registry: RegistryId) -> Key {
    Key::start(b'7').registry(registry)
}

/// What a name stands for among the webhooks of a registry.
#[must_use]
pub fn webhook(registry: RegistryId, name: &WebhookName) -> Key {
    webhooks(registry).text(name.as_str())
}

/// Prefix of the webhooks that a registry has; a name follows.
#[must_use]
pub fn live_webhooks(registry: RegistryId) -> Key {
    Key::start(b'8').registry(registry)
}

/// A webhook that a registry has.
#[must_use]
pub fn live_webhook(registry: RegistryId, name: &WebhookName) -> Key {
    live_webhooks(registry).text(name.as_str())
}

/// Under which name a webhook is found.
#[must_use]
pub fn whereabouts(webhook: WebhookId) -> Key {
    Key::start(b'0').webhook(webhook)
}

/// Up to where the events of a shard are told.
#[must_use]
pub fn told(shard: u16) -> Key {
    Key::start(b'+').shard(shard)
}

/// Prefix of the webhooks that are told less of a shard than others; a webhook follows.
#[must_use]
pub fn lanes(shard: u16) -> Key {
    Key::start(b'-').shard(shard)
}

/// Up to where one webhook is told.
#[must_use]
pub fn lane(shard: u16, webhook: WebhookId) -> Key {
    lanes(shard).webhook(webhook)
}

/// Prefix of what of a webhook was not delivered; shard and message follow.
#[must_use]
pub fn undelivered_of(webhook: WebhookId) -> Key {
    Key::start(b'*').webhook(webhook)
}

/// What was not delivered.
#[must_use]
pub fn undelivered(webhook: WebhookId, shard: u16, message: MessageId) -> Key {
    undelivered_of(webhook).shard(shard).message(message)
}

/// Prefix of what of a shard is due again; webhook, milliseconds and message follow.
#[must_use]
pub fn due_again(shard: u16) -> Key {
    Key::start(b'/').shard(shard)
}

/// Prefix of what of a shard and a webhook is due again; milliseconds and message follow.
#[must_use]
pub fn due_again_of(shard: u16, webhook: WebhookId) -> Key {
    due_again(shard).webhook(webhook)
}

/// Prefix of what of a shard is dropped, in the order of the moments; milliseconds, webhook and message follow.
#[must_use]
pub fn dropped(shard: u16) -> Key {
    Key::start(b'=').shard(shard)
}

/// Since when a webhook has seen nothing but failures.
#[must_use]
pub fn failing(webhook: WebhookId) -> Key {
    Key::start(b'~').webhook(webhook)
}

/// Splits a webhook off the front of a key.
#[must_use]
pub fn take_webhook(key: &[u8]) -> Option<(WebhookId, &[u8])> {
    let (id, rest) = take_registry(key)?;
    Some((WebhookId::new(id.version()), rest))
}

/// Reads a message that fills the rest of a key.
#[must_use]
pub fn parse_message(key: &[u8]) -> Option<MessageId> {
    MessageId::from_bytes(key)
}

/// Splits shard and message: what follows a webhook in the key of something that was not delivered.
#[must_use]
pub fn parse_undelivered(key: &[u8]) -> Option<(u16, MessageId)> {
    let (shard, rest) = split_shard(key)?;
    Some((shard, parse_message(rest)?))
}

/// Splits milliseconds and message: what follows a webhook in the key of something that is due again.
#[must_use]
pub fn parse_due_again(key: &[u8]) -> Option<(u64, MessageId)> {
    let (millis, rest) = take_u64(key)?;
    Some((millis, parse_message(rest)?))
}

/// Splits milliseconds, webhook and message: what follows a shard in the key of something that is dropped.
#[must_use]
pub fn parse_dropped(key: &[u8]) -> Option<(u64, WebhookId, MessageId)> {
    let (millis, rest) = take_u64(key)?;
    let (webhook, rest) = take_webhook(rest)?;
    Some((millis, webhook, parse_message(rest)?))
}

// === impl Key ===

impl Key {
    /// Appends a webhook.
    #[must_use]
    pub fn webhook(self, webhook: WebhookId) -> Self {
        self.registry(RegistryId::new(webhook.version()))
    }

    /// Appends a message.
    #[must_use]
    pub fn message(mut self, message: MessageId) -> Self {
        self.0.extend_from_slice(message.as_bytes());
        self
    }
}
