//! The service as other processes reach it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, stream};
use meridian_blob_service::{BlobService, GRPC_SERVICE, blob_server, ingest_server};
use meridian_blobstore::MemoryBlobStore;
use meridian_blobstore::{BlobStore, DiskBlobStore, DiskConfig, Fault, Faulty, Operation};
use meridian_chassis::Supervisor;
use meridian_chassis::http::{HttpConfig, HttpServer, ListenAddress, Listener};
use meridian_clients::conformance::blob::{Fixture, run};
use meridian_clients::grpc::body::{UploadMessage, UploadPart};
use meridian_clients::grpc::{GrpcBlobs, GrpcConfig};
use meridian_clients::{BlobApi, BlobRead};
use meridian_error::Code;
use meridian_proto::meridian::blob::v1 as pb;
use meridian_proto::meridian::content::v1::Digest as WireDigest;
use tonic::service::Routes;

use crate::harness::{Life, World, content, push, repository, sha256, streamed};
use crate::turns::Turns;

/// A server in front of a service.
pub(crate) struct Served {
    address: SocketAddr,
    supervisor: Supervisor,
}

impl Served {
    fn new(service: &Arc<BlobService>) -> Self {
        Self::with(Routes::new(blob_server(Arc::clone(service) as _)))
    }

    /// Where blobs of other regions go.
    pub(crate) fn ingest(service: &Arc<BlobService>) -> Self {
        Self::with(Routes::new(ingest_server(Arc::clone(service) as _)))
    }

    fn with(routes: Routes) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(&ListenAddress::Tcp(any)).unwrap();
        let address = listener.tcp_address().unwrap();
        let routes = routes.prepare();
        let server = HttpServer::new([listener], HttpConfig::internal(), None, routes).unwrap();
        let supervisor = Supervisor::new();
        supervisor.spawn("blob.grpc", server.run(supervisor.spawner()));
        Self {
            address,
            supervisor,
        }
    }

    fn client(&self) -> GrpcBlobs {
        GrpcBlobs::at(&self.endpoint(), &GrpcConfig::default()).unwrap()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) async fn stop(self) {
        let stopped = self.supervisor.run(async {}, Duration::from_secs(10));
        stopped.await.unwrap();
    }
}

struct Bodies {
    store: Arc<dyn BlobStore>,
    is_remote: bool,
    lives: Mutex<Vec<(Option<Served>, Life)>>,
}

impl Bodies {
    fn new(store: Arc<dyn BlobStore>, is_remote: bool) -> Self {
        Self {
            store,
            is_remote,
            lives: Mutex::default(),
        }
    }

    async fn check(self) {
        run(&self).await;
        for (served, life) in self.lives.into_inner().unwrap() {
            if let Some(served) = served {
                served.stop().await;
            }
            life.stop().await;
        }
    }
}

