//! What one member asks another.
//!
//! Owns the way of a message: its envelope, its encoding, its time. Keeps the invariant that a
//! member is spoken to as the member that it is: the envelope names group and member, and whoever
//! answers at its address by now refuses what is meant for another. Leaves to `network` what Raft
//! makes of a failure, and to `group` what a forwarded call means.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use meridian_clients::grpc::Channel;
use meridian_proto::meridian::raft::v1 as pb;
use pb::raft_client::RaftClient;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::{Code, Request, Status};

use crate::identity::Claim;
use crate::raft::codec;

/// The greatest message between members: entries of 8 MiB, or one that is larger by itself.
pub(crate) const MAX_MESSAGE: usize = 32 << 20;

/// Makes a connection to an endpoint, when it is first used. The error says what is wrong with it.
pub type Dial = Arc<dyn Fn(&str) -> Result<Channel, String> + Send + Sync>;

/// How a member is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Append,
    Vote,
    PreVote,
    TransferLeader,
    Propose,
    ReadIndex,
    Attend,
    AttendDispatch,
    Reform,
    Standing,
    Retire,
}

/// Another member, or whoever is at its address. Cheap to clone; clones share a connection.
#[derive(Clone)]
pub(crate) struct Peer {
    claim: Claim,
    target: u64,
    client: Result<RaftClient<Channel>, String>,
}

/// Why a member was not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("a message cannot be encoded, or means nothing")]
    Codec(#[from] io::Error),
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("it did not answer in time")]
    Elapsed,
    #[error("it refused")]
    Refused(#[source] Box<Status>),
}

/// The client of whoever is at an address.
pub(crate) fn client(dial: &Dial, endpoint: &str) -> Result<RaftClient<Channel>, String> {
    let client = RaftClient::new(dial(endpoint)?)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    Ok(client)
}

// === impl Peer ===

impl Peer {
    pub(crate) fn new(claim: Claim, dial: &Dial, target: u64, endpoint: &str) -> Self {
        Self {
            claim,
            target,
            client: client(dial, endpoint),
        }
    }

    pub(crate) const fn target(&self) -> u64 {
        self.target
    }

    pub(crate) fn me(&self) -> u64 {
        self.claim.node()
    }

    /// Asks, and waits for the answer for so long.
    pub(crate) async fn ask<Q, R>(
        &self,
        call: Call,
        request: &Q,
        limit: Duration,
    ) -> Result<R, CallError>
    where
        Q: Serialize,
        R: DeserializeOwned,
    {
        let mut client = self.client()?;
        let mut request = Request::new(self.message(request)?);
        request.set_timeout(limit);
        let asked = async {
            match call {
                Call::Append => client.append(request).await,
                Call::Vote => client.vote(request).await,
                Call::PreVote => client.pre_vote(request).await,
                Call::TransferLeader => client.transfer_leader(request).await,
                Call::Propose => client.propose(request).await,
                Call::ReadIndex => client.read_index(request).await,
                Call::Attend => client.attend(request).await,
                Call::AttendDispatch => client.attend_dispatch(request).await,
                Call::Reform => client.reform(request).await,
                Call::Standing => client.standing(request).await,
                Call::Retire => client.retire(request).await,
            }
        };
        let answer = tokio::time::timeout(limit, asked).await;
        let answer = answer.map_err(|_elapsed| CallError::Elapsed)??;
        Ok(codec::decode(&answer.into_inner().payload)?)
    }

    pub(crate) fn client(&self) -> Result<RaftClient<Channel>, CallError> {
        self.client.clone().map_err(CallError::Unreachable)
    }

    /// A message for this member.
    pub(crate) fn message<Q: Serialize>(&self, request: &Q) -> Result<pb::Message, CallError> {
        let cluster = self.claim.cluster();
        let cluster =
            cluster.ok_or_else(|| CallError::Unreachable("we belong to no group".to_owned()))?;
        Ok(pb::Message {
            envelope: Some(pb::Envelope {
                cluster,
                from: self.claim.node(),
                to: self.target,
            }),
            payload: codec::encode(request)?.into(),
        })
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

// === impl CallError ===

impl CallError {
    /// Whether the member does not know the call.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::Unimplemented)
    }

    /// Whether nothing came back.
    pub(crate) const fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Elapsed)
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        use std::error::Error as _;
        // A status that has a cause was made on our side: nothing came back.
        match status.source() {
            Some(_) => Self::Unreachable(meridian_error::chain(&status)),
            None => Self::Refused(Box::new(status)),
        }
    }
}
