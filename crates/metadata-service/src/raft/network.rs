//! The network between members, for openraft.
//!
//! Owns what Raft makes of the answers of a [`Peer`]: who cannot be reached is left alone for a
//! while, everything else is tried again. Each purpose has a connection of its own, so that a
//! heartbeat never waits behind entries, nor entries behind a snapshot. A request that only says how
//! far the log is committed waits a moment for entries to say it with: it is half of all that is said
//! where one writes after the other, and whoever reads at a follower is told by the heartbeat that
//! confirms the leader (with lease reads there is none, so that they wait the moment too).

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{
    RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2, stream_append_sequential,
};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, BasicNode, OptionalSend};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::identity::Claim;
use crate::raft::appends::Appends;
use crate::raft::peer::{Call, CallError, Dial, Peer};
use crate::raft::snapshot::Image;
use crate::raft::{Snapshot, TypeConfig, Vote, codec, transfer};

/// How long a request without entries waits for one with some.
const HOLD: Duration = Duration::from_millis(5);

/// How long entries may take at least: until they are on the other one's disk. Given up, they are sent anew with
/// all that was written since, which takes longer still: where a member needs more than the protocol's heartbeat
/// for them, because its machine is busy or its disk is slow, it would never catch up. Heartbeats go by themselves,
/// so that nobody is taken for alive who is not.
const ENTRIES: Duration = Duration::from_secs(5);

/// Makes connections to the other members.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) claim: Claim,
    pub(crate) dial: Dial,
}

/// The way to a member, for one purpose.
pub(crate) struct Way {
    peer: Peer,
    /// The call that goes on, while one does.
    appends: Option<Appends>,
    /// Whether the member is of a version that knows no such calls.
    is_old: bool,
}

type Failure = RPCError<TypeConfig>;
type Append = AppendEntriesRequest<TypeConfig>;
type Appended = Result<StreamAppendResult<TypeConfig>, Failure>;

/// The requests that are worth sending: one without entries is passed over if another follows it
/// within the time, which says all that it would have. Where none will follow, it is sent at once.
fn condensed(
    requests: impl Stream<Item = Append> + Send + Unpin + 'static,
) -> BoxStream<'static, Append> {
    // One that has ended may be asked again.
    let condensed = futures::stream::unfold(requests.fuse(), |mut requests| async move {
        let mut request = requests.next().await?;
        while request.entries.is_empty()
            && let Ok(Some(next)) = tokio::time::timeout(HOLD, requests.next()).await
        {
            request = next;
        }
        Some((request, requests))
    });
    Box::pin(condensed)
}

/// How long the answer to an append may take.
fn patience(request: &Append, option: &RPCOption) -> Duration {
    match request.entries.is_empty() {
        true => option.soft_ttl(),
        false => option.soft_ttl().max(ENTRIES),
    }
}

// === impl Network ===

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Way;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Way {
        Way {
            peer: Peer::new(self.claim.clone(), &self.dial, target, &node.addr),
            appends: None,
            is_old: false,
        }
    }
}

// === impl Way ===

impl Way {
    async fn rpc<Q, R>(
        &self,
        call: Call,
        action: RPCTypes,
        request: &Q,
        limit: Duration,
    ) -> Result<R, Failure>
    where
        Q: Serialize,
        R: DeserializeOwned,
    {
        let asked = self.peer.ask(call, request, limit).await;
        asked.map_err(|error| self.failure(error, action, limit))
    }

    /// Appends over the call that goes on. One that fails, or is given up, is not gone on with.
    async fn append(
        &mut self,
        request: &Append,
    ) -> Result<AppendEntriesResponse<TypeConfig>, CallError> {
        let message = self.peer.message(request)?;
        let appends = match self.appends.take().filter(Appends::is_fresh) {
            Some(appends) => appends,
            None => Appends::begin(&self.peer).await?,
        };
        let (answer, appends) = appends.ask(message).await?;
        self.appends = Some(appends);
        Ok(codec::decode(&answer.payload)?)
    }

