//! Replication between regions, as a resource.
//!
//! | | |
//! |---|---|
//! | `GET /v1/replication` | how far this region is with what others did |
//! | `POST /v1/replication/skips` | has a shard of another region go on behind the record at which it is stopped |
//! | `GET /v1/replication/images/{repository}/{reference}` | how far an image is in every region |
//! | `DELETE /v1/replication/regions/{region}` | nothing waits for a region any more |
//!
//! In the path of an image, a `/` of its repository is written `%2F`. Any process of the region that
//! is, or knows, an agent can be asked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use meridian_clients::RepositoryPath;
use meridian_clients::image::{ImageState, ImageStatus};
use meridian_clients::regions::RegionsApi;
use meridian_clock::{Region, Version};
use meridian_event::SHARDS;
use meridian_oci::Reference;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Management;
use super::cluster::metadata;
use super::extract::{Asked, Named, Sent};
use super::forms::{ImageReplication, OtherRegions, Replication, Skip, Skipped};
use super::problem::{Kind, Problem};

/// What the process knows of other regions.
#[derive(Clone)]
pub(crate) struct Neighbours {
    /// This region.
    pub(crate) here: Region,
    /// Those that the settings name.
    pub(crate) others: Vec<Region>,
    /// What an agent of this region knows of them.
    pub(crate) api: Arc<dyn RegionsApi>,
}

/// Which value of an image is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageQuery {
    version: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Management> {
    OpenApiRouter::default()
        .routes(routes!(show))
        .routes(routes!(skip))
        .routes(routes!(image))
        .routes(routes!(remove))
}

/// How far this region is with what others did
#[utoipa::path(get, path = "/v1/replication", operation_id = "get_replication", tag = "replication",
    responses((status = 200, description = "Each other region, and what is on its way", body = Replication)))]
async fn show(State(management): State<Management>) -> Result<Json<Replication>, Problem> {
    let status = neighbours(&management)?.api.status().await;
    Ok(Json(status.map_err(|error| Problem::of(&error))?.into()))
}

/// Have a shard of another region go on behind the record at which it is stopped
#[utoipa::path(post, path = "/v1/replication/skips", operation_id = "skip_replication_record", tag = "replication", request_body = Skip,
    responses((status = 200, description = "The record that is passed over", body = Skipped)))]
async fn skip(
    State(management): State<Management>,
    Sent(Skip { region, shard }): Sent<Skip>,
) -> Result<Json<Skipped>, Problem> {
    let neighbours = neighbours(&management)?;
    let origin = region.parse();
    let origin = origin.map_err(|why| Problem::new(Kind::Malformed, format!("{region}: {why}")))?;
    judge(neighbours.here, &neighbours.others, origin, shard)
        .map_err(|detail| Problem::new(Kind::Malformed, detail))?;
    let offset = neighbours.api.skip(origin, shard).await;
    let offset = offset.map_err(|error| Problem::of(&error))?;
    let offset = offset.ok_or_else(|| {
        let detail = format!(
            "shard {shard} of {region} is not stopped at a record that it can go on behind; \
             `meridian replication status` says how it is doing"
        );
        Problem::new(Kind::Conflict, detail)
    })?;
    Ok(Json(Skipped {
        region,
        shard,
        offset,
    }))
}

/// How far an image is in every region
#[utoipa::path(get, path = "/v1/replication/images/{repository}/{reference}", operation_id = "get_image_replication", tag = "replication",
    params(
        ("repository" = String, Path, description = "Its repository; a `/` in it is written `%2F`"),
        ("reference" = String, Path, description = "A tag or a digest"),
        ("version" = Option<String>, Query, description = "The value that is meant, or a newer one: `Meridian-Version` of the answer to its push. Without it, the newest that any region knows which answers"),
    ),
    responses((status = 200, description = "The newest value that any region knows, and each region", body = ImageReplication)))]
async fn image(
    State(management): State<Management>,
    Named((name, reference)): Named<(String, String)>,
    Asked(query): Asked<ImageQuery>,
) -> Result<Json<ImageReplication>, Problem> {
    let neighbours = neighbours(&management)?;
    let malformed = |what: &str, why: String| {
        let detail = format!("{what}: {why}");
        Problem::new(Kind::Malformed, detail)
    };
    let name = name
        .parse()
        .map_err(|why| malformed(&name, format!("{why}")))?;
    let wanted: Reference = reference
        .parse()
        .map_err(|why| malformed(&reference, format!("{why}")))?;
    let at_least: Option<Version> = match &query.version {
        Some(version) => Some(
            version
                .parse()
                .map_err(|why| malformed("version", format!("{why}")))?,
        ),
        None => None,
    };
    let repository = RepositoryPath {
        registry: management.registry.clone(),
        name,
    };
    let status = neighbours.api.image(&repository, &wanted, at_least).await;
    let status = status.map_err(|error| Problem::of(&error))?;
    judge_version(neighbours.here, &neighbours.others, at_least, &status)
        .map_err(|detail| Problem::new(Kind::Malformed, detail))?;
    Ok(Json(ImageReplication::new(&repository, &wanted, status)))
}

