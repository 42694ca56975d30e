//! What other members say to this one, over gRPC.
//!
//! Owns the check of every envelope: a message for another group or another member is refused before
//! it is read. Leaves who may call at all to the listener.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use meridian_chassis::status;
use meridian_clients::grpc::failure;
use meridian_proto::meridian::raft::v1 as pb;
use openraft::errors::RaftError;
use pb::raft_server::{Raft, RaftServer};
use pb::snapshot_part::Part;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::{Request, Response, Status, Streaming};

use crate::group::{Forwarded, Group, Work};
use crate::membership::Change;
use crate::raft::peer::MAX_MESSAGE;
use crate::raft::transfer::Receiver;
use crate::raft::{Snapshot, SnapshotMeta, Vote, appends, codec};

/// By which name the health service knows this one.
pub const RAFT_GRPC_SERVICE: &str = pb::raft_server::SERVICE_NAME;

/// A member as a gRPC service. Cheap to clone.
#[derive(Clone)]
pub struct RaftAdapter {
    group: Arc<Group>,
}

type Answer<T> = Result<Response<T>, Status>;

pub(crate) fn raft_server(group: Arc<Group>) -> RaftServer<RaftAdapter> {
    RaftServer::new(RaftAdapter { group })
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE)
}

// === impl RaftAdapter ===

impl RaftAdapter {
    /// Notes that somebody lives who does that work, if this member leads.
    fn attend_here(&self, work: Work, request: &Request<pb::Message>) -> Answer<pb::Message> {
        let who = self.open(request.get_ref())?;
        if !self.group.is_leader() {
            return Err(Status::unavailable("another member leads by now"));
        }
        seal(&self.group.attend_here(work, who))
    }

    /// What a message says, if it is for this member.
    fn open<T: DeserializeOwned>(&self, message: &pb::Message) -> Result<T, Status> {
        let envelope = message.envelope.as_ref();
        let envelope = envelope.ok_or_else(|| Status::invalid_argument("envelope: missing"))?;
        let claim = self.group.claim();
        let cluster = claim.cluster().unwrap_or_default();
        if cluster.is_empty() || envelope.cluster != cluster || envelope.to != claim.node() {
            return Err(Status::failed_precondition(format!(
                "this is member {:016x} of the cluster {cluster:?}",
                claim.node()
            )));
        }
        if claim.is_retired() {
            return Err(Status::failed_precondition("this member was removed"));
        }
        let meaning = codec::decode(&message.payload);
        meaning.map_err(|error| Status::invalid_argument(format!("payload: {error}")))
    }

    async fn appended(&self, message: &pb::Message) -> Result<pb::Message, Status> {
        let entries = self.open(message)?;
        let answer = self.group.raft().append_entries(entries).await;
        sealed(&answer.map_err(stopped)?)
    }
}

fn seal<T: Serialize>(payload: &T) -> Answer<pb::Message> {
    sealed(payload).map(Response::new)
}

fn sealed<T: Serialize>(payload: &T) -> Result<pb::Message, Status> {
    let payload = codec::encode(payload).map_err(|error| Status::internal(error.to_string()))?;
    Ok(pb::Message {
        envelope: None,
        payload: payload.into(),
    })
}

fn stopped<E: std::error::Error>(error: RaftError<crate::raft::TypeConfig, E>) -> Status {
    Status::unavailable(error.to_string())
}

#[tonic::async_trait]
impl Raft for RaftAdapter {
    type AppendAllStream = BoxStream<'static, Result<pb::Message, Status>>;

    async fn append(&self, request: Request<pb::Message>) -> Answer<pb::Message> {
        self.appended(request.get_ref()).await.map(Response::new)
    }

    async fn append_all(
        &self,
        request: Request<Streaming<pb::Message>>,
    ) -> Answer<Self::AppendAllStream> {
        let adapter = self.clone();
        let answer = move |message: pb::Message| {
            let adapter = adapter.clone();
            async move { adapter.appended(&message).await }
        };
        let stop = self.group.draining().clone();
        let answers = appends::answers(request.into_inner(), stop, answer);
        Ok(Response::new(answers))
    }

    async fn vote(&self, request: Request<pb::Message>) -> Answer<pb::Message> {
        let vote = self.open(request.get_ref())?;
        let answer = self.group.raft().vote(vote).await;
        seal(&answer.map_err(stopped)?)
    }

    async fn pre_vote(&self, request: Request<pb::Message>) -> Answer<pb::Message> {
        let vote = self.open(request.get_ref())?;
        let answer = self.group.raft().pre_vote(vote).await;
        seal(&answer.map_err(stopped)?)
    }

