//! The calls between regions: what is said comes over whole, and what breaks off says so.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use meridian_clients::grpc::{GrpcConfig, GrpcPeer};
use meridian_clients::image::ImageReport;
use meridian_clients::peer::{FetchPart, PeerApi, PeerError, Piece, Pieces};
use meridian_clients::replica::{
    Content, ContentKind, CopyMark, CopyPage, CursorAt, EventRange, Events, Found, FoundTag, Place,
    Progress, Stance,
};
use meridian_event::{Envelope, Event, EventId, Leaf, RegistryId, SHARDS};
use meridian_oci::{Reference, RepositoryName};
use tonic::service::Routes;

use super::super::peer_server;
use super::{Served, content, sha256, version};

/// A region with one answer to each question, which it checks.
struct Region {
    fails: Option<PeerError>,
}

fn registry() -> RegistryId {
    RegistryId::new(version(1))
}

fn repository() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn leaf(size: u64) -> Leaf {
    Leaf {
        digest: sha256(b"it"),
        size,
    }
}

fn wanted(kind: ContentKind) -> Content {
    Content {
        registry: registry(),
        repository: repository(),
        kind,
        leaf: leaf(0),
    }
}

fn range() -> EventRange {
    EventRange {
        shard: 15,
        epoch: 1 << 63,
        from: 3,
        to: 9,
        max_bytes: 1000,
    }
}

fn progress() -> Progress {
    let place = Place {
        epoch: 1 << 63,
        seq: 1 << 31,
    };
    Progress {
        region: "eu".parse().unwrap(),
        heads: vec![place; usize::from(SHARDS)],
        cursors: vec![CursorAt {
            origin: "us".parse().unwrap(),
            shard: 3,
            place,
        }],
        stance: Stance::default(),
    }
}

fn events() -> Events {
    let version = version(5);
    Events::Here(vec![Envelope {
        id: EventId {
            region: version.region,
            epoch: 1,
            shard: 15,
            seq: 3,
        },
        version,
        registry: registry(),
        event: Event::ManifestDeleted {
            repository: repository(),
            digest: sha256(b"gone"),
        },
    }])
}

fn found() -> Vec<Found> {
    let tag = FoundTag {
        name: "latest".parse().unwrap(),
        version: version(8),
        digest: None,
    };
    vec![Found::Tag {
        registry: registry(),
        repository: repository(),
        tag,
    }]
}

fn report() -> ImageReport {
    ImageReport {
        version: version(9),
        digest: Some(sha256(b"it")),
        here: 3,
        of: u64::MAX,
        is_exposed: false,
        trouble: Some("no region has it".to_owned()),
    }
}

fn mark() -> CopyMark {
    CopyMark::Manifest(registry(), repository(), sha256(b"it"))
}

fn part(range: std::ops::Range<u64>) -> FetchPart {
    FetchPart {
        registry: registry(),
        repository: repository(),
        kind: ContentKind::Blob,
        leaf: leaf(2_000_000),
        range,
    }
}

fn parts() -> Vec<FetchPart> {
    vec![part(0..1_000_000), part(7..7), part(5..1_500_000)]
}

impl Region {
    fn say<T>(&self, answer: T) -> Result<T, PeerError> {
        self.fails.clone().map_or(Ok(answer), Err)
    }
}

#[async_trait]
impl PeerApi for Region {
    async fn progress(&self) -> Result<Progress, PeerError> {
        self.say(progress())
    }

    async fn events(&self, asked: &EventRange) -> Result<Events, PeerError> {
        assert_eq!(*asked, range());
        self.say(events())
    }

