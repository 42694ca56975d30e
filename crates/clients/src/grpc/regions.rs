//! The other regions over gRPC, as a frontend sees them.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use meridian_clock::{Region, Version};
use meridian_event::Target;
use meridian_oci::{Digest, Reference};
use meridian_proto::meridian::replication::v1 as pb;
use pb::read_blob_response::Message;
use pb::regions_client::RegionsClient;
use tonic::{Request, Streaming};

use super::call::{Repeat, Unary, unreadable};
use super::convert::{self, DecodeError};
use super::incoming::incoming;
use super::{EndpointError, GrpcConfig, MAX_METADATA_MESSAGE, Ways, failure};
use crate::image::ImageStatus;
use crate::regions::{Freshness, RegionsApi, RemoteBlob, ReplicationStatus, Resolved};
use crate::{BlobRead, ReadBlobError, ReadError, RepositoryPath};

/// How long what a push relies on may be on its way: about as long as its client waits.
const BRING: Duration = Duration::from_secs(600);

type Client = RegionsClient<Ways>;

/// A [`RegionsApi`] in another process. Cheap to clone; clones share their connection.
#[derive(Debug, Clone)]
pub struct GrpcRegions {
    /// Asked once: an agent that says that another region does not answer has waited for it already, and
    /// whoever asked has an answer for that.
    calls: Unary<Client>,
    /// Each agent of the region by itself: what one does, the others do not know.
    agents: Vec<Unary<Client>>,
    /// These wait for content. What was brought may be brought again.
    bringing: Unary<Client>,
    stall_timeout: Duration,
}

// === impl GrpcRegions ===

impl GrpcRegions {
    /// The agent at `endpoint`, such as `http://127.0.0.1:7403`. Does no I/O yet.
    ///
    /// # Errors
    ///
    /// When `endpoint` says something else.
    pub fn at(endpoint: &str, config: &GrpcConfig) -> Result<Self, EndpointError> {
        Ok(Self::over(super::channel(endpoint, config)?, config))
    }

    /// The agent at the other end of `channel`.
    #[must_use]
    pub fn over(ways: impl Into<Ways>, config: &GrpcConfig) -> Self {
        let ways = ways.into();
        let client = |ways| {
            RegionsClient::new(ways)
                .max_decoding_message_size(MAX_METADATA_MESSAGE)
                .max_encoding_message_size(MAX_METADATA_MESSAGE)
        };
        let calls = |ways| Unary::new(client(ways), config.deadline, Repeat::No);
        let agents = ways.each().map(calls).collect();
        let client = client(ways);
        Self {
            calls: Unary::new(client.clone(), config.deadline, Repeat::No),
            agents,
            bringing: Unary::new(client, config.deadline.max(BRING), Repeat::Yes),
            stall_timeout: config.stall_timeout,
        }
    }
}

