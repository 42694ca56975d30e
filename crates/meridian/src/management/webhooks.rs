//! Webhooks, as resources.
//!
//! | | |
//! |---|---|
//! | `GET`, `POST /v1/webhooks` | all of them; one more |
//! | `GET`, `PATCH`, `DELETE /v1/webhooks/{name}` | one of them |
//! | `GET /v1/webhooks/{name}/callback-config` | how it is called, secrets included |
//! | `POST /v1/webhooks/{name}/secrets` | replaces its secret |
//! | `POST /v1/webhooks/{name}/pings`, `…/tests` | calls its receiver now |
//! | `GET /v1/webhooks/{name}/events` | what was told lately, and what is kept |
//! | `POST /v1/webhooks/{name}/events/{id}/redeliveries` | tells something again |
//! | `POST /v1/webhooks/{name}/replays` | tells again what is kept |
//! | `POST /v1/webhook-reseals` | seals all with the newest key |
//!
//! Any process of the region that runs `webhooks` can be asked; what was told lately is known to the one that told
//! it.

use axum::Json;
use axum::extract::State;
use meridian_webhook_dispatcher::{Controls, ReplayFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Management;
use super::extract::{Asked, Named, Sent};
use super::forms::{
    CallbackConfig, Created, Deliveries, DeliveriesQuery, NewSecret, Redelivered, Replay, Replayed,
    Resealed, TestOf, Tried, WebhookForm, WebhookPatch, WebhookView, Webhooks, moment,
};
use super::problem::{Kind, Problem};

pub(super) fn routes() -> OpenApiRouter<Management> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(callback))
        .routes(routes!(rotate))
        .routes(routes!(ping))
        .routes(routes!(test))
        .routes(routes!(deliveries))
        .routes(routes!(redeliver))
        .routes(routes!(replay))
        .routes(routes!(reseal))
}

type Result<T> = std::result::Result<Json<T>, Problem>;

/// All webhooks of the registry
#[utoipa::path(get, path = "/v1/webhooks", operation_id = "list_webhooks", tag = "webhooks",
    responses((status = 200, description = "By name", body = Webhooks)))]
async fn list(State(management): State<Management>) -> Result<Webhooks> {
    let all = controls(&management)?.list(&management.registry).await;
    let all = all.map_err(|error| Problem::of(&error))?;
    Ok(Json(Webhooks {
        webhooks: all.into_iter().map(Into::into).collect(),
    }))
}

/// Create a webhook
#[utoipa::path(post, path = "/v1/webhooks", operation_id = "create_webhook", tag = "webhooks", request_body = WebhookForm,
    responses((status = 200, description = "The webhook, and its secret, which is shown this once", body = Created)))]
async fn create(
    State(management): State<Management>,
    Sent(form): Sent<WebhookForm>,
) -> Result<Created> {
    let new = form.read()?;
    let created = controls(&management)?.create(&management.registry, new);
    let (webhook, secret) = created.await.map_err(|error| Problem::of(&error))?;
    Ok(Json(Created {
        webhook: webhook.into(),
        secret,
    }))
}

/// A webhook
#[utoipa::path(get, path = "/v1/webhooks/{name}", operation_id = "get_webhook", tag = "webhooks",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The webhook", body = WebhookView)))]
async fn show(State(management): State<Management>, Named(name): Named) -> Result<WebhookView> {
    let name = named(&name)?;
    let webhook = controls(&management)?.show(&management.registry, &name);
    let webhook = webhook.await.map_err(|error| Problem::of(&error))?;
    Ok(Json(webhook.into()))
}

/// Change a webhook
#[utoipa::path(patch, path = "/v1/webhooks/{name}", operation_id = "update_webhook", tag = "webhooks", request_body = WebhookPatch,
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The webhook as it is now", body = WebhookView)))]
async fn update(
    State(management): State<Management>,
    Named(name): Named,
    Sent(patch): Sent<WebhookPatch>,
) -> Result<WebhookView> {
    let delta = patch.read()?;
    let name = named(&name)?;
    let webhook = controls(&management)?.update(&management.registry, &name, &delta);
    let webhook = webhook.await.map_err(|error| Problem::of(&error))?;
    Ok(Json(webhook.into()))
}

/// Delete a webhook
#[utoipa::path(delete, path = "/v1/webhooks/{name}", operation_id = "delete_webhook", tag = "webhooks",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "Those that are left", body = Webhooks)))]
async fn delete(State(management): State<Management>, Named(name): Named) -> Result<Webhooks> {
    let name = named(&name)?;
    let deleted = controls(&management)?.delete(&management.registry, &name);
    deleted.await.map_err(|error| Problem::of(&error))?;
    list(State(management)).await
}

/// How a webhook is called
#[utoipa::path(get, path = "/v1/webhooks/{name}/callback-config", operation_id = "get_webhook_callback", tag = "webhooks",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "With what may be a secret", body = CallbackConfig)))]
async fn callback(
    State(management): State<Management>,
    Named(name): Named,
) -> Result<CallbackConfig> {
    let name = named(&name)?;
    let callback = controls(&management)?.callback(&management.registry, &name);
    let callback = callback.await.map_err(|error| Problem::of(&error))?;
    Ok(Json(callback.into()))
}

