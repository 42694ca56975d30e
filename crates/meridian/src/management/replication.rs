//! Replication between regions, as a resource.
//!
//! | | |
//! |---|---|
//! | `GET /v1/replication` | how far this region is with what others did |
//! | `GET /v1/replication/images/{repository}/{reference}` | how far an image is in every region |
//!
//! In the path of an image, a `/` of its repository is written `%2F`. Any process of the region that
//! is, or knows, an agent can be asked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use meridian_clients::RepositoryPath;
use meridian_clients::regions::RegionsApi;
use meridian_oci::Reference;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Management;
use super::extract::Named;
use super::forms::{ImageReplication, Replication};
use super::problem::{Kind, Problem};

pub(super) fn routes() -> OpenApiRouter<Management> {
    OpenApiRouter::default()
        .routes(routes!(show))
        .routes(routes!(image))
}

/// How far this region is with what others did
#[utoipa::path(get, path = "/v1/replication", operation_id = "get_replication", tag = "replication",
    responses((status = 200, description = "Each other region, and what is on its way", body = Replication)))]
async fn show(State(management): State<Management>) -> Result<Json<Replication>, Problem> {
    let status = regions(&management)?.status().await;
    Ok(Json(status.map_err(|error| Problem::of(&error))?.into()))
}

/// How far an image is in every region
#[utoipa::path(get, path = "/v1/replication/images/{repository}/{reference}", operation_id = "get_image_replication", tag = "replication",
    params(
        ("repository" = String, Path, description = "Its repository; a `/` in it is written `%2F`"),
        ("reference" = String, Path, description = "A tag or a digest"),
    ),
    responses((status = 200, description = "The newest value that any region knows, and each region", body = ImageReplication)))]
async fn image(
    State(management): State<Management>,
    Named((name, reference)): Named<(String, String)>,
) -> Result<Json<ImageReplication>, Problem> {
    let regions = regions(&management)?;
    let malformed = |what, why: String| {
        let detail = format!("{what}: {why}");
        Problem::new(Kind::Malformed, detail)
    };
    let name = name
        .parse()
        .map_err(|why| malformed(&name, format!("{why}")))?;
    let wanted: Reference = reference
        .parse()
        .map_err(|why| malformed(&reference, format!("{why}")))?;
    let repository = RepositoryPath {
        registry: management.registry.clone(),
        name,
    };
    let status = regions.image(&repository, &wanted, None).await;
    let status = status.map_err(|error| Problem::of(&error))?;
    Ok(Json(ImageReplication::new(&repository, &wanted, status)))
}

fn regions(management: &Management) -> Result<Arc<dyn RegionsApi>, Problem> {
    let regions = management.regions.clone();
    regions.ok_or_else(|| {
        let detail = "this process knows of no other regions; ask one that runs the frontend or the \
                      replication agent, in a region whose settings name others in `regions`";
        Problem::new(Kind::Elsewhere, detail)
    })
}
