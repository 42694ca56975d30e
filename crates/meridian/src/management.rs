//! The management API of a process: what operators ask of it, as HTTP and JSON.
//!
//! Served on a Unix socket in the data directory, which only its owner can open, and where the
//! settings say, to whoever has a token. Owns the resources and their forms, for the server here and
//! for the command line's client. What every resource has in common stands in the crate's README.
//!
//! ```text
//! listener ── gate: token ── router ── extract ── a resource ── the service
//!                  |            |         |           |
//!                  +────────────+──── problem ────────+
//! ```

mod checks;
mod client;
mod cluster;
mod config;
mod document;
mod events;
mod extract;
mod forms;
mod gate;
mod page;
mod problem;
mod region;
mod replication;
mod status;
mod strikes;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use meridian_blob_service::BlobService;
use meridian_chassis::Supervisor;
use meridian_chassis::http::{HttpServer, Listener};
use meridian_chassis::token::Tokens;
use meridian_metadata_service::MetadataService;
use meridian_oci::RegistryName;
use meridian_webhook_dispatcher::Controls;
use tower::Layer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub(crate) use checks::{CheckReport, Checks, EventSight};
pub(crate) use client::{Client, ClientError};
pub(crate) use cluster::{Cluster, Founders, NewMember};
pub(crate) use config::ManagementConfig;
pub(crate) use events::Events;
pub(crate) use forms::{
    CallbackConfig, Created, Deliveries, EventLogPage, Freed, ImageReplication, NewDrain,
    NewSecret, OtherRegions, Redelivered, RegionImage, RegionView, Replay, Replayed, Replication,
    ReplicationPeer, ReplicationState, Resealed, Skip, Skipped, Status, TestOf, Tried, WebhookForm,
    WebhookPatch, WebhookView, Webhooks, WouldFree,
};
pub(crate) use replication::Neighbours;

use crate::exit::Exit;
use gate::Gate;
use problem::{Kind, Problem};

/// What the API speaks of: the services that run in this process.
#[derive(Clone)]
pub(crate) struct Management {
    metadata: Option<Arc<MetadataService>>,
    blobs: Option<Arc<BlobService>>,
    regions: Option<Neighbours>,
    webhooks: Option<Controls>,
    registry: RegistryName,
    checks: Arc<Checks>,
    document: Arc<OpenApi>,
}

/// The services of a process, as far as it runs them.
pub(crate) struct Managed {
    pub(crate) metadata: Option<Arc<MetadataService>>,
    pub(crate) blobs: Option<Arc<BlobService>>,
    /// The other regions, if it knows of any.
    pub(crate) regions: Option<Neighbours>,
    /// The dispatcher of webhooks.
    pub(crate) webhooks: Option<Controls>,
    pub(crate) registry: RegistryName,
    pub(crate) checks: Checks,
}

/// Serves the API.
pub(crate) fn serve(
    managed: Managed,
    listeners: Vec<Listener>,
    config: ManagementConfig,
    tokens: Option<Tokens>,
    supervisor: &Supervisor,
) -> Result<(), Exit> {
    if listeners.is_empty() {
        return Ok(());
    }
    if let Some(tokens) = &tokens {
        let renewed = tokens.renew(supervisor.token());
        supervisor.spawner().spawn_child("operator tokens", renewed);
    }
    for address in listeners.iter().filter_map(Listener::address) {
        tracing::info!(%address, "serving the management API");
    }
    let routes = router(managed, tokens);
    let server = HttpServer::new(listeners, config.http, config.tls, routes);
    let server = server.map_err(|error| Exit::classified(&error))?;
    supervisor.spawn(
        "management",
        server.with_problems().run(supervisor.spawner()),
    );
    Ok(())
}

fn router(managed: Managed, tokens: Option<Tokens>) -> Router {
    let (routes, document) = document::complete(resources());
    let management = Management {
        metadata: managed.metadata,
        blobs: managed.blobs,
        regions: managed.regions,
        webhooks: managed.webhooks,
        registry: managed.registry,
        checks: Arc::new(managed.checks),
        document: Arc::new(document),
    };
    let gate = Arc::new(Gate::new(tokens));
    let routes = routes
        .fallback(nothing)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(extract::MAX_BODY))
        .with_state(management);
    // Around the routes as a whole: what they add to an answer (`Allow`) tells of what there is.
    let gated = middleware::from_fn_with_state(gate, gate::pass).layer(routes);
    Router::new().fallback_service(gated)
}

/// The table of resources. What is added here is served and described.
fn resources() -> OpenApiRouter<Management> {
    OpenApiRouter::default()
        .merge(status::routes())
        .merge(cluster::routes())
        .merge(events::routes())
        .merge(checks::routes())
        .merge(region::routes())
        .merge(replication::routes())
        .merge(webhooks::routes())
}

async fn nothing() -> Problem {
    let detail = "there is nothing under this path; GET /v1/openapi.json says what there is";
    Problem::new(Kind::NotFound, detail)
}

async fn no_method() -> Problem {
    let detail = "the header `Allow` has the methods of this resource";
    Problem::new(Kind::Method, detail)
}

#[cfg(test)]
mod tests;