#[async_trait]
impl Fixture for Bodies {
    async fn open(&self) -> Arc<dyn BlobApi> {
        let world = World::with(Arc::clone(&self.store), Turns::default(), None);
        let life = world.start().await;
        let served = self.is_remote.then(|| Served::new(&life.service));
        let api: Arc<dyn BlobApi> = match &served {
            Some(served) => Arc::new(served.client()),
            None => Arc::clone(&life.service) as _,
        };
        self.lives.lock().unwrap().push((served, life));
        api
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_conforms() {
    Bodies::new(Arc::new(MemoryBlobStore::new()), false)
        .check()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_in_front_of_it_conforms() {
    Bodies::new(Arc::new(MemoryBlobStore::new()), true)
        .check()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_in_front_of_a_service_on_disk_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskBlobStore::open(DiskConfig::new(folder.path().to_owned())).await;
    Bodies::new(Arc::new(store.unwrap()), true).check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_bodies_share_a_connection() {
    let world = World::new();
    let life = world.start().await;
    let served = Served::new(&life.service);
    let client = served.client();
    let transfers = (0..16).map(|n| {
        let (client, here) = (client.clone(), repository("a"));
        async move {
            let bytes = content(n, 2_000_000);
            let digest = sha256(&bytes);
            client
                .upload(&here, digest, streamed(&bytes))
                .await
                .unwrap();
            let read = client.read(&here, digest, None).await.unwrap();
            let BlobRead::Whole { body, .. } = read else {
                panic!("no range was asked for");
            };
            let pieces: Vec<Bytes> = body.map(|piece| piece.unwrap()).collect().await;
            assert_eq!(pieces.concat(), bytes);
        }
    });
    join_all(transfers).await;
    served.stop().await;
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_within_a_download_breaks_it_off() {
    let store = Faulty::new(MemoryBlobStore::new());
    let world = World::with(Arc::new(store.clone()), Turns::default(), None);
    let life = world.start().await;
    let served = Served::new(&life.service);
    let (client, here) = (served.client(), repository("a"));
    let bytes = content(1, 3_000_000);
    let digest = push(&life.service, &here, &bytes).await.unwrap();
    store.script(Operation::Read, 3, Fault::Before(Code::Internal));
    let BlobRead::Whole { mut body, .. } = client.read(&here, digest, None).await.unwrap() else {
        panic!("no range was asked for");
    };
    let (mut received, mut end) = (0, None);
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => received += piece.len(),
            Err(error) => end = Some(error),
        }
    }
    assert!(end.is_some(), "the store did not fail");
    assert!(received < bytes.len());
    served.stop().await;
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_means_nothing_is_refused_by_the_name_of_its_field() {
    assert_eq!(GRPC_SERVICE, "meridian.blob.v1.Blob");
    let world = World::new();
    let life = world.start().await;
    let served = Served::new(&life.service);
    let endpoint = format!("http://{}", served.address);
    let mut raw = pb::blob_client::BlobClient::connect(endpoint)
        .await
        .unwrap();
    let here = || Some(repository("a").into());
    let mut refused = Vec::new();
    let algorithm = pb::StartRequest {
        repository: here(),
        algorithm: 9,
    };
    refused.push(("algorithm", raw.start(algorithm).await.map(drop)));
    let digest = pb::ReadRequest {
        repository: here(),
        digest: Some(WireDigest { hash: None }),
        range: None,
        handover: None,
    };
    refused.push(("digest", raw.read(digest).await.map(drop)));
    let upload = pb::AppendHead {
        repository: here(),
        upload: "../../etc".to_owned(),
        transfer: None,
    };
    let upload = pb::AppendRequest::new(UploadPart::Head(upload));
    refused.push(("upload", raw.append(stream::iter([upload])).await.map(drop)));
    let range = pb::Part {
        start: 5,
        end_inclusive: 4,
    };
    let range = pb::UploadHead {
        repository: here(),
        digest: Some(sha256(b"x").into()),
        transfer: Some(pb::TransferHead {
            range: Some(range),
            length: None,
        }),
    };
    let range = pb::UploadRequest::new(UploadPart::Head(range));
    refused.push((
        "transfer.range",
        raw.upload(stream::iter([range])).await.map(drop),
    ));
    let headless = pb::FinishRequest::new(UploadPart::Chunk(Bytes::from_static(b"x")));
    refused.push(("head", raw.finish(stream::iter([headless])).await.map(drop)));
    for (field, outcome) in refused {
        let status = outcome.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{field}");
        assert!(
            status.message().contains(&format!("field {field} ")),
            "{status}"
        );
    }
    // A message greater than any of ours is not taken in.
    let large = pb::UploadRequest::new(UploadPart::Chunk(vec![0; 3 * 1024 * 1024].into()));
    assert!(raw.upload(stream::iter([large])).await.is_err());
    assert_eq!(life.service.open_sessions(), 0);
    drop(raw);
    served.stop().await;
    life.stop().await;
}