    async fn transfer_leader(&self, request: Request<pb::Message>) -> Answer<pb::Message> {
        let transfer = self.open(request.get_ref())?;
        let answer = self.group.raft().handle_transfer_leader(transfer).await;
        seal(&answer.map_err(|error| Status::unavailable(error.to_string()))?)
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<pb::SnapshotPart>>,
    ) -> Answer<pb::Message> {
        let mut parts = request.into_inner();
        let cut = || Status::data_loss("the snapshot has broken off");
        let part = async |parts: &mut Streaming<pb::SnapshotPart>| {
            let part = parts.next().await.ok_or_else(cut)??;
            part.part.ok_or_else(cut)
        };
        let Part::Head(head) = part(&mut parts).await? else {
            return Err(Status::invalid_argument("a snapshot begins with its head"));
        };
        let (vote, meta): (Vote, SnapshotMeta) = self.open(&head)?;
        let busy = |_| Status::unavailable("another snapshot is being received");
        let _alone = self.group.receiving().try_lock().map_err(busy)?;
        let failed = |error: std::io::Error| Status::internal(meridian_error::chain(&error));
        let receiver = Receiver::begin(self.group.folder(), &meta, self.group.state_patience());
        let image = loop {
            match part(&mut parts).await? {
                Part::Rows(rows) => receiver.rows(rows).await.map_err(failed)?,
                Part::End(end) => break receiver.finish(end.rows).await.map_err(failed)?,
                Part::Head(_) => return Err(Status::invalid_argument("a second head")),
            }
        };
        let snapshot = Snapshot {
            meta,
            snapshot: image,
        };
        let answer = self.group.raft().install_full_snapshot(vote, snapshot);
        let answer = answer.await;
        seal(&answer.map_err(|error| Status::unavailable(error.to_string()))?)
    }

    async fn propose(&self, request: Request<pb::Message>) -> Answer<pb::Message> {
        let forwarded: Forwarded = self.open(request.get_ref())?;
        let reply = self.group.propose_forwarded(&forwarded).await;
        let reply = reply.map_err(|error| failure::attach(status::to_status(&error), &error))?;
        seal(&reply)
    }

    async fn read_index(&self, request: Request<pb::Message>) -> Answer<pb::Message> {
        self.open::<()>(request.get_ref())?;
        let index = self.group.read_index().await;
        seal(&index.map_err(|error| failure::attach(status::to_status(&error), &error))?)
    }

    async fn attend(&self, request: Request<pb::Message>) -> Answer<pb::Message> {
        self.attend_here(Work::Replication, &request)
    }

    async fn attend_dispatch(&self, request: Request<pb::Message>) -> Answer<pb::Message> {
        self.attend_here(Work::Webhooks, &request)
    }

    async fn reform(&self, request: Request<pb::Message>) -> Answer<pb::Message> {
        let change: Change = self.open(request.get_ref())?;
        if !self.group.is_leader() {
            return Err(Status::unavailable("another member leads by now"));
        }
        seal(&self.group.reform_here(&change).await)
    }

    async fn standing(&self, request: Request<pb::Message>) -> Answer<pb::Message> {
        self.open::<()>(request.get_ref())?;
        seal(&self.group.standing())
    }

    async fn describe(
        &self,
        _request: Request<pb::DescribeRequest>,
    ) -> Answer<pb::DescribeResponse> {
        let claim = self.group.claim();
        let initialized = self.group.is_initialized().await;
        Ok(Response::new(pb::DescribeResponse {
            node: claim.node(),
            region: claim.region().to_string(),
            cluster: claim.cluster().unwrap_or_default(),
            retired: claim.is_retired(),
            initialized: initialized.map_err(|error| Status::unavailable(error.to_string()))?,
        }))
    }

    async fn adopt(&self, request: Request<pb::AdoptRequest>) -> Answer<pb::AdoptResponse> {
        let request = request.into_inner();
        let claim = self.group.claim().clone();
        if request.to != claim.node() || request.region != claim.region().as_str() {
            return Err(Status::failed_precondition("another member is meant"));
        }
        if request.cluster.is_empty() {
            return Err(Status::invalid_argument("cluster: missing"));
        }
        let adopted = tokio::task::spawn_blocking(move || claim.adopt(&request.cluster)).await;
        adopted
            .map_err(|error| Status::internal(error.to_string()))?
            .map_err(|error| Status::failed_precondition(meridian_error::chain(&error)))?;
        Ok(Response::new(pb::AdoptResponse {}))
    }

    async fn retire(&self, request: Request<pb::Message>) -> Answer<pb::Message> {
        self.open::<()>(request.get_ref())?;
        let claim = self.group.claim().clone();
        let retired = tokio::task::spawn_blocking(move || claim.retire()).await;
        retired
            .map_err(|error| Status::internal(error.to_string()))?
            .map_err(|error| Status::internal(meridian_error::chain(&error)))?;
        self.group.be_gone();
        seal(&())
    }
}
