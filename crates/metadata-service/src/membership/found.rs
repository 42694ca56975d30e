//! Founding: members that belong to no group become one.
//!
//! First every founder is asked who it is, and only if all of them belong to nothing, or to this very
//! founding that broke off, are they told, one by one, to which cluster they belong; the last step,
//! which begins the log, is taken by one of them. A founding that broke off is taken up by doing it
//! again.

use std::collections::BTreeMap;
use std::time::Duration;

use meridian_proto::meridian::raft::v1 as pb;
use openraft::BasicNode;

use super::ReformError;
use crate::group::Group;
use crate::identity;
use crate::raft::peer;

/// How long a member may take to say who it is.
const ANSWER: Duration = Duration::from_secs(3);

/// Somebody at an endpoint, and who that is.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) endpoint: String,
    pub(super) node: u64,
    pub(super) cluster: Option<String>,
    pub(super) initialized: bool,
}

impl Group {
    /// Founds a group of the members at `endpoints`, of which this is one.
    ///
    /// # Errors
    ///
    /// When one of them cannot be reached, or belongs to a group.
    pub(crate) async fn found(&self, endpoints: &[String]) -> Result<(), ReformError> {
        let own = self.advertise().ok_or(ReformError::Alone)?;
        if !endpoints.iter().any(|endpoint| endpoint == own) {
            return Err(ReformError::NotAmong(own.to_owned()));
        }
        let mut founders = Vec::new();
        for endpoint in endpoints {
            founders.push(self.describe(endpoint).await?);
        }
        let begun = founders.iter().find_map(|it| it.cluster.clone());
        let cluster = begun.unwrap_or_else(identity::draw_cluster);
        for founder in &founders {
            let is_other = founder.cluster.as_ref().is_some_and(|it| *it != cluster);
            if founder.initialized || is_other {
                return Err(ReformError::Founded {
                    endpoint: founder.endpoint.clone(),
                    cluster: founder.cluster.clone().unwrap_or_default(),
                });
            }
        }
        for founder in &founders {
            self.adopt(founder, &cluster).await?;
        }
        let members: BTreeMap<u64, BasicNode> = founders
            .into_iter()
            .map(|founder| (founder.node, BasicNode::new(founder.endpoint)))
            .collect();
        let begun = self.raft().initialize(members).await;
        begun.map_err(|error| ReformError::Unavailable(error.to_string()))
    }

    /// Asks who is at an endpoint.
    pub(super) async fn describe(&self, endpoint: &str) -> Result<Found, ReformError> {
        let unreachable = |why: String| ReformError::Unreachable {
            endpoint: endpoint.to_owned(),
            why,
        };
        let mut client = peer::client(self.members().dial(), endpoint).map_err(unreachable)?;
        let mut request = tonic::Request::new(pb::DescribeRequest {});
        request.set_timeout(ANSWER);
        let asked = tokio::time::timeout(ANSWER, client.describe(request)).await;
        let answer = asked
            .map_err(|_elapsed| unreachable("it does not answer".to_owned()))?
            .map_err(|status| unreachable(meridian_error::chain(&status)))?
            .into_inner();
        if answer.region != self.claim().region().as_str() {
            return Err(ReformError::OtherRegion {
                endpoint: endpoint.to_owned(),
                found: answer.region,
                wanted: self.claim().region(),
            });
        }
        if answer.retired {
            return Err(ReformError::Retired {
                endpoint: endpoint.to_owned(),
            });
        }
        Ok(Found {
            endpoint: endpoint.to_owned(),
            node: answer.node,
            cluster: Some(answer.cluster).filter(|cluster| !cluster.is_empty()),
            initialized: answer.initialized,
        })
    }

    /// Has a member belong to `cluster`, for good.
    pub(super) async fn adopt(&self, found: &Found, cluster: &str) -> Result<(), ReformError> {
        let unreachable = |why: String| ReformError::Unreachable {
            endpoint: found.endpoint.clone(),
            why,
        };
        let client = peer::client(self.members().dial(), &found.endpoint);
        let mut request = tonic::Request::new(pb::AdoptRequest {
            cluster: cluster.to_owned(),
            to: found.node,
            region: self.claim().region().to_string(),
        });
        request.set_timeout(ANSWER);
        let mut client = client.map_err(unreachable)?;
        let asked = tokio::time::timeout(ANSWER, client.adopt(request)).await;
        asked
            .map_err(|_elapsed| unreachable("it does not answer".to_owned()))?
            .map(drop)
            .map_err(|status| unreachable(meridian_error::chain(&status)))
    }

    /// Founds the group with the others as soon as all founders are there, or waits until it is
    /// founded. The first of them, in the order of their addresses, does it.
    pub(crate) async fn found_when_all_are_there(&self, founders: &[String], pause: Duration) {
        let mut sorted = founders.to_vec();
        sorted.sort();
        sorted.dedup();
        let is_mine = self
            .advertise()
            .is_some_and(|own| sorted.first().is_some_and(|it| it == own));
        let mut told = None;
        while !matches!(self.is_initialized().await, Ok(true) | Err(_)) {
            if is_mine {
                match self.found(&sorted).await {
                    Ok(()) => {
                        tracing::info!(members = sorted.len(), "the group is founded");
                        return;
                    }
                    Err(error) => {
                        let error = error.to_string();
                        if told.as_ref() != Some(&error) {
                            tracing::info!(error, "the group is not founded yet");
                        }
                        told = Some(error);
                    }
                }
            }
            tokio::time::sleep(pause).await;
        }
    }
}
