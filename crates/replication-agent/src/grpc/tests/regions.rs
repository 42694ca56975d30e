//! What frontends and operators ask: answers and errors come over whole, and a blob that breaks off
//! says so.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use meridian_clients::grpc::{GrpcConfig, GrpcRegions, Ways, channel};
use meridian_clients::image::{ImageState, ImageStatus};
use meridian_clients::regions::{
    Freshness, IncompleteImages, PeerStatus, RegionsApi, RegistryStatus, RemoteBlob,
    ReplicationStatus, Resolved, StreamStatus,
};
use meridian_clients::replica::Place;
use meridian_clients::{
    BlobRead, ByteStream, ManifestStat, ReadBlobError, ReadError, RepositoryPath, Stale,
    StoredManifest,
};
use meridian_clock::{Region, Version};
use meridian_error::Classify;
use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, MediaType, Reference};
use tonic::service::Routes;

use super::super::regions_server;
use super::{Served, content, sha256, version};

const SIZE: u64 = 1_000_000;

/// An agent with one answer to each question, which it checks.
struct Agent {
    fails: Option<ReadError>,
    /// The shard that is stopped at a record.
    stopped: u16,
}

fn repository() -> RepositoryPath {
    RepositoryPath {
        registry: "default".parse().unwrap(),
        name: "team/app".parse().unwrap(),
    }
}

fn locked() -> Target {
    Target::Tag("latest".parse().unwrap())
}

fn freshness() -> Freshness {
    Freshness {
        region: "eu".parse().unwrap(),
        peers: vec![
            ("us".parse().unwrap(), Some(Duration::from_millis(1234))),
            ("asia".parse().unwrap(), None),
        ],
    }
}

fn resolved() -> Resolved {
    let bytes = content(4 * 1024 * 1024);
    let stat = ManifestStat {
        digest: sha256(&bytes),
        media_type: MediaType::OCI_IMAGE_INDEX,
        size: bytes.len() as u64,
        version: version(9),
        is_overtaken: false,
        stale: Some(Stale {
            region: "asia".parse().unwrap(),
            age: None,
        }),
    };
    Resolved {
        manifest: StoredManifest { stat, bytes },
        region: "us".parse().unwrap(),
    }
}

fn status() -> ReplicationStatus {
    let place = Place {
        epoch: 1 << 63,
        seq: 7,
    };
    let stream = StreamStatus {
        shard: 15,
        cursor: Place::START,
        head: Some(place),
        alarm: Some("is stopped".to_owned()),
    };
    let peer = PeerStatus {
        region: "us".parse().unwrap(),
        answers: true,
        fresh: Some(Duration::from_millis(3)),
        streams: vec![stream],
        events: 7,
        age: None,
        bodies: 2,
        bytes: u64::MAX,
        bytes_per_second: 5,
        eta: None,
        lies: 1,
        failure: Some("it did not answer".to_owned()),
    };
    let registry = RegistryStatus {
        registry: RegistryId::new(version(1)),
        name: Some("default".parse().unwrap()),
        origin: None,
        events: 1,
        age: Some(Duration::from_secs(9)),
        bodies: 2,
        bytes: 3,
        bytes_per_second: 4,
        eta: Some(Duration::from_secs(5)),
        trouble: None,
    };
    let incomplete = IncompleteImages {
        registry: RegistryId::new(version(1)),
        name: None,
        images: 4_607,
    };
    ReplicationStatus {
        region: "eu".parse().unwrap(),
        peers: vec![peer],
        registries: vec![registry],
        incomplete: vec![incomplete],
    }
}

fn image() -> ImageStatus {
    let reason = "no region has it".to_owned();
    let states = [
        ("eu", ImageState::Complete),
        ("us", ImageState::Copying { here: 1, of: 2 }),
        ("asia", ImageState::Pending),
        ("africa", ImageState::Unreachable),
        ("oceania", ImageState::Failed { reason }),
    ];
    let regions = states.map(|(region, state)| (region.parse().unwrap(), state));
    ImageStatus {
        version: version(9),
        digest: Some(sha256(b"it")),
        bytes: 2,
        regions: regions.into(),
    }
}

fn body(range: std::ops::Range<usize>, fails: bool) -> ByteStream {
    let bytes = content(usize::try_from(SIZE).unwrap()).slice(range);
    let end = fails.then(|| Err(io::Error::other("the other region is cut off")));
    Box::pin(stream::iter([Ok(bytes)].into_iter().chain(end)))
}

