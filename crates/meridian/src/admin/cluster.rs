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

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use meridian_error::{Classify, Code, chain};
use meridian_metadata_service::{Change, GroupStatus, MetadataService, ReformError};
use serde::{Deserialize, Serialize};

use super::{Admin, Failure};
use crate::cli;

/// The group.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    pub(crate) members: Vec<Member>,
}

/// A member of the group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) node: String,
    pub(crate) endpoint: String,
    pub(crate) voter: bool,
    pub(crate) leads: bool,
    /// How far it follows, where the leader is asked.
    pub(crate) matched: Option<u64>,
}

/// Who founds the group.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Founders {
    pub(crate) endpoints: Vec<String>,
}

/// Who joins it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMember {
    pub(crate) endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instead_of: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leader {
    node: String,
}

type Answer = Result<Json<Cluster>, Failure>;

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/v1/cluster", get(show).post(found))
        .route("/v1/cluster/members", post(join))
        .route("/v1/cluster/members/{node}", delete(leave))
        .route("/v1/cluster/leader", put(lead))
        .route("/v1/cluster/snapshots", post(snapshot))
}

async fn show(State(admin): State<Admin>) -> Answer {
    Ok(Json(metadata(&admin)?.group().into()))
}

async fn found(State(admin): State<Admin>, Json(founders): Json<Founders>) -> Answer {
    let metadata = metadata(&admin)?;
    metadata.found(&founders.endpoints).await?;
    Ok(Json(metadata.group().into()))
}

async fn join(State(admin): State<Admin>, Json(member): Json<NewMember>) -> Answer {
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
    reform(&admin, change).await
}

async fn leave(State(admin): State<Admin>, Path(member): Path<String>) -> Answer {
    let node = node(&member)?;
    reform(&admin, Change::Leave { node }).await
}

async fn lead(State(admin): State<Admin>, Json(leader): Json<Leader>) -> Answer {
    let node = node(&leader.node)?;
    reform(&admin, Change::Lead { node }).await
}

async fn snapshot(State(admin): State<Admin>) -> Answer {
    let metadata = metadata(&admin)?;
    metadata.take_snapshot().await?;
    Ok(Json(metadata.group().into()))
}

async fn reform(admin: &Admin, change: Change) -> Answer {
    let metadata = metadata(admin)?;
    metadata.reform(change).await?;
    Ok(Json(metadata.group().into()))
}

fn metadata(admin: &Admin) -> Result<Arc<MetadataService>, Failure> {
    let metadata = admin.metadata.clone();
    metadata.ok_or_else(|| {
        Failure::unavailable("this process runs no metadata service; ask one that does")
    })
}

fn node(text: &str) -> Result<u64, Failure> {
    cli::node(text).map_err(|why| Failure {
        status: StatusCode::BAD_REQUEST,
        text: format!("node `{text}`: {why}"),
    })
}

fn name(node: u64) -> String {
    format!("{node:016x}")
}

// === impl Failure ===

impl From<ReformError> for Failure {
    fn from(error: ReformError) -> Self {
        let status = match error.code() {
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Conflict => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self {
            status,
            text: chain(&error),
        }
    }
}

// === impl Cluster ===

impl From<GroupStatus> for Cluster {
    fn from(status: GroupStatus) -> Self {
        let members = status.members.into_iter().map(|member| Member {
            node: name(member.node),
            endpoint: member.endpoint,
            voter: member.voter,
            leads: member.leads,
            matched: member.matched,
        });
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
