//! Another region over gRPC.
//!
//! Owns the calls between regions. Keeps the invariants that content which broke off never looks like
//! content that ended, because a stream says its end; and that no call outlives its deadline, but for
//! content on its way, of which each next piece has one of its own.

mod pieces;

use std::time::Duration;

use async_trait::async_trait;
use meridian_event::RegistryId;
use meridian_oci::{Reference, RepositoryName};
use meridian_proto::meridian::replication::v1 as pb;
use pb::peer_client::PeerClient;
use tonic::{Request, Response};

use self::pieces::pieces;
use super::call::{Repeat, Unary};
use super::convert;
use super::{EndpointError, GrpcConfig, MAX_METADATA_MESSAGE, Ways, failure};
use crate::image::ImageReport;
use crate::peer::{FetchPart, PeerApi, PeerError, Pieces};
use crate::replica::{Content, CopyMark, CopyPage, EventRange, Events, Found, Progress};

/// What is as small as that does not queue behind content: such as a manifest, for which all waits that it names. Nor
/// does it hold up an answer for long.
const SMALL: u64 = 256 << 10;

type Client = PeerClient<Ways>;

/// A [`PeerApi`] in another region. Cheap to clone; clones share their connections.
///
/// Connections are best made with [`between_regions`](GrpcConfig::between_regions).
#[derive(Debug, Clone)]
pub struct GrpcPeer {
    calls: Unary<Client>,
    /// By which content comes, unless it is small.
    content: Client,
    stall_timeout: Duration,
}

// === impl GrpcPeer ===

impl GrpcPeer {
    /// The region at `endpoint`, such as `http://127.0.0.1:7404`. Does no I/O yet.
    ///
    /// # Errors
    ///
    /// When `endpoint` says something else.
    pub fn at(endpoint: &str, config: &GrpcConfig) -> Result<Self, EndpointError> {
        Ok(Self::over(super::channel(endpoint, config)?, config))
    }

    /// The region at the other end of `channel`.
    #[must_use]
    pub fn over(ways: impl Into<Ways>, config: &GrpcConfig) -> Self {
        let client = client(ways.into());
        Self {
            content: client.clone(),
            // Any of them only reads.
            calls: Unary::new(client, config.deadline, Repeat::Yes),
            stall_timeout: config.stall_timeout,
        }
    }

    /// The same, with content coming by connections of its own. What fills a thin line far ahead of its reader
    /// is in nobody's way then: an answer on the same connection comes after all that was sent before it.
    #[must_use]
    pub fn with_content_over(self, ways: impl Into<Ways>) -> Self {
        Self {
            content: client(ways.into()),
            ..self
        }
    }
}

fn client(ways: Ways) -> Client {
    PeerClient::new(ways)
        .max_decoding_message_size(MAX_METADATA_MESSAGE)
        .max_encoding_message_size(MAX_METADATA_MESSAGE)
}

#[async_trait]
impl PeerApi for GrpcPeer {
    async fn progress(&self) -> Result<Progress, PeerError> {
        let send = |mut to: Client, request| async move { to.get_progress(request).await };
        let message = pb::GetProgressRequest {};
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn events(&self, range: &EventRange) -> Result<Events, PeerError> {
        let send = |mut to: Client, request| async move { to.list_events(request).await };
        let message = pb::ListEventsRequest::from(range);
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn holds(&self, contents: &[Content]) -> Result<Vec<Option<u64>>, PeerError> {
        let send = |mut to: Client, request| async move { to.holds(request).await };
        let read = |answer| convert::take_held(answer, contents.len());
        let message = convert::holds_request(contents);
        self.calls.call(message, send, read).await
    }

    async fn find(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Vec<Found>, PeerError> {
        let send = |mut to: Client, request| async move { to.find(request).await };
        let read = |answer: pb::FindResponse| convert::take_found(answer.found);
        let message = convert::find_request(registry, repository, reference);
        self.calls.call(message, send, read).await
    }

    async fn fetch(&self, parts: &[FetchPart]) -> Result<Pieces, PeerError> {
        let message = pb::FetchRequest {
            parts: parts.iter().map(Into::into).collect(),
        };
        let bytes = |part: &FetchPart| part.range.end.saturating_sub(part.range.start);
        let bytes = parts.iter().map(bytes).fold(0, u64::saturating_add);
        let way = match bytes <= SMALL {
            true => &self.calls.client,
            false => &self.content,
        };
        let attempt = |_left| {
            let (mut to, request) = (way.clone(), Request::new(message.clone()));
            async move {
                let answer = to.fetch(request).await;
                answer.map_err(|status| failure::from_status(&status))
            }
        };
        let answer: Response<_> = self.calls.attempt(attempt).await?;
        Ok(pieces(answer.into_inner(), parts.len(), self.stall_timeout))
    }

    async fn copy(&self, after: Option<CopyMark>, limit: usize) -> Result<CopyPage, PeerError> {
        let send = |mut to: Client, request| async move { to.copy(request).await };
        let message = convert::copy_request(after, limit);
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn image(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ImageReport>, PeerError> {
        let send = |mut to: Client, request| async move { to.get_image_report(request).await };
        let message = convert::image_report_request(registry, repository, reference);
        self.calls
            .call(message, send, convert::take_image_report)
            .await
    }
}