impl Agent {
    fn say<T>(&self, answer: T) -> Result<T, ReadError> {
        self.fails.clone().map_or(Ok(answer), Err)
    }
}

#[async_trait]
impl RegionsApi for Agent {
    async fn freshness(&self) -> Result<Freshness, ReadError> {
        self.say(freshness())
    }

    async fn resolve(
        &self,
        asked: &RepositoryPath,
        reference: &Reference,
        at_least: Option<Version>,
    ) -> Result<Resolved, ReadError> {
        assert_eq!(*asked, repository());
        assert_eq!(*reference, "latest".parse().unwrap());
        assert_eq!(at_least, Some(version(8)));
        self.say(resolved())
    }

    async fn read_blob(
        &self,
        asked: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<RemoteBlob, ReadBlobError> {
        assert_eq!((asked, digest), (&repository(), sha256(b"it")));
        let (size, region) = (SIZE, "us".parse().unwrap());
        let read = match self.say(range)? {
            None => BlobRead::Whole {
                size,
                body: body(0..1_000_000, false),
            },
            Some("bytes=5-9") => BlobRead::Part {
                size,
                start: 5,
                end_inclusive: 9,
                body: body(5..10, false),
            },
            Some("bytes=0-9") => BlobRead::Part {
                size,
                start: 0,
                end_inclusive: 9,
                body: body(0..3, true),
            },
            Some("bytes=0-8") => BlobRead::Part {
                size,
                start: 0,
                end_inclusive: 8,
                body: body(0..3, false),
            },
            Some(_) => BlobRead::Unsatisfiable { size },
        };
        Ok(RemoteBlob {
            region,
            is_needed: true,
            read,
        })
    }

    async fn bring(
        &self,
        asked: &RepositoryPath,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, ReadError> {
        assert_eq!(*asked, repository());
        self.say(digests[1..].to_vec())
    }

    async fn holders(
        &self,
        asked: &RepositoryPath,
        target: &Target,
    ) -> Result<Vec<Region>, ReadError> {
        assert_eq!((asked, target), (&repository(), &locked()));
        self.say(vec!["eu".parse().unwrap(), "us".parse().unwrap()])
    }

    async fn status(&self) -> Result<ReplicationStatus, ReadError> {
        self.say(status())
    }

    async fn skip(&self, origin: Region, shard: u16) -> Result<Option<u64>, ReadError> {
        assert_eq!(origin, "us".parse().unwrap());
        self.say((shard == self.stopped).then_some(17))
    }

    async fn image(
        &self,
        asked: &RepositoryPath,
        reference: &Reference,
        at_least: Option<Version>,
    ) -> Result<ImageStatus, ReadError> {
        assert_eq!(*asked, repository());
        assert_eq!(*reference, "latest".parse().unwrap());
        assert_eq!(at_least, Some(version(8)));
        self.say(image())
    }
}

fn config() -> GrpcConfig {
    GrpcConfig {
        deadline: Duration::from_secs(2),
        ..GrpcConfig::default()
    }
}

fn serve(fails: Option<ReadError>, stopped: u16) -> Served {
    let agent = Arc::new(Agent { fails, stopped });
    Served::new(Routes::new(regions_server(agent)))
}

fn served(fails: Option<ReadError>) -> (Served, GrpcRegions) {
    let served = serve(fails, 3);
    let client = GrpcRegions::at(&served.endpoint, &config()).unwrap();
    (served, client)
}

async fn gather(mut body: ByteStream) -> (Bytes, io::Result<()>) {
    let mut all = BytesMut::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(error) => return (all.freeze(), Err(error)),
        }
    }
    (all.freeze(), Ok(()))
}

#[tokio::test]
async fn questions_and_answers_cross() {
    let (served, client) = served(None);
    assert_eq!(client.freshness().await.unwrap(), freshness());
    let latest = "latest".parse().unwrap();
    let answer = client
        .resolve(&repository(), &latest, Some(version(8)))
        .await;
    assert_eq!(answer.unwrap(), resolved());
    let digests = [sha256(b"a"), sha256(b"b")];
    let absent = client.bring(&repository(), &digests).await.unwrap();
    assert_eq!(absent, [sha256(b"b")]);
    let holders = client.holders(&repository(), &locked()).await.unwrap();
    assert_eq!(holders, ["eu", "us"].map(|name| name.parse().unwrap()));
    assert_eq!(client.status().await.unwrap(), status());
    let us = "us".parse().unwrap();
    assert_eq!(client.skip(us, 3).await.unwrap(), Some(17));
    assert_eq!(client.skip(us, 4).await.unwrap(), None);
    let answer = client.image(&repository(), &latest, Some(version(8))).await;
    assert_eq!(answer.unwrap(), image());
    drop(client);
    served.stop().await;
}