/// Have nothing wait for a region any more
#[utoipa::path(delete, path = "/v1/replication/regions/{region}", operation_id = "remove_region", tag = "replication",
    params(("region" = String, Path, description = "A region that was removed from the settings")),
    responses((status = 200, description = "The other regions that are left", body = OtherRegions)))]
async fn remove(
    State(management): State<Management>,
    Named(region): Named,
) -> Result<Json<OtherRegions>, Problem> {
    let region = region.parse().map_err(|why| {
        let detail = format!("{region}: {why}");
        Problem::new(Kind::Malformed, detail)
    })?;
    let left = metadata(&management)?.remove_region(region).await;
    let left = left.map_err(|error| Problem::of(&error))?;
    let regions = left.iter().map(ToString::to_string).collect();
    Ok(Json(OtherRegions { regions }))
}

/// Whether a value that is asked for can come: it is here or there, or of a region that there is. In words, if
/// it cannot.
fn judge_version(
    here: Region,
    others: &[Region],
    at_least: Option<Version>,
    status: &ImageStatus,
) -> Result<(), String> {
    let Some(version) = at_least.filter(|it| *it == status.version) else {
        return Ok(());
    };
    let is_known =
        |state: &ImageState| !matches!(state, ImageState::Pending | ImageState::Unreachable);
    if version.region == here
        || others.contains(&version.region)
        || status.regions.iter().any(|(_, state)| is_known(state))
    {
        return Ok(());
    }
    let regions: Vec<_> = status.regions.iter().map(|(it, _)| it.as_str()).collect();
    Err(format!(
        "version: {version} is of a region that there is not; there are {}",
        regions.join(", ")
    ))
}

/// Whether there is such a shard of another region; in words, if there is not.
fn judge(here: Region, others: &[Region], origin: Region, shard: u16) -> Result<(), String> {
    if !others.contains(&origin) {
        let others: Vec<_> = others.iter().map(Region::as_str).collect();
        let others = others.join(", ");
        return Err(match origin == here {
            true => format!("{origin} is the region that is asked; the others are {others}"),
            false => format!("there is no region {origin}; the others are {others}"),
        });
    }
    if shard >= SHARDS {
        let last = SHARDS - 1;
        return Err(format!(
            "there is no shard {shard} of {origin}; its shards are 0 to {last}"
        ));
    }
    Ok(())
}

fn neighbours(management: &Management) -> Result<&Neighbours, Problem> {
    management.regions.as_ref().ok_or_else(|| {
        let detail = "this process knows of no other regions; ask one that runs the frontend or the \
                      replication agent, in a region whose settings name others in `regions`";
        Problem::new(Kind::Elsewhere, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_a_region_that_there_is_not_is_waited_for_only_if_somebody_has_it() {
        use ImageState::{Complete, Pending, Unreachable};
        let region = |name: &str| name.parse::<Region>().unwrap();
        let (here, others) = (region("eu"), [region("us")]);
        let judge = |wanted: &str, newest: &str, state: ImageState| {
            let status = ImageStatus {
                version: newest.parse().unwrap(),
                digest: None,
                bytes: 0,
                regions: vec![(here, Pending), (region("us"), state)],
            };
            judge_version(here, &others, wanted.parse().ok(), &status)
        };
        assert_eq!(judge("5.0@eu", "5.0@eu", Pending), Ok(()));
        assert_eq!(judge("5.0@us", "5.0@us", Unreachable), Ok(()));
        assert_eq!(judge("5.0@mars", "5.0@mars", Complete), Ok(()));
        assert_eq!(judge("5.0@mars", "6.0@us", Pending), Ok(()));
        for state in [Pending, Unreachable] {
            let why = judge("5.0@mars", "5.0@mars", state).unwrap_err();
            assert!(why.contains("there are eu, us"), "{why}");
        }
    }

    #[test]
    fn only_a_shard_that_another_region_has_can_be_passed_over() {
        let region = |name: &str| name.parse::<Region>().unwrap();
        let (here, others) = (region("eu"), [region("asia"), region("us")]);
        let judge = |origin, shard| judge(here, &others, region(origin), shard);
        assert_eq!(judge("us", SHARDS - 1), Ok(()));
        for (origin, shard, word) in [
            ("mars", 1, "no region mars; the others are asia, us"),
            ("eu", 3, "eu is the region that is asked"),
            ("us", SHARDS, "its shards are 0 to 15"),
        ] {
            let why = judge(origin, shard).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }
}
