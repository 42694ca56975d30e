//! The other members, and the way to them.
//!
//! Owns one connection for each member that is asked something besides what Raft asks by itself:
//! forwarded writes, read indexes, changes of the group. Addresses are those of the membership that
//! is in force here; one that changed is dialled anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::identity::Claim;
use crate::raft::Raft;
use crate::raft::peer::{CallError, Dial, Peer};

/// The way to the other members. Clones share it.
#[derive(Clone)]
pub(crate) struct Members {
    claim: Claim,
    dial: Dial,
    peers: Arc<Mutex<HashMap<u64, (String, Peer)>>>,
}

// === impl Members ===

impl Members {
    pub(crate) fn new(claim: Claim, dial: Dial) -> Self {
        Self {
            claim,
            dial,
            peers: Arc::default(),
        }
    }

    /// Which member this is.
    pub(crate) fn me(&self) -> u64 {
        self.claim.node()
    }

    /// The stamp of this member.
    pub(crate) const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// How endpoints are reached.
    pub(crate) const fn dial(&self) -> &Dial {
        &self.dial
    }

    /// A member, as the membership in force names it.
    pub(crate) fn peer(&self, raft: &Raft, node: u64) -> Result<Peer, CallError> {
        let membership = membership(raft);
        let found = membership.get_node(&node);
        let endpoint = found
            .map(|found| found.addr.clone())
            .ok_or_else(|| CallError::Unreachable(format!("member {node:x} is not known here")))?;
        Ok(self.at(node, endpoint))
    }

    /// A member at an endpoint.
    pub(crate) fn at(&self, node: u64, endpoint: String) -> Peer {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        match peers.get(&node) {
            Some((known, peer)) if *known == endpoint => peer.clone(),
            _ => {
                let peer = Peer::new(self.claim.clone(), &self.dial, node, &endpoint);
                peers.insert(node, (endpoint, peer.clone()));
                peer
            }
        }
    }
}

/// The membership in force, as far as this member knows.
pub(crate) fn membership(raft: &Raft) -> Arc<crate::raft::Membership> {
    use openraft::type_config::async_runtime::watch::WatchReceiver as _;
    let metrics = raft.server_metrics();
    Arc::clone(&metrics.borrow_watched().membership_config)
}
