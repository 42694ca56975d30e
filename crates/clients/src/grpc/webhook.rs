//! The webhooks of a region over gRPC.

use async_trait::async_trait;
use meridian_clock::Version;
use meridian_event::webhook::{
    Assignment, DisableReason, DuePage, MessageId, Record, StoredWebhook, Undelivered, WebhookId,
    WebhookName,
};
use meridian_oci::RegistryName;
use meridian_proto::meridian::replication::v1::ListEventsRequest;
use meridian_proto::meridian::webhook::v1 as pb;
use meridian_proto::version;
use pb::webhooks_client::WebhooksClient;

use super::call::{Repeat, Unary};
use super::convert::webhook as convert;
use super::{GrpcConfig, MAX_REPLICA_MESSAGE, Ways};
use crate::replica::{AgentId, Attendance, EventRange, Events};

use crate::webhook::{PutWebhook, Subscriptions, WebhookApi, WebhookError};
use crate::{ReadError, RequestId};

/// A [`WebhookApi`] in another process. Cheap to clone; clones share their connection.
#[derive(Debug, Clone)]
pub struct GrpcWebhooks {
    calls: Unary<Client>,
}

type Client = WebhooksClient<Ways>;
type Result<T> = std::result::Result<T, WebhookError>;

// === impl GrpcWebhooks ===

impl GrpcWebhooks {
    /// The service at the other end of `ways`.
    #[must_use]
    pub fn over(ways: impl Into<Ways>, config: &GrpcConfig) -> Self {
        let client = WebhooksClient::new(ways.into())
            .max_decoding_message_size(MAX_REPLICA_MESSAGE)
            .max_encoding_message_size(MAX_REPLICA_MESSAGE);
        Self {
            // Any of this service may be repeated: it reads, sets, or carries a request id.
            calls: Unary::new(client, config.deadline, Repeat::Yes),
        }
    }
}

#[async_trait]
impl WebhookApi for GrpcWebhooks {
    async fn list(&self, registry: &RegistryName) -> Result<Vec<StoredWebhook>> {
        let message = pb::ListRequest {
            registry: registry.to_string(),
        };
        let send = |mut to: Client, request| async move { to.list(request).await };
        let read = |answer: pb::ListResponse| convert::take_webhooks(answer.webhooks);
        self.calls.call(message, send, read).await
    }

    async fn put(&self, new: PutWebhook) -> Result<Version> {
        let message = pb::PutRequest::from(new);
        let send = |mut to: Client, request| async move { to.put(request).await };
        let read = |answer: pb::PutResponse| version(answer.version, "version");
        self.calls.call(message, send, read).await
    }

    async fn delete(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        request: RequestId,
    ) -> Result<()> {
        let message = pb::DeleteRequest {
            registry: registry.to_string(),
            name: name.as_str().to_owned(),
            request: request.0.to_vec().into(),
        };
        let send = |mut to: Client, request| async move { to.delete(request).await };
        self.calls
            .call(message, send, |pb::DeleteResponse {}| Ok(()))
            .await
    }

    async fn events(&self, range: &EventRange) -> std::result::Result<Events, ReadError> {
        let message = ListEventsRequest::from(range);
        let send = |mut to: Client, request| async move { to.list_events(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn subscriptions(&self, known: Option<Version>) -> Result<Option<Subscriptions>> {
        let message = pb::SubscriptionsRequest {
            known: known.map(Into::into),
        };
        let send = |mut to: Client, request| async move { to.subscriptions(request).await };
        self.calls
            .call(message, send, convert::take_subscriptions)
            .await
    }

    async fn attend(&self, dispatcher: AgentId) -> Result<Attendance> {
        let message = pb::AttendRequest {
            dispatcher: dispatcher.0,
        };
        let send = |mut to: Client, request| async move { to.attend(request).await };
        let read = |answer: pb::AttendResponse| {
            Ok(Attendance {
                agents: answer.dispatchers.into_iter().map(AgentId).collect(),
                is_settled: answer.is_settled,
            })
        };
        self.calls.call(message, send, read).await
    }

    async fn take(&self, shard: u16) -> Result<Assignment> {
        let message = pb::TakeRequest {
            shard: shard.into(),
        };
        let send = |mut to: Client, request| async move { to.take(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn standing(&self, shard: u16) -> Result<Option<Assignment>> {
        let message = pb::StandingRequest {
            shard: shard.into(),
        };
        let send = |mut to: Client, request| async move { to.standing(request).await };
        let read = |answer: pb::StandingResponse| {
            let standing = answer.standing.map(TryInto::try_into);
            standing.transpose()
        };
        self.calls.call(message, send, read).await
    }

    async fn record(&self, record: &Record) -> Result<bool> {
        let message = pb::RecordRequest::from(record);
        let send = |mut to: Client, request| async move { to.record(request).await };
        let read = |answer: pb::RecordResponse| Ok(!answer.is_refused);
        self.calls.call(message, send, read).await
    }

    async fn due(
        &self,
        webhook: WebhookId,
        shard: u16,
        until: u64,
        limit: usize,
    ) -> Result<DuePage> {
        let message = pb::DueRequest {
            webhook: Some(webhook.into()),
            shard: shard.into(),
            until,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
        };
        let send = |mut to: Client, request| async move { to.due(request).await };
        self.calls.call(message, send, convert::take_due_page).await
    }

    async fn disable(
        &self,
        webhook: WebhookId,
        since: Version,
        reason: DisableReason,
    ) -> Result<bool> {
        let message = convert::disable_request(webhook, since, reason);
        let send = |mut to: Client, request| async move { to.disable(request).await };
        let read = |answer: pb::DisableResponse| Ok(answer.is_disabled);
        self.calls.call(message, send, read).await
    }

    async fn prune(&self, shard: u16, until: u64) -> Result<()> {
        let message = pb::PruneRequest {
            shard: shard.into(),
            until,
        };
        let send = |mut to: Client, request| async move { to.prune(request).await };
        self.calls
            .call(message, send, |pb::PruneResponse {}| Ok(()))
            .await
    }

    async fn undelivered(
        &self,
        webhook: WebhookId,
        after: Option<(u16, MessageId)>,
        limit: usize,
    ) -> Result<Vec<Undelivered>> {
        let message = pb::UndeliveredRequest {
            webhook: Some(webhook.into()),
            after: after.map(Into::into),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
        };
        let send = |mut to: Client, request| async move { to.undelivered(request).await };
        let read = |answer: pb::UndeliveredResponse| convert::take_undelivered(answer.rows);
        self.calls.call(message, send, read).await
    }

    async fn retry(
        &self,
        webhook: WebhookId,
        messages: &[(u16, MessageId)],
        due: u64,
    ) -> Result<u64> {
        let message = pb::RetryRequest {
            webhook: Some(webhook.into()),
            marks: messages.iter().copied().map(Into::into).collect(),
            due,
        };
        let send = |mut to: Client, request| async move { to.retry(request).await };
        let read = |answer: pb::RetryResponse| Ok(answer.count);
        self.calls.call(message, send, read).await
    }
}
