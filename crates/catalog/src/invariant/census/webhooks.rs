//! Webhooks, and what is kept of their delivery, read into maps.

use std::collections::{BTreeMap, BTreeSet};

use meridian_event::RegistryId;
use meridian_event::webhook::{MessageId, Undelivered, WebhookId, WebhookName};

use super::{mark, row};
use crate::key;
use crate::row::{Changed, Failing, Lane, Told, WebhookCell, Whereabouts};

/// Webhooks, and what is kept of their delivery.
#[derive(Debug, Default)]
pub(in crate::invariant) struct Webhooks {
    pub(in crate::invariant) cells: BTreeMap<(RegistryId, WebhookName), WebhookCell>,
    pub(in crate::invariant) live: BTreeSet<(RegistryId, WebhookName)>,
    pub(in crate::invariant) whereabouts: BTreeMap<WebhookId, Whereabouts>,
    pub(in crate::invariant) changed: Option<Changed>,
    pub(in crate::invariant) told: BTreeMap<u16, Told>,
    pub(in crate::invariant) lanes: BTreeMap<(u16, WebhookId), Lane>,
    pub(in crate::invariant) undelivered: BTreeMap<(WebhookId, u16, MessageId), Undelivered>,
    /// By shard, webhook, moment and message.
    pub(in crate::invariant) due: BTreeSet<(u16, WebhookId, u64, MessageId)>,
    /// By shard, moment, webhook and message.
    pub(in crate::invariant) dropped: BTreeSet<(u16, u64, WebhookId, MessageId)>,
    pub(in crate::invariant) failing: BTreeMap<WebhookId, Failing>,
}

// === impl Webhooks ===

impl Webhooks {
    pub(super) fn count(&mut self, kind: u8, rest: &[u8], value: &[u8]) -> Option<()> {
        match kind {
            b'7' => drop(self.cells.insert(webhook_name(rest)?, row(value)?)),
            b'8' => {
                mark(value)?;
                self.live.insert(webhook_name(rest)?);
            }
            b'0' => drop(self.whereabouts.insert(webhook(rest)?, row(value)?)),
            b'9' => self.changed = rest.is_empty().then_some(row(value)?),
            b'+' => {
                let shard = u16::from_be_bytes(rest.try_into().ok()?);
                self.told.insert(shard, row(value)?);
            }
            b'-' => {
                let (shard, rest) = key::split_shard(rest)?;
                self.lanes.insert((shard, webhook(rest)?), row(value)?);
            }
            b'*' => {
                let (webhook, rest) = key::take_webhook(rest)?;
                let (shard, message) = key::parse_undelivered(rest)?;
                self.undelivered
                    .insert((webhook, shard, message), row(value)?);
            }
            b'/' => {
                mark(value)?;
                let (shard, rest) = key::split_shard(rest)?;
                let (webhook, rest) = key::take_webhook(rest)?;
                let (due, message) = key::parse_due_again(rest)?;
                self.due.insert((shard, webhook, due, message));
            }
            b'=' => {
                mark(value)?;
                let (shard, rest) = key::split_shard(rest)?;
                let (until, webhook, message) = key::parse_dropped(rest)?;
                self.dropped.insert((shard, until, webhook, message));
            }
            b'~' => drop(self.failing.insert(webhook(rest)?, row(value)?)),
            _ => return None,
        }
        Some(())
    }
}

fn webhook_name(rest: &[u8]) -> Option<(RegistryId, WebhookName)> {
    let (registry, name) = key::take_registry(rest)?;
    Some((registry, key::parse(name)?))
}

fn webhook(rest: &[u8]) -> Option<WebhookId> {
    let (webhook, rest) = key::take_webhook(rest)?;
    rest.is_empty().then_some(webhook)
}
