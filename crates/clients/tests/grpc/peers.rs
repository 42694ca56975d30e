//! Content of other regions that breaks off, and answers that mean nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use meridian_clients::grpc::{GrpcConfig, GrpcPeer};
use meridian_clients::peer::{FetchPart, PeerApi, PeerError, Piece};
use meridian_clients::replica::{Content, ContentKind, EventRange};
use meridian_clock::Version;
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Algorithm, Digest};
use meridian_proto::meridian::replication::v1 as pb;
use pb::fetch_response::Message;
use tonic::{Request, Response, Status};

use super::harness::{Answer, Peer, config};

type Messages = BoxStream<'static, Result<pb::FetchResponse, Status>>;

/// A region that sends content by script, and knows nothing else.
struct Scripted {
    fetch: Arc<dyn Fn() -> Messages + Send + Sync>,
}

#[tonic::async_trait]
impl pb::peer_server::Peer for Scripted {
    type FetchStream = Messages;

    async fn fetch(&self, _request: Request<pb::FetchRequest>) -> Answer<Messages> {
        Ok(Response::new((self.fetch)()))
    }

    async fn get_progress(
        &self,
        _request: Request<pb::GetProgressRequest>,
    ) -> Answer<pb::GetProgressResponse> {
        Err(Status::permission_denied("who are you?"))
    }

    async fn list_events(
        &self,
        _request: Request<pb::ListEventsRequest>,
    ) -> Answer<pb::ListEventsResponse> {
        std::future::pending().await
    }

    async fn holds(&self, _request: Request<pb::HoldsRequest>) -> Answer<pb::HoldsResponse> {
        let held = vec![pb::Held { size: Some(1) }; 2];
        Ok(Response::new(pb::HoldsResponse { held }))
    }

    async fn find(&self, _request: Request<pb::FindRequest>) -> Answer<pb::FindResponse> {
        let found = vec![pb::Found { found: None }];
        Ok(Response::new(pb::FindResponse { found }))
    }

    async fn copy(&self, _request: Request<pb::CopyRequest>) -> Answer<pb::CopyResponse> {
        Err(Status::unavailable("away"))
    }

    async fn get_image_report(
        &self,
        _request: Request<pb::GetImageReportRequest>,
    ) -> Answer<pb::GetImageReportResponse> {
        Err(Status::unavailable("away"))
    }
}

fn chunk(part: u32, bytes: &'static [u8]) -> Message {
    Message::Chunk(pb::Chunk {
        part,
        content: Bytes::from_static(bytes),
    })
}

fn registry() -> RegistryId {
    RegistryId::new(Version {
        millis: 1,
        counter: 0,
        region: "eu".parse().unwrap(),
    })
}

fn part() -> FetchPart {
    FetchPart {
        registry: registry(),
        repository: "app".parse().unwrap(),
        kind: ContentKind::Blob,
        leaf: Leaf {
            digest: Digest::of(Algorithm::Sha256, b"it"),
            size: 9,
        },
        range: 0..9,
    }
}

async fn serve(fetch: impl Fn() -> Messages + Send + Sync + 'static) -> Peer {
    let scripted = Scripted {
        fetch: Arc::new(fetch),
    };
    let server = pb::peer_server::PeerServer::new(scripted);
    Peer::serve(tonic::service::Routes::new(server)).await
}

fn client(peer: &Peer, config: &GrpcConfig) -> GrpcPeer {
    GrpcPeer::at(&peer.endpoint(), config).unwrap()
}

/// What comes of messages, and how it ends, if two parts were asked for.
async fn fetched(messages: Vec<Message>, hangs: bool) -> Vec<Result<Piece, PeerError>> {
    let peer = serve(move || {
        let messages = messages.clone().into_iter().map(|message| {
            Ok(pb::FetchResponse {
                message: Some(message),
            })
        });
        let messages = stream::iter(messages.collect::<Vec<_>>());
        match hangs {
            true => messages.chain(stream::pending()).boxed(),
            false => messages.boxed(),
        }
    })
    .await;
    let config = GrpcConfig {
        stall_timeout: Duration::from_millis(100),
        ..config()
    };
    let fetched = client(&peer, &config).fetch(&[part(), part()]).await;
    fetched.unwrap().collect().await
}

fn bytes(part: usize, bytes: &'static [u8]) -> Result<Piece, PeerError> {
    Ok(Piece::Bytes(part, Bytes::from_static(bytes)))
}

#[tokio::test]
async fn content_that_was_said_to_end_has_ended() {
    let messages = vec![chunk(0, b"ab"), chunk(0, b""), Message::Absent(1)];
    let messages = [messages, vec![Message::End(true)]].concat();
    let pieces = fetched(messages, true).await;
    assert_eq!(pieces, [bytes(0, b"ab"), Ok(Piece::Absent(1))]);
}

#[tokio::test]
async fn content_that_breaks_off_is_no_end() {
    for before in [vec![], vec![chunk(0, b"ab")]] {
        let mut pieces = fetched(before.clone(), false).await;
        let end = pieces.pop().unwrap();
        assert!(matches!(end, Err(PeerError::Unavailable { .. })), "{end:?}");
        assert_eq!(pieces.len(), before.len());
    }
}

#[tokio::test]
async fn content_that_does_not_come_is_given_up() {
    let pieces = fetched(vec![chunk(1, b"ab")], true).await;
    assert_eq!(pieces, [bytes(1, b"ab"), Err(PeerError::DeadlineExceeded)]);
}

#[tokio::test]
async fn pieces_that_nobody_asked_for_are_refused() {
    for odd in [
        vec![chunk(2, b"x")],
        vec![chunk(1, b"x"), chunk(0, b"y")],
        vec![Message::Absent(7)],
        vec![Message::End(false)],
    ] {
        let end = fetched(odd.clone(), false).await.pop().unwrap();
        assert!(
            matches!(end, Err(PeerError::Refused { .. })),
            "{odd:?}: {end:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_means_nothing_is_no_outage() {
    let peer = serve(|| stream::empty().boxed()).await;
    let client = client(&peer, &config());
    let content = Content {
        registry: registry(),
        repository: "app".parse().unwrap(),
        kind: ContentKind::Blob,
        leaf: part().leaf,
    };
    let held = client.holds(&[content]).await.unwrap_err();
    let reference = "latest".parse().unwrap();
    let found = client
        .find(registry(), &part().repository, &reference)
        .await;
    let denied = client.progress().await.unwrap_err();
    for refused in [held, found.unwrap_err(), denied] {
        assert!(matches!(refused, PeerError::Refused { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_region_that_is_away_or_silent_is_told_from_one_that_refuses() {
    let peer = serve(|| stream::empty().boxed()).await;
    let hasty = GrpcConfig {
        deadline: Duration::from_millis(100),
        ..config()
    };
    // On a busy machine, an answer takes longer than the hasty one waits.
    let away = client(&peer, &config()).copy(None, 1).await.unwrap_err();
    let client = client(&peer, &hasty);
    assert!(matches!(away, PeerError::Unavailable { .. }), "{away:?}");
    let range = EventRange {
        shard: 0,
        epoch: 1,
        from: 1,
        to: 2,
        max_bytes: 1,
    };
    let silent = client.events(&range).await.unwrap_err();
    assert_eq!(silent, PeerError::DeadlineExceeded);
}
