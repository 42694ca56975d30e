//! The metadata group, as a resource.
//!
//! | | |
//! |---|---|
//! | `GET /v1/cluster` | who the members are, as the one that is asked sees it |
//! | `POST /v1/cluster` | founds the group |
//! | `POST /v1/cluster/members` | has a member join, in the place of a lost one if that is named |
//! | `DELETE /v1/cluster/members/{node}` | has a member leave |
//! | `PUT /v1/cluster/leader` | has another member lead |
//! | `POST /v1/cluster/snapshots` | takes a snapshot |
//!
//! Node ids are 16 hexadecimal digits: JSON's numbers cannot carry them.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use meridian_metadata_service::{Change, GroupStatus, MemberStatus, MetadataService, ReformError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Management;
use super::extract::{Asked, Named, Sent};
use super::page::{Page, PageQuery};
use super::problem::{Kind, Problem};
use crate::cli;

/// The group.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Cluster {
    /// Which cluster; absent before the member belongs to one.
    pub(crate) cluster: Option<String>,
    /// The member that says so.
    pub(crate) node: String,
    pub(crate) region: String,
    pub(crate) leader: Option<String>,
    pub(crate) term: u64,
    pub(crate) last: u64,
    pub(crate) applied: u64,
    pub(crate) snapshot: u64,
    pub(crate) purged: u64,
    /// Events that wait for the event log.
    pub(crate) outbox: u64,
    /// Why the member takes no writes, if it leads and does not take any.
    pub(crate) hindrance: Option<String>,
    pub(crate) members: Vec<Member>,
}

/// A member of the group.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Member {
    pub(crate) node: String,
    pub(crate) endpoint: String,
    pub(crate) voter: bool,
    pub(crate) leads: bool,
    /// How far it follows, where the leader is asked.
    pub(crate) matched: Option<u64>,
}

/// Who founds the group.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Founders {
    pub(crate) endpoints: Vec<String>,
}

/// Who joins it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMember {
    pub(crate) endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instead_of: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Leader {
    node: String,
}

type Answer = Result<Json<Cluster>, Problem>;

pub(super) fn routes() -> OpenApiRouter<Management> {
    OpenApiRouter::default()
        .routes(routes!(show, found))
        .routes(routes!(members, join))
        .routes(routes!(leave))
        .routes(routes!(lead))
        .routes(routes!(snapshot))
}

/// The metadata group, as the member that is asked sees it
#[utoipa::path(get, path = "/v1/cluster", operation_id = "get_cluster", tag = "cluster",
    responses((status = 200, description = "The group", body = Cluster)))]
async fn show(State(management): State<Management>) -> Answer {
    Ok(Json(metadata(&management)?.group().into()))
}

/// Found the group
#[utoipa::path(post, path = "/v1/cluster", operation_id = "found_cluster", tag = "cluster", request_body = Founders,
    responses((status = 200, description = "The group, founded", body = Cluster)))]
async fn found(State(management): State<Management>, Sent(founders): Sent<Founders>) -> Answer {
    let metadata = metadata(&management)?;
    metadata.found(&founders.endpoints).await?;
    Ok(Json(metadata.group().into()))
}

/// The members of the group
#[utoipa::path(get, path = "/v1/cluster/members", operation_id = "list_cluster_members", tag = "cluster", params(PageQuery),
    responses((status = 200, description = "Members, in the order of their ids", body = Page<Member>)))]
async fn members(
    State(management): State<Management>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<Member>>, Problem> {
    let members = metadata(&management)?.group().members;
    let mut members: Vec<Member> = members.into_iter().map(Member::from).collect();
    members.sort_by(|one, other| one.node.cmp(&other.node));
    Ok(Json(query.of(members, |member| member.node.clone())?))
}

/// Have a member join, in the place of a lost one if that is named
#[utoipa::path(post, path = "/v1/cluster/members", operation_id = "add_cluster_member", tag = "cluster", request_body = NewMember,
    responses((status = 200, description = "The group, with the member", body = Cluster)))]
async fn join(State(management): State<Management>, Sent(member): Sent<NewMember>) -> Answer {
    let NewMember {
        endpoint,
        instead_of,
    } = member;
    let change = match instead_of {
        Some(lost) => Change::Replace {
            node: node(&lost)?,
            endpoint,
        },
        None => Change::Join { endpoint },
    };
    reform(&management, change).await
}

