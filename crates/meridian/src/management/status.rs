//! What a process holds and does, as a resource, and what it can be asked to do about it.
//!
//! | | |
//! |---|---|
//! | `GET /v1/status` | what the services of the process hold and do |
//! | `POST /v1/collections` | runs garbage collection; with `dry_run`, says what that would free |

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use meridian_blob_service::CollectError;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Management;
use super::extract::Asked;
use super::forms::{CollectQuery, Freed, Status, WouldFree};
use super::problem::{Kind, Problem};

/// What a run freed, or would free.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what is answered")]
enum Collected {
    Freed(Freed),
    WouldFree(WouldFree),
}

pub(super) fn routes() -> OpenApiRouter<Management> {
    OpenApiRouter::default()
        .routes(routes!(status))
        .routes(routes!(collect))
}

/// What the services of this process hold and do
#[utoipa::path(get, path = "/v1/status", operation_id = "get_status", tag = "status",
    responses((status = 200, description = "What is known here", body = Status)))]
async fn status(State(management): State<Management>) -> Result<Json<Status>, Problem> {
    let mut status = Status::default();
    if let Some(metadata) = &management.metadata {
        use meridian_clients::MetadataApi as _;
        let usage = metadata.usage(&management.registry).await;
        status.usage = Some(usage.map_err(|error| Problem::of(&error))?.into());
        status.log_syncs = Some(metadata.log_syncs());
    }
    if let Some(blobs) = &management.blobs {
        status.open_uploads = Some(blobs.open_sessions() as u64);
        status.unreadable_blobs = Some(blobs.unreadable_blobs());
        status.collection = Some(blobs.collection().into());
    }
    Ok(Json(status))
}

/// Run garbage collection now
#[utoipa::path(post, path = "/v1/collections", operation_id = "collect_garbage", tag = "collections", params(CollectQuery),
    responses((status = 200, description = "What was freed, or would be", body = Collected)))]
async fn collect(
    State(management): State<Management>,
    Asked(query): Asked<CollectQuery>,
) -> Result<Response, Problem> {
    let failure =
        |error: CollectError| Problem::new(Kind::Unavailable, meridian_error::chain(&error));
    let elsewhere = || {
        let detail = "this process runs no blob service; ask the one that does";
        Problem::new(Kind::Elsewhere, detail)
    };
    let blobs = management.blobs.ok_or_else(elsewhere)?;
    if query.dry_run {
        let would = blobs.would_collect().await.map_err(failure)?;
        return Ok(Json(WouldFree::from(would)).into_response());
    }
    let report = blobs.collect().await.map_err(failure)?;
    Ok(Json(Freed::from(report)).into_response())
}
