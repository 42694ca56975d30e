//! A region, for the agents of others.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use meridian_clients::grpc::body::Pieces as Cut;
use meridian_clients::grpc::{MAX_METADATA_MESSAGE, convert, deadline};
use meridian_clients::peer::{PeerApi, Piece, Pieces};
use meridian_proto::meridian::replication::v1 as pb;
use pb::fetch_response::Message;
use pb::peer_server::{Peer, PeerServer};
use tonic::{Request, Response, Status};

use super::{Answer, malformed, refused};

/// By which name the health service knows it.
pub const PEER_GRPC_SERVICE: &str = pb::peer_server::SERVICE_NAME;

/// A [`PeerApi`] as a gRPC service. Cheap to clone.
#[derive(Clone)]
pub struct PeerAdapter {
    api: Arc<dyn PeerApi>,
}

/// The gRPC service in front of `api`.
#[must_use]
pub fn peer_server(api: Arc<dyn PeerApi>) -> PeerServer<PeerAdapter> {
    PeerServer::new(PeerAdapter { api })
        .max_decoding_message_size(MAX_METADATA_MESSAGE)
        .max_encoding_message_size(MAX_METADATA_MESSAGE)
}

type Messages = Pin<Box<dyn Stream<Item = Result<pb::FetchResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Peer for PeerAdapter {
    type FetchStream = Messages;

    async fn get_progress(
        &self,
        request: Request<pb::GetProgressRequest>,
    ) -> Answer<pb::GetProgressResponse> {
        let progress = async |_asked| {
            let progress = self.api.progress().await;
            progress.map(Into::into).map_err(refused)
        };
        deadline::within(request, progress).await
    }

    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Answer<pb::ListEventsResponse> {
        let events = async |request: pb::ListEventsRequest| {
            let range = request.try_into().map_err(malformed)?;
            let events = self.api.events(&range).await;
            events.map(Into::into).map_err(refused)
        };
        deadline::within(request, events).await
    }

    async fn holds(&self, request: Request<pb::HoldsRequest>) -> Answer<pb::HoldsResponse> {
        let holds = async |request: pb::HoldsRequest| {
            let contents = convert::take_contents(request.contents).map_err(malformed)?;
            let held = self.api.holds(&contents).await;
            held.map(convert::held).map_err(refused)
        };
        deadline::within(request, holds).await
    }

    async fn find(&self, request: Request<pb::FindRequest>) -> Answer<pb::FindResponse> {
        let find = async |request: pb::FindRequest| {
            let wanted = convert::take_find_request(request).map_err(malformed)?;
            let (registry, repository, reference) = wanted;
            let found = self.api.find(registry, &repository, &reference).await;
            let found = found.map(convert::found).map_err(refused)?;
            Ok(pb::FindResponse { found })
        };
        deadline::within(request, find).await
    }

    async fn fetch(&self, request: Request<pb::FetchRequest>) -> Answer<Messages> {
        let parts = convert::take_parts(request.into_inner()).map_err(malformed)?;
        let pieces = self.api.fetch(&parts).await.map_err(refused)?;
        Ok(Response::new(Outgoing::new(pieces).messages()))
    }

    async fn copy(&self, request: Request<pb::CopyRequest>) -> Answer<pb::CopyResponse> {
        let copy = async |request: pb::CopyRequest| {
            let (after, limit) = convert::take_copy_request(request).map_err(malformed)?;
            let page = self.api.copy(after, limit).await;
            page.map(Into::into).map_err(refused)
        };
        deadline::within(request, copy).await
    }

    async fn get_image_report(
        &self,
        request: Request<pb::GetImageReportRequest>,
    ) -> Answer<pb::GetImageReportResponse> {
        let report = async |request: pb::GetImageReportRequest| {
            let asked = convert::take_image_report_request(request).map_err(malformed)?;
            let (registry, repository, reference) = asked;
            let report = self.api.image(registry, &repository, &reference).await;
            let report = report.map_err(refused)?.map(Into::into);
            Ok(pb::GetImageReportResponse { report })
        };
        deadline::within(request, report).await
    }
}

/// Content on its way out.
struct Outgoing {
    /// Absent when it has ended.
    pieces: Option<Pieces>,
    next: VecDeque<Message>,
}

// === impl Outgoing ===

impl Outgoing {
    fn new(pieces: Pieces) -> Self {
        Self {
            pieces: Some(pieces),
            next: VecDeque::new(),
        }
    }

    fn messages(self) -> Messages {
        Box::pin(stream::try_unfold(self, |mut outgoing| async move {
            let message = outgoing.message().await?;
            let message = message.map(|message| pb::FetchResponse {
                message: Some(message),
            });
            Ok(message.map(|message| (message, outgoing)))
        }))
    }

    async fn message(&mut self) -> Result<Option<Message>, Status> {
        loop {
            if let Some(message) = self.next.pop_front() {
                return Ok(Some(message));
            }
            let Some(pieces) = &mut self.pieces else {
                return Ok(None);
            };
            match pieces.next().await {
                Some(piece) => self.next = cut(piece.map_err(refused)?),
                None => {
                    self.pieces = None;
                    return Ok(Some(Message::End(true)));
                }
            }
        }
    }
}

/// A piece as messages, none too large.
fn cut(piece: Piece) -> VecDeque<Message> {
    let number = |part| u32::try_from(part).unwrap_or(u32::MAX);
    match piece {
        Piece::Absent(part) => VecDeque::from([Message::Absent(number(part))]),
        Piece::Bytes(part, bytes) => {
            let mut cut = Cut::default();
            cut.push(bytes);
            let chunks = std::iter::from_fn(|| cut.pop()).map(|content| pb::Chunk {
                part: number(part),
                content,
            });
            chunks.map(Message::Chunk).collect()
        }
    }
}