/// Have a member leave, for good
#[utoipa::path(delete, path = "/v1/cluster/members/{node}", operation_id = "remove_cluster_member", tag = "cluster",
    params(("node" = String, Path, description = "Which: 16 hexadecimal digits")),
    responses((status = 200, description = "The group, without the member", body = Cluster)))]
async fn leave(State(management): State<Management>, Named(member): Named) -> Answer {
    let node = node(&member)?;
    reform(&management, Change::Leave { node }).await
}

/// Have another member lead
#[utoipa::path(put, path = "/v1/cluster/leader", operation_id = "set_cluster_leader", tag = "cluster", request_body = Leader,
    responses((status = 200, description = "The group, under its leader", body = Cluster)))]
async fn lead(State(management): State<Management>, Sent(leader): Sent<Leader>) -> Answer {
    let node = node(&leader.node)?;
    reform(&management, Change::Lead { node }).await
}

/// Take a snapshot of the state, behind which the log may go
#[utoipa::path(post, path = "/v1/cluster/snapshots", operation_id = "take_snapshot", tag = "cluster",
    responses((status = 200, description = "The group; the snapshot may still be under way", body = Cluster)))]
async fn snapshot(State(management): State<Management>) -> Answer {
    let metadata = metadata(&management)?;
    metadata.take_snapshot().await?;
    Ok(Json(metadata.group().into()))
}

async fn reform(management: &Management, change: Change) -> Answer {
    let metadata = metadata(management)?;
    metadata.reform(change).await?;
    Ok(Json(metadata.group().into()))
}

/// The metadata service, if this process runs it.
pub(super) fn metadata(management: &Management) -> Result<Arc<MetadataService>, Problem> {
    let metadata = management.metadata.clone();
    metadata.ok_or_else(|| {
        let detail = "this process runs no metadata service; ask one that does";
        Problem::new(Kind::Elsewhere, detail)
    })
}

fn node(text: &str) -> Result<u64, Problem> {
    cli::node(text).map_err(|why| Problem::new(Kind::Malformed, format!("node `{text}`: {why}")))
}

fn name(node: u64) -> String {
    format!("{node:016x}")
}

// === impl Problem ===

impl From<ReformError> for Problem {
    fn from(error: ReformError) -> Self {
        Self::of(&error)
    }
}

// === impl Member ===

impl From<MemberStatus> for Member {
    fn from(member: MemberStatus) -> Self {
        Self {
            node: name(member.node),
            endpoint: member.endpoint,
            voter: member.voter,
            leads: member.leads,
            matched: member.matched,
        }
    }
}

// === impl Cluster ===

impl From<GroupStatus> for Cluster {
    fn from(status: GroupStatus) -> Self {
        let members = status.members.into_iter().map(Member::from);
        Self {
            cluster: status.cluster,
            node: name(status.node),
            region: status.region.to_string(),
            leader: status.leader.map(name),
            term: status.term,
            last: status.last,
            applied: status.applied,
            snapshot: status.snapshot,
            purged: status.purged,
            outbox: status.outbox,
            hindrance: status.hindrance,
            members: members.collect(),
        }
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cluster {
            Some(cluster) => writeln!(f, "cluster {cluster}, region {}", self.region)?,
            None => writeln!(
                f,
                "member {} belongs to no cluster yet, region {}",
                self.node, self.region
            )?,
        }
        writeln!(
            f,
            "term {}, log up to {}, applied {}, snapshot {}, purged {}, events waiting {}",
            self.term, self.last, self.applied, self.snapshot, self.purged, self.outbox
        )?;
        if let Some(hindrance) = &self.hindrance {
            writeln!(f, "this member leads and takes no writes: {hindrance}")?;
        }
        for member in &self.members {
            let role = match (member.leads, member.voter) {
                (true, _) => "leader",
                (false, true) => "voter",
                (false, false) => "joining",
            };
            let me = if member.node == self.node {
                " (this one)"
            } else {
                ""
            };
            write!(f, "\n{}  {role:<8}{}", member.node, member.endpoint)?;
            if let Some(matched) = member.matched {
                write!(f, "  follows up to {matched}")?;
            }
            write!(f, "{me}")?;
        }
        Ok(())
    }
}
