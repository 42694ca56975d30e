//! What is asked of webhooks, over gRPC.

use std::sync::Arc;

use meridian_clients::grpc::MAX_REPLICA_MESSAGE;
use meridian_clients::grpc::convert::webhook as convert;
use meridian_clients::replica::{AgentId, EventRange};
use meridian_clients::webhook::{PutWebhook, WebhookApi};
use meridian_event::webhook::Record;
use meridian_proto::{shard, text, webhook_id};
use pb::webhooks_server::{Webhooks, WebhooksServer};
use tonic::Status;

use super::{malformed, refused};

/// What is spoken: events as agents ask for them, too.
mod pb {
    pub(super) use meridian_proto::meridian::replication::v1::{
        ListEventsRequest, ListEventsResponse,
    };
    pub(super) use meridian_proto::meridian::webhook::v1::*;
}

type Result<T> = std::result::Result<T, Status>;

/// By which name the health service knows this one.
pub const WEBHOOKS_GRPC_SERVICE: &str = pb::webhooks_server::SERVICE_NAME;

/// A [`WebhookApi`] as a gRPC service. Cheap to clone.
#[derive(Clone)]
pub struct WebhooksAdapter {
    api: Arc<dyn WebhookApi>,
}

/// The gRPC service in front of `api`, for the same region.
#[must_use]
pub fn webhooks_server(api: Arc<dyn WebhookApi>) -> WebhooksServer<WebhooksAdapter> {
    WebhooksServer::new(WebhooksAdapter { api })
        .max_decoding_message_size(MAX_REPLICA_MESSAGE)
        .max_encoding_message_size(MAX_REPLICA_MESSAGE)
}

calls! {
    impl Webhooks for WebhooksAdapter;
    list: ListRequest -> ListResponse;
    put: PutRequest -> PutResponse;
    delete: DeleteRequest -> DeleteResponse;
    list_events: ListEventsRequest -> ListEventsResponse;
    subscriptions: SubscriptionsRequest -> SubscriptionsResponse;
    attend: AttendRequest -> AttendResponse;
    take: TakeRequest -> TakeResponse;
    standing: StandingRequest -> StandingResponse;
    record: RecordRequest -> RecordResponse;
    due: DueRequest -> DueResponse;
    disable: DisableRequest -> DisableResponse;
    prune: PruneRequest -> PruneResponse;
    undelivered: UndeliveredRequest -> UndeliveredResponse;
    retry: RetryRequest -> RetryResponse;
}

async fn list_events(
    api: &dyn WebhookApi,
    request: pb::ListEventsRequest,
) -> Result<pb::ListEventsResponse> {
    let range = EventRange::try_from(request).map_err(malformed)?;
    let events = api.events(&range).await;
    events.map(Into::into).map_err(refused)
}

async fn list(api: &dyn WebhookApi, request: pb::ListRequest) -> Result<pb::ListResponse> {
    let registry = text(&request.registry, "registry").map_err(malformed)?;
    let webhooks = api.list(&registry).await.map_err(refused)?;
    Ok(pb::ListResponse {
        webhooks: convert::webhooks(&webhooks),
    })
}

async fn put(api: &dyn WebhookApi, request: pb::PutRequest) -> Result<pb::PutResponse> {
    let new = PutWebhook::try_from(request).map_err(malformed)?;
    let version = api.put(new).await.map_err(refused)?;
    Ok(pb::PutResponse {
        version: Some(version.into()),
    })
}

async fn delete(api: &dyn WebhookApi, request: pb::DeleteRequest) -> Result<pb::DeleteResponse> {
    let registry = text(&request.registry, "registry").map_err(malformed)?;
    let name = text(&request.name, "name").map_err(malformed)?;
    let request = convert::request_of(&request.request).map_err(malformed)?;
    let deleted = api.delete(&registry, &name, request).await;
    deleted.map_err(refused)?;
    Ok(pb::DeleteResponse {})
}

