//! Requests that no client of ours sends (G70 of the hostile inputs). Each is refused, and the
//! server goes on.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use meridian_clients::{MetadataApi, PageRequest, ReadError, RepositoryPath};
use meridian_clock::ManualClock;
use meridian_eventlog::MemoryEventLog;
use meridian_oci::{Algorithm, Digest};
use meridian_proto::meridian::content::v1 as content;
use meridian_proto::meridian::metadata::v1 as pb;
use pb::metadata_client::MetadataClient;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::ServiceExt;

use super::harness::{Life, any, client};

struct World {
    life: Life,
    _folder: TempDir,
    channel: Channel,
    well_behaved: meridian_clients::grpc::GrpcMetadata,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let events = Arc::new(MemoryEventLog::default());
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let life = Life::new(folder.path(), events, clock).await;
        let address = life.serve(any());
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self {
            life,
            _folder: folder,
            channel: endpoint.connect_lazy(),
            well_behaved: client(address),
        }
    }

    fn raw(&self) -> MetadataClient<Channel> {
        MetadataClient::new(self.channel.clone()).max_encoding_message_size(usize::MAX)
    }

    /// Sends a body of bytes to a path, and returns the status.
    async fn post(&self, path: &str, body: impl Into<Bytes>) -> Option<Status> {
        let request = http::Request::post(path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(tonic::body::Body::new(Full::new(body.into())))
            .unwrap();
        let answer = self.channel.clone().oneshot(request).await.unwrap();
        Status::from_header_map(answer.headers())
    }

    async fn stop(self) {
        let registry = "default".parse().unwrap();
        self.well_behaved.registry(&registry).await.unwrap();
        drop((self.well_behaved, self.channel));
        self.life.stop().await;
    }
}

fn repository() -> Option<pb::Repository> {
    let path = RepositoryPath {
        registry: "default".parse().unwrap(),
        name: "team/app".parse().unwrap(),
    };
    Some(path.into())
}

fn digest(text: &[u8]) -> Option<content::Digest> {
    Some(Digest::of(Algorithm::Sha256, text).into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_means_nothing_is_refused_by_the_name_of_its_field() {
    let world = World::new().await;
    let mut raw = world.raw();
    let mut refused = Vec::new();
    let nowhere = pb::ListTagsRequest::default();
    refused.push(("repository", raw.list_tags(nowhere).await.map(drop)));
    let dots = pb::Repository {
        registry: "default".to_owned(),
        name: "../etc".to_owned(),
    };
    let dots = pb::ListTagsRequest {
        repository: Some(dots),
        ..pb::ListTagsRequest::default()
    };
    refused.push(("repository.name", raw.list_tags(dots).await.map(drop)));
    let reference = pb::GetManifestRequest {
        repository: repository(),
        reference: "sha256:short".to_owned(),
        stat_only: true,
    };
    refused.push(("reference", raw.get_manifest(reference).await.map(drop)));
    let unknown = pb::PutBlobRequest {
        repository: repository(),
        blob: Some(content::Leaf {
            digest: digest(b"x"),
            size: 1,
        }),
        encoding: 77,
        location: None,
        request: None,
        instead_of: None,
    };
    refused.push(("encoding", raw.put_blob(unknown).await.map(drop)));
    let manifest = pb::PutManifestRequest {
        repository: repository(),
        content: Bytes::from_static(b"{\"schemaVersion\":2}"),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        digest: digest(b"{\"schemaVersion\":2}"),
        ..pb::PutManifestRequest::default()
    };
    refused.push(("content", raw.put_manifest(manifest).await.map(drop)));
    let step = pb::CollectRequest::default();
    refused.push(("step", raw.collect(step).await.map(drop)));
    let anonymous = pb::ReserveGenerationsRequest {
        count: 1,
        request: None,
    };
    refused.push((
        "request",
        raw.reserve_generations(anonymous).await.map(drop),
    ));
    for (field, outcome) in refused {
        let status = outcome.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        assert!(
            status.message().contains(&format!("field {field} ")),
            "{status}"
        );
    }
    drop(raw);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_are_limited() {
    let world = World::new().await;
    let mut raw = world.raw();
    let large = pb::PutManifestRequest {
        content: vec![b' '; 100 * 1024 * 1024].into(),
        ..pb::PutManifestRequest::default()
    };
    let status = raw.put_manifest(large).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{status}"
    );
    // It says to be of four gigabytes; there is no room set aside for them.
    let path = "/meridian.metadata.v1.Metadata/ListDue";
    let status = world
        .post(path, b"\x00\xff\xff\xff\xffx".to_vec())
        .await
        .unwrap();
    assert!(
        matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{status}"
    );

    let mut request = tonic::Request::new(pb::ListDueRequest { limit: 1 });
    let value = "x".repeat(100 * 1024).parse().unwrap();
    request.metadata_mut().insert("bulk", value);
    assert!(raw.list_due(request).await.is_err());

    // A page is cut, whatever was asked for.
    let page = PageRequest {
        after: None,
        limit: usize::MAX,
    };
    let registry = "default".parse().unwrap();
    let listed = world
        .well_behaved
        .repositories(&registry, page)
        .await
        .unwrap();
    assert!(listed.items.is_empty());
    drop(raw);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_message_are_refused() {
    let world = World::new().await;
    let path = "/meridian.metadata.v1.Metadata/ListDue";
    let framed = |flag: u8, bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[flag][..], &length, bytes].concat()
    };
    let groups = [0xa3, 0x06].repeat(100_000);
    for (what, body) in [
        ("nothing", Vec::new()),
        ("half a frame", vec![0, 0, 0]),
        ("half a message", framed(0, &[0x08, 0x01])[..6].to_vec()),
        ("a broken field", framed(0, &[0x0a, 0xff])),
        ("nesting without end", framed(0, &groups)),
        ("a compressed message", framed(1, &[0x1f, 0x8b])),
        ("another flag", framed(7, &[])),
    ] {
        let status = world.post(path, body).await.unwrap();
        assert!(
            matches!(
                status.code(),
                Code::Internal | Code::InvalidArgument | Code::Unimplemented
            ),
            "{what}: {status}"
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_not_there() {
    let world = World::new().await;
    for path in [
        "/meridian.metadata.v1.Metadata/DropEverything",
        "/meridian.blob.v1.Blob/Stat",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/",
    ] {
        let status = world.post(path, vec![0; 5]).await.unwrap();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_service_arrives_whole() {
    let world = World::new().await;
    let path = RepositoryPath {
        registry: "default".parse().unwrap(),
        name: "nowhere".parse().unwrap(),
    };
    let reference = "latest".parse().unwrap();
    let error = world
        .well_behaved
        .manifest(&path, &reference)
        .await
        .unwrap_err();
    assert_eq!(error, ReadError::RepositoryUnknown);
    let request = pb::GetManifestRequest {
        repository: Some(path.into()),
        reference: "latest".to_owned(),
        stat_only: false,
    };
    let status = world.raw().get_manifest(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(!status.details().is_empty());
    world.stop().await;
}
