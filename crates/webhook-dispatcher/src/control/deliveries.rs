//! What was told, and is told again when somebody asks for it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meridian_event::webhook::{
    Action, Message, MessageId, Status, StoredWebhook, Undelivered, WebhookName,
};
use meridian_event::{EventId, shard_of};
use meridian_oci::{Algorithm, Digest, MediaType, RegistryName};

use super::{ControlError, Controls, Result};
use crate::attempt::Told;
use crate::history::Exchange;
use crate::known::subscription;

/// How many messages are asked for at once that were not delivered.
const PAGE: usize = 500;
/// How many times, at most, to show them.
const PAGES: usize = 20;

/// What a webhook was told lately, and what is kept of it.
#[derive(Debug, Clone)]
pub struct Deliveries {
    /// The newest first.
    pub shown: Vec<Delivery>,
    /// Whether there is more than that, or may be.
    pub has_more: bool,
}

/// What was not delivered, or was lately.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// It was attempted by this dispatcher; the last attempt has what is kept of it, if anything is.
    Attempt(Box<Exchange>, Option<Box<Undelivered>>),
    /// It is kept, to be attempted again or until it is dropped.
    Kept(Box<Undelivered>),
}

/// What became of something that was tried at once.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The request and its answer.
    pub exchange: Exchange,
    /// Whether the receiver took it.
    pub is_taken: bool,
}

/// Which messages to tell again.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayFilter {
    /// Of what happened then or later, in milliseconds since the Unix epoch.
    pub since: Option<u64>,
    /// Of what happened before.
    pub until: Option<u64>,
    /// Only those that no attempt is left for. All that are kept failed.
    pub only_dead: bool,
}

// === impl Controls ===

impl Controls {
    /// Calls the receiver, whatever the webhook is told of, and whether it is enabled.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or its seal cannot be opened here. What the receiver makes of it is no
    /// error.
    pub async fn ping(&self, registry: &RegistryName, name: &WebhookName) -> Result<Tried> {
        let at = self.shell.engine.now();
        let id = MessageId::new(rand::random());
        self.tell(registry, name, Told::Ping(id, at)).await
    }

    /// Calls the receiver with a message that looks like one of what it is told of.
    ///
    /// # Errors
    ///
    /// Those of [`ping`](Self::ping).
    pub async fn test(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        action: Option<Action>,
    ) -> Result<Tried> {
        let stored = self.find(registry, name).await?;
        let webhook = &stored.registration.webhook;
        let action = action.or_else(|| webhook.actions.first().copied());
        let message = Arc::new(self.sample(&stored, action.unwrap_or(Action::Push)));
        self.tell(registry, name, Told::Message(&message, 1)).await
    }

