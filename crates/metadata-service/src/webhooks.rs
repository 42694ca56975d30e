//! Webhooks: what is asked of them becomes commands and queries.

use async_trait::async_trait;
use meridian_catalog::{Command, Deliver, NewWebhook, Refusal, Reply, query};
use meridian_clients::replica::{AgentId, Attendance, EventRange, Events, ReplicaApi};
use meridian_clients::webhook::{PutWebhook, Subscriptions, WebhookApi, WebhookError};
use meridian_clients::{ReadError, RequestId};
use meridian_clock::Version;
use meridian_event::webhook::{
    Assignment, DisableReason, DuePage, MessageId, Record, StoredWebhook, Undelivered, WebhookId,
    WebhookName,
};
use meridian_oci::RegistryName;

use crate::group::{Group, Work};
use crate::read::{failed, registry_in};
use crate::service::MetadataService;
use crate::write;

type Result<T> = std::result::Result<T, WebhookError>;

/// What a reply means to whoever asked for something else than to have something done.
fn refused(reply: Reply) -> WebhookError {
    match reply {
        Reply::Refused(Refusal::WebhookUnknown) => WebhookError::Unknown,
        Reply::Refused(Refusal::WebhookExists) => WebhookError::Exists,
        Reply::Refused(Refusal::WebhookChanged) => WebhookError::Changed,
        Reply::Refused(Refusal::TooManyWebhooks { most }) => WebhookError::TooMany { most },
        other => write::refused(other).into(),
    }
}

async fn deliver(group: &Group, step: Deliver) -> Result<Reply> {
    Ok(group.propose(None, Command::Deliver(step)).await?)
}

#[async_trait]
impl WebhookApi for MetadataService {
    async fn list(&self, registry: &RegistryName) -> Result<Vec<StoredWebhook>> {
        let view = self.of_group().read().await?;
        let registry = registry_in(&view, registry)?;
        Ok(query::webhooks(&view, registry).map_err(failed)?)
    }

    async fn put(&self, new: PutWebhook) -> Result<Version> {
        let PutWebhook {
            registry,
            webhook,
            sealed,
            expected,
            most,
            request,
        } = new;
        let command = Command::PutWebhook(Box::new(NewWebhook {
            registry,
            webhook,
            sealed,
            expected,
            most,
        }));
        let request = write::request(request);
        self.has_joined().await?;
        let reply = self.of_group().propose(Some(request), command).await?;
        match (reply, expected) {
            (Reply::Done { version }, _) | (Reply::Nothing, Some(version)) => Ok(version),
            (reply, _) => Err(refused(reply)),
        }
    }

    async fn delete(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        request: RequestId,
    ) -> Result<()> {
        let command = Command::DeleteWebhook {
            registry: registry.clone(),
            name: name.clone(),
        };
        let request = write::request(request);
        match self.of_group().propose(Some(request), command).await? {
            Reply::Done { .. } => Ok(()),
            reply => Err(refused(reply)),
        }
    }

    async fn events(&self, range: &EventRange) -> std::result::Result<Events, ReadError> {
        ReplicaApi::events(self, range).await
    }

    async fn subscriptions(&self, known: Option<Version>) -> Result<Option<Subscriptions>> {
        let view = self.of_group().read().await?;
        let version = query::webhooks_changed(&view).map_err(failed)?;
        if known.is_some() && version == known {
            return Ok(None);
        }
        let webhooks = query::all_webhooks(&view).map_err(failed)?;
        Ok(Some(Subscriptions { version, webhooks }))
    }

    async fn attend(&self, dispatcher: AgentId) -> Result<Attendance> {
        Ok(self.of_group().attend(Work::Webhooks, dispatcher).await?)
    }

    async fn take(&self, shard: u16) -> Result<Assignment> {
        let generation = match deliver(self.of_group(), Deliver::Take { shard }).await? {
            Reply::Taken { generation } => generation,
            reply => return Err(refused(reply)),
        };
        let view = self.of_group().read().await?;
        let assignment = query::assignment(&view, shard).map_err(failed)?;
        let assignment = assignment.filter(|it| it.generation == generation);
        Ok(assignment.ok_or_else(|| ReadError::Unavailable {
            reason: format!("another dispatcher took shard {shard} over at the same time"),
        })?)
    }

    async fn standing(&self, shard: u16) -> Result<Option<Assignment>> {
        let view = self.of_group().read().await?;
        Ok(query::assignment(&view, shard).map_err(failed)?)
    }

    async fn record(&self, record: &Record) -> Result<bool> {
        let step = Deliver::Record(Box::new(record.clone()));
        match deliver(self.of_group(), step).await? {
            Reply::Done { .. } | Reply::Nothing => Ok(true),
            Reply::Refused(Refusal::Superseded) => Ok(false),
            reply => Err(refused(reply)),
        }
    }

    async fn due(
        &self,
        webhook: WebhookId,
        shard: u16,
        until: u64,
        limit: usize,
    ) -> Result<DuePage> {
        let view = self.of_group().read().await?;
        let page = query::due_again(&view, webhook, shard, until, limit);
        Ok(page.map_err(failed)?)
    }

    async fn disable(
        &self,
        webhook: WebhookId,
        since: Version,
        reason: DisableReason,
    ) -> Result<bool> {
        let step = Deliver::Disable {
            webhook,
            since,
            reason,
        };
        match deliver(self.of_group(), step).await? {
            Reply::Done { .. } | Reply::Nothing => Ok(true),
            Reply::Refused(Refusal::WebhookUnknown | Refusal::WebhookChanged) => Ok(false),
            reply => Err(refused(reply)),
        }
    }

    async fn prune(&self, shard: u16, until: u64) -> Result<()> {
        // One entry drops so many; most of the time there is nothing, which need not go through the log.
        loop {
            let view = self.of_group().read().await?;
            if !query::is_prunable(&view, shard, until).map_err(failed)? {
                return Ok(());
            }
            drop(view);
            match deliver(self.of_group(), Deliver::Prune { shard, until }).await? {
                Reply::Collected { .. } => {}
                Reply::Nothing => return Ok(()),
                reply => return Err(refused(reply)),
            }
        }
    }

    async fn undelivered(
        &self,
        webhook: WebhookId,
        after: Option<(u16, MessageId)>,
        limit: usize,
    ) -> Result<Vec<Undelivered>> {
        let view = self.of_group().read().await?;
        Ok(query::undelivered(&view, webhook, after, limit).map_err(failed)?)
    }

    async fn retry(
        &self,
        webhook: WebhookId,
        messages: &[(u16, MessageId)],
        due: u64,
    ) -> Result<u64> {
        let messages = messages.to_vec();
        let step = Deliver::Retry {
            webhook,
            messages,
            due,
        };
        match deliver(self.of_group(), step).await? {
            Reply::Collected { objects, .. } => Ok(objects),
            Reply::Nothing => Ok(0),
            reply => Err(refused(reply)),
        }
    }
}
