//! Who the members of the group are, and how that changes.
//!
//! Owns founding, joining, replacing, leaving and leading. Keeps three invariants. A member belongs
//! to the group, on its own disk, before it is named in the log; a node id is in use once and never
//! again; and one change is under way at a time, because two would each be judged by a membership
//! that the other one changes. Changes are the leader's to make; whoever else is asked passes them
//! on. Votes and quorums are Raft's: every change goes through a joint configuration where that is
//! needed, and a member that joins has the state before it has a vote.

mod found;
mod reform;

use serde::{Deserialize, Serialize};

use meridian_clock::Region;
use meridian_error::{Classify, Code};

use crate::group::Group;

/// A change of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The member at an endpoint, which belongs to no group yet, joins and gets a vote.
    Join {
        /// Where the others reach it.
        endpoint: String,
    },
    /// A member leaves, and never comes back.
    Leave {
        /// Which.
        node: u64,
    },
    /// A new member takes the place of one that is lost, in one step.
    Replace {
        /// Which is lost.
        node: u64,
        /// Where the others reach the new one.
        endpoint: String,
    },
    /// Another member leads.
    Lead {
        /// Which.
        node: u64,
    },
}

/// Why the group was not founded or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ReformError {
    /// The process has no address for others.
    #[error(
        "this member is a group of its own; set metadata.group.advertise to where others reach it"
    )]
    Alone,
    /// It is founded already.
    #[error("the member at {endpoint} belongs to the cluster {cluster} already")]
    Founded {
        /// Which member.
        endpoint: String,
        /// Its cluster.
        cluster: String,
    },
    /// The founders do not include the one that was asked.
    #[error("this member's own address, {0}, is not among the founders")]
    NotAmong(String),
    /// Nobody answers there.
    #[error("the member at {endpoint} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// Why.
        why: String,
    },
    /// It is in another region.
    #[error("the member at {endpoint} is in the region {found}, not in {wanted}")]
    OtherRegion {
        /// Which.
        endpoint: String,
        /// Its region.
        found: String,
        /// Ours.
        wanted: Region,
    },
    /// It belongs to another group.
    #[error(
        "the member at {endpoint} belongs to another cluster, {cluster}; it can join with an empty \
         data directory only"
    )]
    OtherCluster {
        /// Which.
        endpoint: String,
        /// Its cluster.
        cluster: String,
    },
    /// It was removed once.
    #[error(
        "the member at {endpoint} was removed from its group; it can join with an empty data \
         directory only"
    )]
    Retired {
        /// Which.
        endpoint: String,
    },
    /// Another member is named there.
    #[error(
        "{endpoint} is the address of member {node:016x}, whose data are gone; replace that member: \
         meridian cluster replace {node:016x} {endpoint}"
    )]
    Occupied {
        /// Where.
        endpoint: String,
        /// Who.
        node: u64,
    },
    /// No such member.
    #[error("the group has no member {node:016x}")]
    Unknown {
        /// Which.
        node: u64,
    },
    /// It is the last one.
    #[error("member {node:016x} is the only one with a vote, and cannot leave")]
    Last {
        /// Which.
        node: u64,
    },
    /// Another change goes on.
    #[error("another change of the group is under way; try again when it is done")]
    Busy,
    /// The group cannot decide now.
    #[error("the group cannot be changed now: {0}")]
    Unavailable(String),
}

/// A member, as the group knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberStatus {
    /// Which.
    pub node: u64,
    /// Where the others reach it.
    pub endpoint: String,
    /// Whether it has a vote.
    pub voter: bool,
    /// Whether it leads.
    pub leads: bool,
    /// How far the leader has seen it follow, if this is the leader.
    pub matched: Option<u64>,
}

/// The group, as one member sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupStatus {
    /// Which cluster; `None` before this member belongs to one.
    pub cluster: Option<String>,
    /// The member that says so.
    pub node: u64,
    /// In which region.
    pub region: Region,
    /// Who leads, as far as it knows.
    pub leader: Option<u64>,
    /// The term of its vote.
    pub term: u64,
    /// The last entry of its log.
    pub last: u64,
    /// How far it has applied the log.
    pub applied: u64,
    /// Before which entry its log was let go.
    pub purged: u64,
    /// Up to which entry its last snapshot goes.
    pub snapshot: u64,
    /// Events that wait for the event log.
    pub outbox: u64,
    /// Why it takes no writes, if it leads and does not take any.
    pub hindrance: Option<String>,
    /// All members.
    pub members: Vec<MemberStatus>,
}

/// The group as this member sees it.
pub(crate) fn status(group: &Group) -> GroupStatus {
    use openraft::type_config::async_runtime::watch::WatchReceiver as _;
    let metrics = group.raft().metrics();
    let metrics = metrics.borrow_watched();
    let index = |id: Option<crate::raft::LogId>| id.map_or(0, |id| id.index);
    let membership = &metrics.membership_config;
    let voters: Vec<u64> = membership.voter_ids().collect();
    let members = membership.nodes().map(|(node, at)| MemberStatus {
        node: *node,
        endpoint: at.addr.clone(),
        voter: voters.contains(node),
        leads: metrics.current_leader == Some(*node),
        matched: metrics
            .replication
            .as_ref()
            .and_then(|all| all.get(node))
            .map(|matched| index(*matched)),
    });
    GroupStatus {
        cluster: group.claim().cluster(),
        node: group.me(),
        region: group.claim().region(),
        leader: metrics.current_leader,
        term: metrics.current_term,
        last: metrics.last_log_index.unwrap_or(0),
        applied: index(metrics.last_applied),
        purged: index(metrics.purged),
        snapshot: index(metrics.snapshot),
        outbox: group.backlog().waiting(),
        hindrance: group.hindrance(),
        members: members.collect(),
    }
}

// === impl Classify ===

impl Classify for ReformError {
    fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. } | Self::Unavailable(_) => Code::Unavailable,
            Self::Busy | Self::Founded { .. } | Self::Occupied { .. } | Self::Last { .. } => {
                Code::Conflict
            }
            Self::Unknown { .. } => Code::NotFound,
            Self::Alone
            | Self::NotAmong(_)
            | Self::OtherRegion { .. }
            | Self::OtherCluster { .. }
            | Self::Retired { .. } => Code::InvalidArgument,
        }
    }
}
