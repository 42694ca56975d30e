//! Changing a group that is founded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::{BasicNode, ChangeMembers};
use tokio::time::Instant;

use super::{Change, ReformError};
use crate::group::Group;
use crate::members::membership;
use crate::raft::peer::{Call, CallError};

/// How long a change may take, which is the time for a snapshot to reach a new member.
const LIMIT: Duration = Duration::from_secs(600);
/// How long the group may take to know a leader.
const SETTLING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

type Result<T> = std::result::Result<T, ReformError>;

impl Group {
    /// Changes the group, here or at whoever leads.
    ///
    /// # Errors
    ///
    /// See [`ReformError`]. Done again after an unknown outcome, a change that has happened is no
    /// error.
    pub(crate) async fn reform(&self, change: Change) -> Result<()> {
        let end = Instant::now() + SETTLING;
        loop {
            let why = match self.leader() {
                Some(leader) if leader == self.me() => match self.reform_here(&change).await {
                    Err(ReformError::Unavailable(why)) if !self.is_leader() => why,
                    outcome => return outcome,
                },
                Some(leader) => match self.ask_to_reform(leader, &change).await {
                    Ok(Err(ReformError::Unavailable(why))) => why,
                    Ok(outcome) => return outcome,
                    Err(error) => meridian_error::chain(&error),
                },
                None => "no leader is known".to_owned(),
            };
            if Instant::now() + PAUSE >= end {
                return Err(ReformError::Unavailable(why));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask_to_reform(
        &self,
        leader: u64,
        change: &Change,
    ) -> std::result::Result<Result<()>, CallError> {
        let peer = self.members().peer(self.raft(), leader)?;
        peer.ask(Call::Reform, change, LIMIT).await
    }

    /// Changes the group, which this member leads.
    pub(crate) async fn reform_here(&self, change: &Change) -> Result<()> {
        let _alone = self.changing().try_lock().map_err(|_| ReformError::Busy)?;
        let changed = async {
            match change {
                Change::Join { endpoint } => self.join(endpoint).await,
                Change::Leave { node } => self.leave(*node).await,
                Change::Replace { node, endpoint } => self.replace(*node, endpoint).await,
                Change::Lead { node } => self.lead(*node).await,
            }
        };
        let late = |_| ReformError::Unavailable("it takes too long".to_owned());
        tokio::time::timeout(LIMIT, changed).await.map_err(late)?
    }

    async fn join(&self, endpoint: &str) -> Result<()> {
        let (node, voters) = self.admit(endpoint, None).await?;
        if voters.contains(&node) {
            return Ok(());
        }
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([node])))
            .await
    }

    async fn replace(&self, lost: u64, endpoint: &str) -> Result<()> {
        let (node, mut voters) = self.admit(endpoint, Some(lost)).await?;
        if !voters.contains(&lost) && !self.knows(lost) {
            return match voters.contains(&node) {
                true => Ok(()),
                false => Err(ReformError::Unknown { node: lost }),
            };
        }
        voters.remove(&lost);
        voters.insert(node);
        self.change(ChangeMembers::ReplaceAllVoters(voters)).await?;
        self.forget(lost).await
    }

    async fn leave(&self, node: u64) -> Result<()> {
        let voters = self.voters();
        if !self.knows(node) {
            return Ok(());
        }
        // Once it is out, nobody knows where it is.
        let peer = self.members().peer(self.raft(), node);
        if voters.contains(&node) {
            if voters.len() == 1 {
                return Err(ReformError::Last { node });
            }
            if node == self.me() {
                // The next leader is asked again, by whoever asked us.
                self.hand_over().await;
                return Err(ReformError::Unavailable(
                    "another member leads first".to_owned(),
                ));
            }
            self.change(ChangeMembers::RemoveVoters(BTreeSet::from([node])))
                .await?;
        }
        self.forget(node).await?;
        if let Ok(peer) = peer
            && let Err(error) = peer.ask::<_, ()>(Call::Retire, &(), SETTLING).await
        {
            let error = meridian_error::chain(&error);
            tracing::warn!(
                error,
                "a member that left could not be told; its data directory must not be used again"
            );
        }
        Ok(())
    }

    async fn lead(&self, node: u64) -> Result<()> {
        if !self.voters().contains(&node) {
            return Err(ReformError::Unknown { node });
        }
        if node == self.me() {
            return Ok(());
        }
        self.lead_from(node).await.map_err(ReformError::Unavailable)
    }

    /// Takes the member at `endpoint` in, without a vote, and returns when it has the state: which
    /// it is, and who has votes.
    async fn admit(&self, endpoint: &str, instead: Option<u64>) -> Result<(u64, BTreeSet<u64>)> {
        let cluster = self.claim().cluster();
        let cluster = cluster.ok_or(ReformError::Alone)?;
        if self.is_alone() {
            return Err(ReformError::Alone);
        }
        let found = self.describe(endpoint).await?;
        if let Some(other) = found.cluster.clone().filter(|other| *other != cluster) {
            return Err(ReformError::OtherCluster {
                endpoint: endpoint.to_owned(),
                cluster: other,
            });
        }
        let occupant = self.nodes().into_iter().find(|(node, at)| {
            at.addr == endpoint && *node != found.node && Some(*node) != instead
        });
        if let Some((node, _)) = occupant {
            return Err(ReformError::Occupied {
                endpoint: endpoint.to_owned(),
                node,
            });
        }
        let voters = self.voters();
        if !voters.contains(&found.node) {
            self.adopt(&found, &cluster).await?;
            let node = BasicNode::new(endpoint);
            let added = self.raft().add_learner(found.node, node, true).await;
            added.map_err(|error| ReformError::Unavailable(error.to_string()))?;
        }
        Ok((found.node, voters))
    }

    async fn change(&self, change: ChangeMembers<u64, BasicNode>) -> Result<()> {
        let changed = self.raft().change_membership(change, false).await;
        changed
            .map(drop)
            .map_err(|error| ReformError::Unavailable(error.to_string()))
    }

    /// Lets go of a member that has no vote any more, if it is still named.
    async fn forget(&self, node: u64) -> Result<()> {
        match self.knows(node) {
            true => {
                self.change(ChangeMembers::RemoveNodes(BTreeSet::from([node])))
                    .await
            }
            false => Ok(()),
        }
    }

    fn nodes(&self) -> BTreeMap<u64, BasicNode> {
        let membership = membership(self.raft());
        membership
            .nodes()
            .map(|(node, at)| (*node, at.clone()))
            .collect()
    }

    fn knows(&self, node: u64) -> bool {
        self.nodes().contains_key(&node)
    }

    fn voters(&self) -> BTreeSet<u64> {
        membership(self.raft()).voter_ids().collect()
    }
}
