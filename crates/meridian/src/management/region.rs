//! The region itself, as a resource.
//!
//! | | |
//! |---|---|
//! | `GET /v1/region` | whether clients are to be sent to it |
//! | `PUT /v1/region/drain` | has them sent to other regions |
//! | `DELETE /v1/region/drain` | has them sent here again |

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use meridian_clients::MetadataApi;
use meridian_metadata_service::MetadataService;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Management;
use super::cluster::metadata;
use super::extract::Sent;
use super::forms::{NewDrain, RegionView};
use super::problem::{Kind, Problem};

/// Longest reason, in bytes: it is a part of each answer to those who ask whether the region serves.
const MAX_REASON: usize = 256;

pub(super) fn routes() -> OpenApiRouter<Management> {
    OpenApiRouter::default()
        .routes(routes!(show))
        .routes(routes!(drain, undrain))
}

/// Whether clients are to be sent to the region
#[utoipa::path(get, path = "/v1/region", operation_id = "get_region", tag = "region",
    responses((status = 200, description = "The region", body = RegionView)))]
async fn show(State(management): State<Management>) -> Result<Json<RegionView>, Problem> {
    view(metadata(&management)?).await
}

/// Have clients sent to other regions
#[utoipa::path(put, path = "/v1/region/drain", operation_id = "drain_region", tag = "region", request_body = NewDrain,
    responses((status = 200, description = "The region", body = RegionView)))]
async fn drain(
    State(management): State<Management>,
    Sent(NewDrain { reason }): Sent<NewDrain>,
) -> Result<Json<RegionView>, Problem> {
    judge(&reason).map_err(|detail| Problem::new(Kind::Malformed, detail))?;
    set(metadata(&management)?, Some(reason)).await
}

/// Have clients sent to the region again
#[utoipa::path(delete, path = "/v1/region/drain", operation_id = "undrain_region", tag = "region",
    responses((status = 200, description = "The region", body = RegionView)))]
async fn undrain(State(management): State<Management>) -> Result<Json<RegionView>, Problem> {
    set(metadata(&management)?, None).await
}

async fn set(
    metadata: Arc<MetadataService>,
    reason: Option<String>,
) -> Result<Json<RegionView>, Problem> {
    let done = metadata.drain(reason).await;
    done.map_err(|error| Problem::of(&error))?;
    view(metadata).await
}

async fn view(metadata: Arc<MetadataService>) -> Result<Json<RegionView>, Problem> {
    let drained = metadata.drained().await;
    let drained = drained.map_err(|error| Problem::of(&error))?;
    let region = metadata.group().region;
    Ok(Json(RegionView::new(region, drained)))
}

/// What is wrong with a reason, if something is.
fn judge(reason: &str) -> Result<(), String> {
    if reason.trim().is_empty() || reason.len() > MAX_REASON {
        return Err(format!("reason: say why in 1 to {MAX_REASON} bytes"));
    }
    if reason.chars().any(char::is_control) {
        return Err("reason: it is one line, without control characters".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        assert_eq!(judge("new disks, until noon"), Ok(()));
        for reason in ["", "  ", "a\nb", "\u{1b}[2J", &"a".repeat(MAX_REASON + 1)] {
            assert!(judge(reason).is_err(), "{reason:?}");
        }
    }
}