    fn failure(&self, error: CallError, action: RPCTypes, timeout: Duration) -> Failure {
        match error {
            CallError::Unreachable(_) => Unreachable::new(&AnyError::new(&error)).into(),
            CallError::Elapsed => Timeout {
                action,
                id: self.peer.me(),
                target: self.peer.target(),
                timeout,
            }
            .into(),
            CallError::Codec(_) | CallError::Refused(_) => {
                NetworkError::new(&AnyError::new(&error)).into()
            }
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Way {
    type SnapshotData = Image;

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Appended>, Failure>>
    where
        S: Stream<Item = Append> + OptionalSend + Unpin + 'static,
    {
        stream_append_sequential(self, condensed(input), option)
    }

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, Failure> {
        let action = RPCTypes::AppendEntries;
        let limit = patience(&request, &option);
        if self.is_old {
            return self.rpc(Call::Append, action, &request, limit).await;
        }
        let appended = tokio::time::timeout(limit, self.append(&request)).await;
        let appended = appended.unwrap_or(Err(CallError::Elapsed));
        self.is_old = appended.as_ref().is_err_and(CallError::is_unknown);
        appended.map_err(|error| self.failure(error, action, limit))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        self.rpc(Call::Vote, RPCTypes::Vote, &request, option.soft_ttl())
            .await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        self.rpc(Call::PreVote, RPCTypes::Vote, &request, option.soft_ttl())
            .await
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, Failure> {
        let action = RPCTypes::TransferLeader;
        self.rpc(Call::TransferLeader, action, &request, option.soft_ttl())
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
        let head = self.peer.message(&(vote, &snapshot.meta));
        let head = head.map_err(failure)?;
        let parts = transfer::send(head, snapshot.snapshot);
        let sent = async {
            let answer = self.peer.client()?.install_snapshot(parts).await?;
            Ok(codec::decode(&answer.into_inner().payload)?)
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

#[cfg(test)]
mod tests {
    use futures::channel::mpsc;
    use openraft::entry::RaftEntry as _;

    use super::*;
    use crate::raft::{LogId, RaftEntry};

    fn id(index: u64) -> LogId {
        LogId::new(*Vote::new_committed(1, 1).leader_id(), index)
    }

    fn request(entries: &[u64], committed: u64) -> Append {
        let entry = |index: &u64| RaftEntry::new_blank(id(*index));
        Append {
            vote: Vote::new_committed(1, 1),
            prev_log_id: None,
            entries: entries.iter().map(entry).collect(),
            leader_commit: Some(id(committed)),
        }
    }

    async fn committed(requests: &mut BoxStream<'static, Append>) -> Option<u64> {
        let request = requests.next().await?;
        request.leader_commit.map(|id| id.index)
    }

    #[test]
    fn entries_are_waited_for_longer_than_a_heartbeat() {
        let option = RPCOption::new(Duration::from_millis(150));
        let limit = |entries: &[u64]| patience(&request(entries, 0), &option);
        assert!(limit(&[1]) >= Duration::from_secs(1));
        assert!(limit(&[]) < Duration::from_millis(150));
    }

    #[tokio::test]
    async fn what_is_committed_is_said_with_the_entries_that_come_next() {
        let (sender, requests) = mpsc::unbounded();
        let mut requests = condensed(requests);
        let send = |entries: &[u64], committed| {
            sender.unbounded_send(request(entries, committed)).unwrap();
        };
        send(&[1], 0);
        send(&[], 1);
        send(&[], 1);
        send(&[2], 1);
        assert_eq!(committed(&mut requests).await, Some(0));
        let next = requests.next().await.unwrap();
        assert_eq!((next.entries.len(), next.leader_commit), (1, Some(id(1))));
    }

    #[tokio::test]
    async fn what_is_committed_is_said_alone_when_nothing_comes_in_time() {
        let (sender, requests) = mpsc::unbounded();
        let mut requests = condensed(requests);
        sender.unbounded_send(request(&[], 1)).unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(committed(&mut requests).await, Some(1));
        assert!(began.elapsed() >= HOLD);
        // A stream that ends holds nothing back.
        sender.unbounded_send(request(&[], 2)).unwrap();
        drop(sender);
        assert_eq!(committed(&mut requests).await, Some(2));
        assert_eq!(committed(&mut requests).await, None);
    }
}