    async fn holds(&self, contents: &[Content]) -> Result<Vec<Option<u64>>, PeerError> {
        let kinds: Vec<_> = contents.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [ContentKind::Manifest, ContentKind::Blob]);
        self.say(vec![None, Some(u64::MAX)])
    }

    async fn find(
        &self,
        id: RegistryId,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Vec<Found>, PeerError> {
        assert_eq!((id, name), (registry(), &repository()));
        assert_eq!(*reference, "latest".parse().unwrap());
        self.say(found())
    }

    async fn fetch(&self, asked: &[FetchPart]) -> Result<Pieces, PeerError> {
        assert_eq!(asked, parts());
        let large = content(1_000_000);
        let pieces = vec![
            Ok(Piece::Bytes(0, large.slice(..10))),
            Ok(Piece::Bytes(0, large.slice(10..))),
            Ok(Piece::Absent(1)),
            Ok(Piece::Bytes(2, large)),
        ];
        let end = self.fails.clone().map(Err);
        Ok(Box::pin(stream::iter(pieces.into_iter().chain(end))))
    }

    async fn copy(&self, after: Option<CopyMark>, limit: usize) -> Result<CopyPage, PeerError> {
        assert_eq!((after, limit), (Some(mark()), 100));
        let found = found();
        let next = Some(CopyMark::Manifests);
        self.say(CopyPage { found, next })
    }

    async fn image(
        &self,
        id: RegistryId,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ImageReport>, PeerError> {
        assert_eq!((id, name), (registry(), &repository()));
        let is_known = *reference == "latest".parse().unwrap();
        self.say(is_known.then(report))
    }
}

fn served(fails: Option<PeerError>) -> (Served, GrpcPeer) {
    let served = Served::new(Routes::new(peer_server(Arc::new(Region { fails }))));
    let config = GrpcConfig {
        // No answer is asked for again: that of a busy region would be after 1234 ms.
        deadline: Duration::from_millis(1_200),
        ..GrpcConfig::default().between_regions()
    };
    let client = GrpcPeer::at(&served.endpoint, &config).unwrap();
    (served, client)
}

#[tokio::test]
async fn questions_and_answers_cross() {
    let (served, client) = served(None);
    assert_eq!(client.progress().await.unwrap(), progress());
    assert_eq!(client.events(&range()).await.unwrap(), events());
    let wanted = [wanted(ContentKind::Manifest), wanted(ContentKind::Blob)];
    let held = client.holds(&wanted).await.unwrap();
    assert_eq!(held, [None, Some(u64::MAX)]);
    let latest = "latest".parse().unwrap();
    let answer = client.find(registry(), &repository(), &latest).await;
    assert_eq!(answer.unwrap(), found());
    for (tag, wanted) in [("latest", Some(report())), ("other", None)] {
        let tag = tag.parse().unwrap();
        let answer = client.image(registry(), &repository(), &tag).await;
        assert_eq!(answer.unwrap(), wanted);
    }
    let page = client.copy(Some(mark()), 100).await.unwrap();
    assert_eq!(
        (page.found, page.next),
        (found(), Some(CopyMark::Manifests))
    );
    drop(client);
    served.stop().await;
}

/// All pieces of what was asked for, by part, and how it ended.
async fn fetched(client: &GrpcPeer) -> (Vec<Bytes>, Vec<usize>, Option<PeerError>) {
    let mut pieces = client.fetch(&parts()).await.unwrap();
    let (mut bytes, mut absent) = (vec![BytesMut::new(); 3], Vec::new());
    let mut end = None;
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(Piece::Bytes(part, piece)) => {
                assert!(!piece.is_empty() && piece.len() <= 256 * 1024);
                bytes[part].extend_from_slice(&piece);
            }
            Ok(Piece::Absent(part)) => absent.push(part),
            Err(error) => end = Some(error),
        }
    }
    let bytes = bytes.into_iter().map(BytesMut::freeze).collect();
    (bytes, absent, end)
}

#[tokio::test]
async fn content_crosses_in_small_messages() {
    let (served, client) = served(None);
    let (bytes, absent, end) = fetched(&client).await;
    let large = content(1_000_000);
    assert_eq!(bytes, [large.clone(), Bytes::new(), large]);
    assert_eq!((absent, end), (vec![1], None));
    drop(client);
    served.stop().await;
}

#[tokio::test]
async fn a_part_outside_of_its_content_is_refused() {
    let (served, client) = served(None);
    let (start, end) = (6, 5);
    for range in [start..end, 0..2_000_001] {
        let refused = client.fetch(&[part(range)]).await.err().unwrap();
        assert!(matches!(refused, PeerError::Refused { .. }), "{refused:?}");
    }
    drop(client);
    served.stop().await;
}

#[tokio::test]
async fn errors_come_back_whole() {
    for error in [
        PeerError::Unavailable {
            reason: "no quorum".to_owned(),
        },
        PeerError::Busy {
            retry_after: Duration::from_millis(1234),
        },
        PeerError::DeadlineExceeded,
        PeerError::Refused {
            reason: "another protocol".to_owned(),
        },
    ] {
        let (served, client) = served(Some(error.clone()));
        assert_eq!(client.progress().await.unwrap_err(), error);
        assert_eq!(client.events(&range()).await.unwrap_err(), error);
        let copied = client.copy(Some(mark()), 100).await;
        assert_eq!(copied.unwrap_err(), error);
        let (bytes, _, end) = fetched(&client).await;
        assert_eq!(bytes[2].len(), 1_000_000, "what came before counts");
        assert_eq!(end, Some(error));
        drop(client);
        served.stop().await;
    }
}