/// Replace the secret of a webhook
#[utoipa::path(post, path = "/v1/webhooks/{name}/secrets", operation_id = "rotate_webhook_secret", tag = "webhooks",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The new one, which is shown this once", body = NewSecret)))]
async fn rotate(State(management): State<Management>, Named(name): Named) -> Result<NewSecret> {
    let name = named(&name)?;
    let secret = controls(&management)?.rotate(&management.registry, &name);
    let secret = secret.await.map_err(|error| Problem::of(&error))?;
    Ok(Json(NewSecret { secret }))
}

/// Call the receiver of a webhook
#[utoipa::path(post, path = "/v1/webhooks/{name}/pings", operation_id = "ping_webhook", tag = "webhooks",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "What the receiver made of it", body = Tried)))]
async fn ping(State(management): State<Management>, Named(name): Named) -> Result<Tried> {
    let name = named(&name)?;
    let tried = controls(&management)?.ping(&management.registry, &name);
    let tried = tried.await.map_err(|error| Problem::of(&error))?;
    Ok(Json(tried.into()))
}

/// Tell the receiver of a webhook something that looks like what it is told of
#[utoipa::path(post, path = "/v1/webhooks/{name}/tests", operation_id = "test_webhook", tag = "webhooks", request_body = TestOf,
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "What the receiver made of it", body = Tried)))]
async fn test(
    State(management): State<Management>,
    Named(name): Named,
    Sent(of): Sent<TestOf>,
) -> Result<Tried> {
    let name = named(&name)?;
    let action = of.action.as_deref().map(str::parse).transpose();
    let action = action.map_err(|why| Problem::new(Kind::Malformed, format!("action: {why}")))?;
    let tried = controls(&management)?.test(&management.registry, &name, action);
    let tried = tried.await.map_err(|error| Problem::of(&error))?;
    Ok(Json(tried.into()))
}

/// What a webhook was told lately, and what is kept
#[utoipa::path(get, path = "/v1/webhooks/{name}/events", operation_id = "list_webhook_events", tag = "webhooks",
    params(("name" = String, Path, description = "Its name"), DeliveriesQuery),
    responses((status = 200, description = "The newest first", body = Deliveries)))]
async fn deliveries(
    State(management): State<Management>,
    Named(name): Named,
    Asked(query): Asked<DeliveriesQuery>,
) -> Result<Deliveries> {
    let name = named(&name)?;
    if !(1..=1000).contains(&query.limit) {
        return Err(Problem::new(Kind::Malformed, "`limit` is 1 to 1000"));
    }
    let all = controls(&management)?.deliveries(&management.registry, &name, query.limit);
    let all = all.await.map_err(|error| Problem::of(&error))?;
    Ok(Json(all.into()))
}

/// Tell a webhook something again
#[utoipa::path(post, path = "/v1/webhooks/{name}/events/{id}/redeliveries", operation_id = "redeliver_webhook_event", tag = "webhooks",
    params(
        ("name" = String, Path, description = "The name of the webhook"),
        ("id" = String, Path, description = "The id of the message"),
    ),
    responses((status = 200, description = "What the receiver made of it, if it was asked at once", body = Redelivered)))]
async fn redeliver(
    State(management): State<Management>,
    Named((name, id)): Named<(String, String)>,
) -> Result<Redelivered> {
    let name = named(&name)?;
    let id = id.parse();
    let id = id.map_err(|why| Problem::new(Kind::Malformed, format!("id: {why}")))?;
    let tried = controls(&management)?.redeliver(&management.registry, &name, id);
    let tried = tried.await.map_err(|error| Problem::of(&error))?;
    Ok(Json(Redelivered {
        tried: tried.map(Into::into),
    }))
}

/// Tell a webhook again what is kept
#[utoipa::path(post, path = "/v1/webhooks/{name}/replays", operation_id = "replay_webhook_events", tag = "webhooks", request_body = Replay,
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "How much that is", body = Replayed)))]
async fn replay(
    State(management): State<Management>,
    Named(name): Named,
    Sent(replay): Sent<Replay>,
) -> Result<Replayed> {
    let name = named(&name)?;
    let since = replay.since.as_deref().map(|it| moment("since", it));
    let until = replay.until.as_deref().map(|it| moment("until", it));
    let filter = ReplayFilter {
        since: since.transpose()?,
        until: until.transpose()?,
        only_dead: replay.only_failed,
    };
    let count = controls(&management)?.replay(&management.registry, &name, filter);
    let messages = count.await.map_err(|error| Problem::of(&error))?;
    Ok(Json(Replayed { messages }))
}

/// Seal all webhooks with the newest key
#[utoipa::path(post, path = "/v1/webhook-reseals", operation_id = "reseal_webhooks", tag = "webhooks",
    responses((status = 200, description = "How many were sealed with another one", body = Resealed)))]
async fn reseal(State(management): State<Management>) -> Result<Resealed> {
    let count = controls(&management)?.reseal(&management.registry).await;
    let count = count.map_err(|error| Problem::of(&error))?;
    Ok(Json(Resealed {
        webhooks: count as u64,
    }))
}

fn named(name: &str) -> std::result::Result<meridian_event::webhook::WebhookName, Problem> {
    let parsed = name.parse();
    parsed.map_err(|why| Problem::new(Kind::Malformed, format!("{name}: {why}")))
}

fn controls(management: &Management) -> std::result::Result<&Controls, Problem> {
    management.webhooks.as_ref().ok_or_else(|| {
        let detail = "this process calls no webhooks; ask one that runs `webhooks`";
        Problem::new(Kind::Elsewhere, detail)
    })
}