#[tokio::test]
async fn what_one_agent_does_is_asked_of_all() {
    let agents = [serve(None, 3), serve(None, 4)];
    let ways = agents.iter().map(|it| channel(&it.endpoint, &config()));
    let ways = Ways::new(ways.map(Result::unwrap));
    let client = GrpcRegions::over(ways, &config());
    let us = "us".parse().unwrap();
    for shard in [3, 4] {
        assert_eq!(client.skip(us, shard).await.unwrap(), Some(17));
    }
    assert_eq!(client.skip(us, 5).await.unwrap(), None);
    let (alone, both) = (status(), client.status().await.unwrap());
    assert_eq!((alone.peers[0].bodies, both.peers[0].bodies), (2, 4));
    assert_eq!(both.peers[0].bytes, u64::MAX);
    assert_eq!(both.peers[0].streams, alone.peers[0].streams);
    assert_eq!(both.registries[0].bytes_per_second, 8);
    assert_eq!(both.registries[0].eta, Some(Duration::from_secs(5)));
    assert_eq!(both.incomplete, alone.incomplete);
    let [first, second] = agents;
    second.stop().await;
    assert_eq!(client.status().await.unwrap(), alone);
    assert_eq!(client.skip(us, 3).await.unwrap(), Some(17));
    // Whoever has it may be the one that is away.
    assert!(client.skip(us, 4).await.is_err());
    drop(client);
    first.stop().await;
}

#[tokio::test]
async fn a_blob_crosses_whole_or_in_part() {
    let (served, client) = served(None);
    let read = async |range| {
        let blob = client.read_blob(&repository(), sha256(b"it"), range).await;
        let blob = blob.unwrap();
        assert_eq!(blob.region, "us".parse().unwrap());
        blob.read
    };
    let BlobRead::Whole { size: SIZE, body } = read(None).await else {
        panic!("no range was asked for");
    };
    let (bytes, end) = gather(body).await;
    assert_eq!((bytes, end.is_ok()), (content(1_000_000), true));
    let BlobRead::Part {
        size: SIZE,
        start: 5,
        end_inclusive: 9,
        body,
    } = read(Some("bytes=5-9")).await
    else {
        panic!("a range was asked for");
    };
    let (bytes, end) = gather(body).await;
    assert_eq!((bytes, end.is_ok()), (content(10).slice(5..), true));
    let beyond = read(Some("bytes=9000000-")).await;
    assert!(matches!(beyond, BlobRead::Unsatisfiable { size: SIZE }));
    drop(client);
    served.stop().await;
}

#[tokio::test]
async fn a_blob_that_breaks_off_is_no_end() {
    let (served, client) = served(None);
    for (range, why) in [
        ("bytes=0-9", "the other region is cut off"),
        ("bytes=0-8", "bytes are missing"),
    ] {
        let here = repository();
        let blob = client.read_blob(&here, sha256(b"it"), Some(range)).await;
        let BlobRead::Part { body, .. } = blob.unwrap().read else {
            panic!("a range was asked for");
        };
        let (bytes, end) = gather(body).await;
        assert_eq!(bytes, content(3));
        let end = meridian_error::chain(&end.unwrap_err());
        assert!(end.contains(why), "{end}");
    }
    drop(client);
    served.stop().await;
}

#[tokio::test]
async fn errors_come_back_whole() {
    let reason = || "no region answers".to_owned();
    for error in [
        ReadError::ManifestUnknown,
        ReadError::RepositoryUnknown,
        ReadError::Internal { reason: reason() },
    ] {
        let (served, client) = served(Some(error.clone()));
        assert_eq!(client.freshness().await.unwrap_err(), error);
        let brought = client.bring(&repository(), &[sha256(b"a")]).await;
        assert_eq!(brought.unwrap_err(), error);
        let blob = client.read_blob(&repository(), sha256(b"it"), None).await;
        let blob = blob.err().unwrap();
        assert_eq!(blob.code(), error.code());
        drop(client);
        served.stop().await;
    }
}