    /// What was told lately, and what is kept, the newest first: no more than that, of as much as is looked at.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub async fn deliveries(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        limit: usize,
    ) -> Result<Deliveries> {
        let stored = self.find(registry, name).await?;
        let webhook = stored.registration.id;
        let exchanges = self.shell.history.of(webhook);
        let (mut rows, mut after, mut has_more) = (Vec::new(), None, false);
        for page in 1..=PAGES {
            let read = self.shell.api().undelivered(webhook, after, PAGE).await?;
            after = read.last().filter(|_| read.len() == PAGE).map(mark);
            rows.extend(read);
            if after.is_none() {
                break;
            }
            has_more = page == PAGES;
        }
        Ok(Deliveries::of(exchanges, rows, limit, has_more))
    }

    /// Tells a message again, now. Returns what became of it; one that is kept is due now, and attempted in its turn.
    ///
    /// # Errors
    ///
    /// When it is neither remembered nor kept, or is kept of a webhook that is disabled.
    pub async fn redeliver(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        message: MessageId,
    ) -> Result<Option<Tried>> {
        let stored = self.find(registry, name).await?;
        let webhook = stored.registration.id;
        let mut after = None;
        loop {
            let rows = self.shell.api().undelivered(webhook, after, PAGE).await?;
            if let Some(row) = rows.iter().find(|row| row.message.id == message) {
                self.again(&stored, &[mark(row)]).await?;
                return Ok(None);
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE => after = Some(mark(last)),
                _ => break,
            }
        }
        let exchanges = self.shell.history.of(webhook);
        let remembered = exchanges.into_iter().find(|it| it.id == message);
        let Some(message) = remembered.and_then(|it| it.message) else {
            let webhook = name.clone();
            return Err(ControlError::MessageUnknown { webhook, message });
        };
        let told = Told::Message(&message, 1);
        self.tell(registry, name, told).await.map(Some)
    }

    /// Has what is kept be due now, and attempted in its turn. Returns how much that is.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or it is disabled.
    pub async fn replay(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        filter: ReplayFilter,
    ) -> Result<u64> {
        let stored = self.find(registry, name).await?;
        check_enabled(&stored)?;
        let webhook = stored.registration.id;
        let (mut after, mut count) = (None, 0);
        loop {
            let rows = self.shell.api().undelivered(webhook, after, PAGE).await?;
            let chosen = rows.iter().filter(|row| filter.covers(row));
            let chosen: Vec<_> = chosen.map(mark).collect();
            if !chosen.is_empty() {
                count += self.again(&stored, &chosen).await?;
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE => after = Some(mark(last)),
                _ => return Ok(count),
            }
        }
    }

    async fn again(&self, stored: &StoredWebhook, marks: &[(u16, MessageId)]) -> Result<u64> {
        check_enabled(stored)?;
        let (webhook, now) = (stored.registration.id, self.shell.engine.now());
        let count = self.shell.api().retry(webhook, marks, now).await?;
        // Another dispatcher that has the shard finds it a little later.
        let shards: BTreeSet<_> = marks.iter().map(|(shard, _)| *shard).collect();
        self.shell.engine.tell(|engine, _| {
            engine.relent(webhook);
            for shard in shards {
                engine.pending(webhook, shard, now);
            }
        });
        Ok(count)
    }

    async fn tell(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        told: Told<'_>,
    ) -> Result<Tried> {
        let stored = self.find(registry, name).await?;
        let credentials = self.open(&stored)?;
        let to = subscription(&stored);
        let (_, exchange) = self.shell.call(&to, &credentials, told).await;
        let is_taken = exchange.attempted.is_taken();
        if is_taken {
            self.shell.engine.tell(|engine, _| engine.relent(to.id));
        }
        Ok(Tried { exchange, is_taken })
    }

    /// A message as it would be if it had happened.
    fn sample(&self, stored: &StoredWebhook, action: Action) -> Message {
        let webhook = &stored.registration.webhook;
        let is_of_image = action != Action::WebhookDisabled;
        let repository = is_of_image.then(|| "test/image".parse().expect("it is a name"));
        let position = EventId {
            region: self.shell.region,
            epoch: 1,
            shard: shard_of(stored.registry, repository.as_ref()),
            seq: 1,
        };
        let is_gone = matches!(action, Action::Delete | Action::ChartDelete | Action::Untag);
        let is_put = is_of_image && !is_gone;
        let is_notice = matches!(action, Action::Replicated | Action::ReplicatedAll);
        let has_tag = is_of_image && action != Action::Delete;
        Message {
            id: MessageId::new(rand::random()),
            action,
            position,
            at: self.shell.engine.now(),
            repository,
            webhook: (!is_of_image).then(|| webhook.name.clone()),
            tag: has_tag.then(|| "test".parse().expect("it is a tag")),
            digest: is_of_image.then(|| Digest::of(Algorithm::Sha256, b"a test of a webhook")),
            size: is_put.then_some(0),
            media_type: is_put.then_some(MediaType::OCI_IMAGE_MANIFEST),
            push: is_notice.then_some(position),
            regions: match action {
                Action::ReplicatedAll => webhook.available_in.iter().copied().collect(),
                _ => Vec::new(),
            },
        }
    }
}

const fn mark(row: &Undelivered) -> (u16, MessageId) {
    (row.message.position.shard, row.message.id)
}

fn check_enabled(stored: &StoredWebhook) -> Result<()> {
    let webhook = &stored.registration.webhook;
    match webhook.status {
        Status::Enabled => Ok(()),
        Status::Disabled => Err(ControlError::Disabled(webhook.name.clone())),
    }
}

// === impl Deliveries ===

impl Deliveries {
    /// Of attempts, the newest first, and of what is kept, the newest, no more than `limit`.
    fn of(attempts: Vec<Exchange>, kept: Vec<Undelivered>, limit: usize, has_more: bool) -> Self {
        let kept = kept.into_iter().map(|row| (row.message.id, Box::new(row)));
        let mut kept: BTreeMap<_, _> = kept.collect();
        let mut all: Vec<_> = attempts
            .into_iter()
            .map(|attempt| {
                let row = kept.remove(&attempt.id);
                (attempt.at, Delivery::Attempt(Box::new(attempt), row))
            })
            .collect();
        // They are kept by shard and message: the newest may be anywhere.
        let unseen = kept.into_values();
        all.extend(unseen.map(|row| (row.message.at, Delivery::Kept(row))));
        all.sort_by_key(|(at, _)| Reverse(*at));
        let has_more = has_more || all.len() > limit;
        all.truncate(limit);
        Self {
            shown: all.into_iter().map(|(_, delivery)| delivery).collect(),
            has_more,
        }
    }
}

// === impl ReplayFilter ===

impl ReplayFilter {
    fn covers(&self, row: &Undelivered) -> bool {
        let at = row.message.at;
        self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at < until)
            && (!self.only_dead || row.due.is_none())
    }
}
