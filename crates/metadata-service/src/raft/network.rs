//! The network between members, for openraft.
//!
//! Owns what Raft makes of the answers of a [`Peer`]: who cannot be reached is left alone for a
//! while, everything else is tried again. Each purpose has a connection of its own, so that a
//! heartbeat never waits behind entries, nor entries behind a snapshot.

use std::time::Duration;

use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, BasicNode, OptionalSend};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::identity::Claim;
use crate::raft::peer::{Call, CallError, Dial, Peer};
use crate::raft::snapshot::Image;
use crate::raft::{Snapshot, TypeConfig, Vote, transfer};

/// Makes connections to the other members.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) claim: Claim,
    pub(crate) dial: Dial,
}

type Failure = RPCError<TypeConfig>;

// === impl Network ===

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        Peer::new(self.claim.clone(), &self.dial, target, &node.addr)
    }
}

// === impl Peer ===

impl Peer {
    async fn rpc<Q, R>(
        &self,
        call: Call,
        action: RPCTypes,
        request: &Q,
        option: &RPCOption,
    ) -> Result<R, Failure>
    where
        Q: Serialize,
        R: DeserializeOwned,
    {
        let limit = option.soft_ttl();
        let asked = self.ask(call, request, limit).await;
        asked.map_err(|error| self.failure(error, action, limit))
    }

    fn failure(&self, error: CallError, action: RPCTypes, timeout: Duration) -> Failure {
        match error {
            CallError::Unreachable(_) => Unreachable::new(&AnyError::new(&error)).into(),
            CallError::Elapsed => Timeout {
                action,
                id: self.me(),
                target: self.target(),
                timeout,
            }
            .into(),
            CallError::Codec(_) | CallError::Refused(_) => {
                NetworkError::new(&AnyError::new(&error)).into()
            }
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = Image;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, Failure> {
        let action = RPCTypes::AppendEntries;
        self.rpc(Call::Append, action, &request, &option).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        self.rpc(Call::Vote, RPCTypes::Vote, &request, &option)
            .await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        self.rpc(Call::PreVote, RPCTypes::Vote, &request, &option)
            .await
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, Failure> {
        let action = RPCTypes::TransferLeader;
        self.rpc(Call::TransferLeader, action, &request, &option)
            .await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let limit = option.hard_ttl();
        let failure = |error: CallError| match self.failure(error, RPCTypes::InstallSnapshot, limit)
        {
            RPCError::Timeout(error) => StreamingError::Timeout(error),
            RPCError::Unreachable(error) => StreamingError::Unreachable(error),
            RPCError::Network(error) => StreamingError::Network(error),
            RPCError::RemoteError(never) => match never.source {},
        };
        let head = self.message(&(vote, &snapshot.meta)).map_err(failure)?;
        let parts = transfer::send(head, snapshot.snapshot);
        let sent = async {
            let answer = self.client()?.install_snapshot(parts).await?;
            Ok(crate::raft::codec::decode(&answer.into_inner().payload)?)
        };
        tokio::select! {
            sent = tokio::time::timeout(limit, sent) => match sent {
                Ok(sent) => sent.map_err(failure),
                Err(_elapsed) => Err(failure(CallError::Elapsed)),
            },
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }
}