async fn subscriptions(
    api: &dyn WebhookApi,
    request: pb::SubscriptionsRequest,
) -> Result<pb::SubscriptionsResponse> {
    let known = convert::take_version(request.known).map_err(malformed)?;
    let answer = api.subscriptions(known).await;
    answer.map(convert::subscriptions).map_err(refused)
}

async fn attend(api: &dyn WebhookApi, request: pb::AttendRequest) -> Result<pb::AttendResponse> {
    let attendance = api.attend(AgentId(request.dispatcher)).await;
    let attendance = attendance.map_err(refused)?;
    Ok(pb::AttendResponse {
        dispatchers: attendance.agents.into_iter().map(|it| it.0).collect(),
        is_settled: attendance.is_settled,
    })
}

async fn take(api: &dyn WebhookApi, request: pb::TakeRequest) -> Result<pb::TakeResponse> {
    let number = shard(request.shard).map_err(malformed)?;
    api.take(number).await.map(Into::into).map_err(refused)
}

async fn standing(
    api: &dyn WebhookApi,
    request: pb::StandingRequest,
) -> Result<pb::StandingResponse> {
    let number = shard(request.shard).map_err(malformed)?;
    let standing = api.standing(number).await.map_err(refused)?;
    Ok(pb::StandingResponse {
        standing: standing.map(Into::into),
    })
}

async fn record(api: &dyn WebhookApi, request: pb::RecordRequest) -> Result<pb::RecordResponse> {
    let record = Record::try_from(request).map_err(malformed)?;
    let is_kept = api.record(&record).await.map_err(refused)?;
    Ok(pb::RecordResponse {
        is_refused: !is_kept,
    })
}

async fn due(api: &dyn WebhookApi, request: pb::DueRequest) -> Result<pb::DueResponse> {
    let webhook = webhook_id(request.webhook).map_err(malformed)?;
    let number = shard(request.shard).map_err(malformed)?;
    let limit = convert::undelivered_limit(request.limit);
    let page = api.due(webhook, number, request.until, limit).await;
    page.map(|page| convert::due_page(&page)).map_err(refused)
}

async fn disable(api: &dyn WebhookApi, request: pb::DisableRequest) -> Result<pb::DisableResponse> {
    let (webhook, since, reason) = convert::take_disable_request(request).map_err(malformed)?;
    let is_disabled = api.disable(webhook, since, reason).await;
    let is_disabled = is_disabled.map_err(refused)?;
    Ok(pb::DisableResponse { is_disabled })
}

async fn prune(api: &dyn WebhookApi, request: pb::PruneRequest) -> Result<pb::PruneResponse> {
    let number = shard(request.shard).map_err(malformed)?;
    api.prune(number, request.until).await.map_err(refused)?;
    Ok(pb::PruneResponse {})
}

async fn undelivered(
    api: &dyn WebhookApi,
    request: pb::UndeliveredRequest,
) -> Result<pb::UndeliveredResponse> {
    let webhook = webhook_id(request.webhook).map_err(malformed)?;
    let after = request.after.as_ref().map(convert::take_mark);
    let after = after.transpose().map_err(malformed)?;
    let limit = convert::undelivered_limit(request.limit);
    let rows = api.undelivered(webhook, after, limit).await;
    Ok(pb::UndeliveredResponse {
        rows: rows.map_err(refused)?.iter().map(Into::into).collect(),
    })
}

async fn retry(api: &dyn WebhookApi, request: pb::RetryRequest) -> Result<pb::RetryResponse> {
    let webhook = webhook_id(request.webhook).map_err(malformed)?;
    let marks = request.marks.iter().map(convert::take_mark);
    let marks = marks.collect::<std::result::Result<Vec<_>, _>>();
    let marks = marks.map_err(malformed)?;
    let count = api.retry(webhook, &marks, request.due).await;
    Ok(pb::RetryResponse {
        count: count.map_err(refused)?,
    })
}