#[async_trait]
impl RegionsApi for GrpcRegions {
    async fn freshness(&self) -> Result<Freshness, ReadError> {
        let send = |mut to: Client, request| async move { to.get_freshness(request).await };
        let message = pb::GetFreshnessRequest {};
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn resolve(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
        at_least: Option<Version>,
    ) -> Result<Resolved, ReadError> {
        let send = |mut to: Client, request| async move { to.resolve(request).await };
        let message = pb::ResolveRequest {
            repository: Some(repository.into()),
            reference: reference.to_string(),
            at_least: at_least.map(Into::into),
        };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn read_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<RemoteBlob, ReadBlobError> {
        let message = pb::ReadBlobRequest {
            repository: Some(repository.into()),
            digest: Some(digest.into()),
            range: range.map(ToOwned::to_owned),
        };
        let attempt = |_left| {
            let (mut to, request) = (self.calls.client.clone(), Request::new(message.clone()));
            async move {
                let answer = to.read_blob(request).await;
                let answer =
                    answer.map_err(|status| failure::from_status::<ReadBlobError>(&status))?;
                open(answer.into_inner(), self.stall_timeout).await
            }
        };
        self.calls.attempt(attempt).await
    }

    async fn bring(
        &self,
        repository: &RepositoryPath,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, ReadError> {
        let send = |mut to: Client, request| async move { to.bring(request).await };
        let read = |answer: pb::BringResponse| convert::take_digests(answer.absent);
        let message = pb::BringRequest {
            repository: Some(repository.into()),
            digests: convert::digests(digests),
        };
        self.bringing.call(message, send, read).await
    }

    async fn holders(
        &self,
        repository: &RepositoryPath,
        target: &Target,
    ) -> Result<Vec<Region>, ReadError> {
        let message = convert::holders_request(repository, target);
        let send = |mut to: Client, request| async move { to.list_holders(request).await };
        let read = |answer: pb::ListHoldersResponse| {
            let regions = answer.regions.iter();
            let regions = regions.map(|region| meridian_proto::text(region, "regions"));
            regions.collect::<Result<_, DecodeError>>()
        };
        self.calls.call(message, send, read).await
    }

    async fn status(&self) -> Result<ReplicationStatus, ReadError> {
        let send =
            |mut to: Client, request| async move { to.get_replication_status(request).await };
        let ask = |agent: Unary<Client>| async move {
            let message = pb::GetReplicationStatusRequest {};
            agent.call(message, send, TryInto::try_into).await
        };
        let answers = join_all(self.agents.iter().cloned().map(ask)).await;
        // One that is away does nothing: another has its part soon, and says so then.
        let both = |one, other| match (one, other) {
            (Ok(one), Ok(other)) => Ok(ReplicationStatus::and(one, other)),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            (Err(error), Err(_)) => Err(error),
        };
        answers.into_iter().reduce(both).unwrap_or_else(|| {
            let reason = "this region has no agent".to_owned();
            Err(ReadError::Unavailable { reason })
        })
    }

    async fn skip(&self, origin: Region, shard: u16) -> Result<Option<u64>, ReadError> {
        let send = |mut to: Client, request| async move { to.skip_record(request).await };
        let read = |answer: pb::SkipRecordResponse| Ok(answer.offset);
        let mut silent = None;
        for agent in &self.agents {
            let message = pb::SkipRecordRequest {
                origin: origin.to_string(),
                shard: shard.into(),
            };
            match agent.call(message, send, read).await {
                Ok(Some(offset)) => return Ok(Some(offset)),
                Ok(None) => {}
                Err(error) => silent = Some(error),
            }
        }
        silent.map_or(Ok(None), Err)
    }

    async fn image(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
        at_least: Option<Version>,
    ) -> Result<ImageStatus, ReadError> {
        let send = |mut to: Client, request| async move { to.get_image_status(request).await };
        let message = pb::GetImageStatusRequest {
            repository: Some(repository.into()),
            reference: reference.to_string(),
            at_least: at_least.map(Into::into),
        };
        self.calls.call(message, send, TryInto::try_into).await
    }
}

/// Takes the head off a blob.
async fn open(
    mut messages: Streaming<pb::ReadBlobResponse>,
    stall_timeout: Duration,
) -> Result<RemoteBlob, ReadBlobError> {
    let first = messages.message().await;
    let first = first.map_err(|status| failure::from_status::<ReadBlobError>(&status))?;
    let Some(Message::Head(head)) = first.and_then(|first| first.message) else {
        return Err(unreadable(&DecodeError::Missing("head")));
    };
    let region = head.region.parse();
    let region =
        region.map_err(|_| unreadable::<ReadBlobError>(&DecodeError::Invalid("region")))?;
    let read = match extent(&head) {
        Some(Extent::Unsatisfiable) => BlobRead::Unsatisfiable { size: head.size },
        Some(Extent::Whole) => BlobRead::Whole {
            size: head.size,
            body: incoming(messages, head.size, stall_timeout),
        },
        Some(Extent::Part) => BlobRead::Part {
            size: head.size,
            start: head.start,
            end_inclusive: head.end - 1,
            body: incoming(messages, head.end - head.start, stall_timeout),
        },
        None => return Err(unreadable(&DecodeError::Invalid("end"))),
    };
    Ok(RemoteBlob {
        region,
        is_needed: head.needed,
        read,
    })
}

/// What follows a head.
enum Extent {
    Whole,
    Part,
    Unsatisfiable,
}

fn extent(head: &pb::ReadBlobHead) -> Option<Extent> {
    let fits = head.start < head.end && head.end <= head.size;
    match (head.unsatisfiable, head.partial) {
        (true, _) => Some(Extent::Unsatisfiable),
        (false, true) => fits.then_some(Extent::Part),
        (false, false) => (head.start == 0 && head.end == head.size).then_some(Extent::Whole),
    }
}
