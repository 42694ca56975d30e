//! The management API of a process, on a Unix socket that only its user can open.
//!
//! Owns the resources and their JSON forms, for the server here and for the command line's client.

mod client;
mod cluster;
mod resources;

use std::path::Path;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use meridian_blob_service::BlobService;
use meridian_chassis::Supervisor;
use meridian_chassis::http::{HttpConfig, HttpServer, ListenAddress, Listener};
use meridian_clients::MetadataApi;
use meridian_error::chain;
use meridian_metadata_service::MetadataService;
use meridian_oci::RegistryName;
use serde::Deserialize;

pub(crate) use client::{Client, ClientError};
pub(crate) use cluster::{Cluster, Founders, NewMember};
use resources::{BlobStatus, MetadataStatus};
pub(crate) use resources::{Freed, Status, WouldFree};

use crate::exit::Exit;

/// What the API speaks of: the services that run in this process.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) metadata: Option<Arc<MetadataService>>,
    pub(crate) blobs: Option<Arc<BlobService>>,
    pub(crate) registry: RegistryName,
}

/// Something that went wrong, as JSON.
struct Failure {
    status: StatusCode,
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CollectQuery {
    #[serde(default)]
    dry_run: bool,
}

/// Serves the API on a socket.
pub(crate) fn serve(admin: Admin, socket: &Path, supervisor: &Supervisor) -> Result<(), Exit> {
    let listener = Listener::bind(&ListenAddress::Unix(socket.to_owned()));
    let listener = listener.map_err(|error| Exit::classified(&error))?;
    let routes = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/collections", post(collect))
        .merge(cluster::routes())
        .with_state(admin);
    let server = HttpServer::new([listener], HttpConfig::internal(), None, routes);
    let server = server.map_err(|error| Exit::classified(&error))?;
    supervisor.spawn("admin", server.run(supervisor.spawner()));
    Ok(())
}

async fn status(State(admin): State<Admin>) -> Result<Json<Status>, Failure> {
    let metadata = match &admin.metadata {
        Some(metadata) => {
            let usage = metadata.usage(&admin.registry).await;
            Some(MetadataStatus {
                usage: usage
                    .map_err(|error| Failure::unavailable(chain(&error)))?
                    .into(),
                log_syncs: metadata.log_syncs(),
            })
        }
        None => None,
    };
    let blobs = admin.blobs.map(|blobs| BlobStatus {
        open_uploads: blobs.open_sessions(),
        unreadable_blobs: blobs.unreadable_blobs(),
        collection: blobs.collection().into(),
    });
    Ok(Json(Status { metadata, blobs }))
}

async fn collect(
    State(admin): State<Admin>,
    Query(query): Query<CollectQuery>,
) -> Result<Response, Failure> {
    let failure = |error: meridian_blob_service::CollectError| Failure::unavailable(chain(&error));
    let no_blobs = "this process runs no blob service; ask the one that does";
    let blobs = admin.blobs.ok_or_else(|| Failure::unavailable(no_blobs))?;
    if query.dry_run {
        let would = blobs.would_collect().await.map_err(failure)?;
        return Ok(Json(WouldFree::from(would)).into_response());
    }
    let report = blobs.collect().await.map_err(failure)?;
    Ok(Json(Freed::from(report)).into_response())
}

// === impl Failure ===

impl Failure {
    /// Something that may be over soon.
    fn unavailable(text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            text: text.into(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.text });
        (self.status, Json(body)).into_response()
    }
}
