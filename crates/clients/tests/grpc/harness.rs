//! Peers on loopback that follow a script.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::Stream;
use futures::future::BoxFuture;
use meridian_clients::RepositoryPath;
use meridian_clients::grpc::{GrpcBlobs, GrpcConfig, GrpcMetadata};
use meridian_proto::meridian::blob::v1 as blob;
use meridian_proto::meridian::metadata::v1 as metadata;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

pub(crate) type Answer<T> = Result<Response<T>, Status>;

/// A peer, as long as it is held.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

/// Settings with which a test need not wait.
pub(crate) fn config() -> GrpcConfig {
    GrpcConfig {
        connect_timeout: Duration::from_secs(1),
        deadline: Duration::from_secs(5),
        stall_timeout: Duration::from_secs(5),
        ping_every: Duration::from_secs(1),
        ping_timeout: Duration::from_secs(5),
        ..GrpcConfig::default()
    }
}

pub(crate) fn repository() -> RepositoryPath {
    RepositoryPath {
        registry: "default".parse().unwrap(),
        name: "team/app".parse().unwrap(),
    }
}

impl Peer {
    pub(crate) async fn serve(routes: tonic::service::Routes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            let server = Server::builder().add_routes(routes);
            server.serve_with_incoming(incoming).await.unwrap();
        });
        Self {
            address,
            _tasks: tasks,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn metadata(&self, config: &GrpcConfig) -> GrpcMetadata {
        GrpcMetadata::at(&self.endpoint(), config).unwrap()
    }

    pub(crate) fn blobs(&self, config: &GrpcConfig) -> GrpcBlobs {
        GrpcBlobs::at(&self.endpoint(), config).unwrap()
    }
}

/// What a metadata service answers to the n-th call, counted from 0.
type Script<Q, R> = Arc<dyn Fn(usize, Request<Q>) -> BoxFuture<'static, Answer<R>> + Send + Sync>;

/// A metadata service that reads and writes by script.
#[derive(Clone)]
pub(crate) struct ScriptedMetadata {
    pub(crate) calls: Arc<AtomicUsize>,
    pub(crate) read: Script<metadata::ListDueRequest, metadata::ListDueResponse>,
    pub(crate) write:
        Script<metadata::ReserveGenerationsRequest, metadata::ReserveGenerationsResponse>,
}

impl ScriptedMetadata {
    pub(crate) fn new() -> Self {
        Self {
            calls: Arc::default(),
            read: Arc::new(|_, _| Box::pin(async { Err(Status::unimplemented("not scripted")) })),
            write: Arc::new(|_, _| Box::pin(async { Err(Status::unimplemented("not scripted")) })),
        }
    }

    pub(crate) async fn start(self) -> Peer {
        let server = metadata::metadata_server::MetadataServer::new(self);
        Peer::serve(tonic::service::Routes::new(server)).await
    }

    fn next(&self) -> usize {
        self.calls.fetch_add(1, Ordering::SeqCst)
    }
}

macro_rules! not_scripted {
    ($service:path, $it:ty, { $($scripted:item)* } $($package:ident: $($call:ident($request:ident) -> $response:ident;)*)?) => {
        #[tonic::async_trait]
        impl $service for $it {
            $($scripted)*
            $($(async fn $call(
                &self,
                _request: Request<$package::$request>,
            ) -> Answer<$package::$response> {
                Err(Status::unimplemented("not scripted"))
            })*)?
        }
    };
}

not_scripted! {
    metadata::metadata_server::Metadata, ScriptedMetadata,
    {
        async fn list_due(
            &self,
            request: Request<metadata::ListDueRequest>,
        ) -> Answer<metadata::ListDueResponse> {
            (self.read)(self.next(), request).await
        }

        async fn reserve_generations(
            &self,
            request: Request<metadata::ReserveGenerationsRequest>,
        ) -> Answer<metadata::ReserveGenerationsResponse> {
            (self.write)(self.next(), request).await
        }
    }
    metadata:
    list(ListRequest) -> ListResponse;
    get_manifest(GetManifestRequest) -> GetManifestResponse;
    list_tags(ListTagsRequest) -> ListTagsResponse;
    list_repositories(ListRepositoriesRequest) -> ListRepositoriesResponse;
    list_referrers(ListReferrersRequest) -> ListReferrersResponse;
    get_blob(GetBlobRequest) -> GetBlobResponse;
    get_registry(GetRegistryRequest) -> GetRegistryResponse;
    get_usage(GetUsageRequest) -> GetUsageResponse;
    get_drain(GetDrainRequest) -> GetDrainResponse;
    describe(DescribeRequest) -> DescribeResponse;
    put_manifest(PutManifestRequest) -> PutManifestResponse;
    set_attributes(SetAttributesRequest) -> SetAttributesResponse;
    delete_repository(DeleteRepositoryRequest) -> DeleteRepositoryResponse;
    delete_manifest(DeleteManifestRequest) -> DeleteManifestResponse;
    put_blob(PutBlobRequest) -> PutBlobResponse;
    store_blob(StoreBlobRequest) -> StoreBlobResponse;
    mount_blob(MountBlobRequest) -> MountBlobResponse;
    touch_blob(TouchBlobRequest) -> TouchBlobResponse;
    delete_blob(DeleteBlobRequest) -> DeleteBlobResponse;
    collect(CollectRequest) -> CollectResponse;
    list_doomed(ListDoomedRequest) -> ListDoomedResponse;
    known(KnownRequest) -> KnownResponse;
}

pub(crate) type Messages =
    Pin<Box<dyn Stream<Item = Result<blob::ReadResponse, Status>> + Send + 'static>>;

type Append = Arc<
    dyn Fn(Streaming<blob::AppendRequest>) -> BoxFuture<'static, Answer<blob::UploadStatus>>
        + Send
        + Sync,
>;

/// A blob service that opens sessions, takes chunks and sends blobs by script.
#[derive(Clone)]
pub(crate) struct ScriptedBlobs {
    pub(crate) calls: Arc<AtomicUsize>,
    pub(crate) read: Arc<dyn Fn(usize) -> Result<Messages, Status> + Send + Sync>,
    pub(crate) append: Append,
    pub(crate) start: Script<blob::StartRequest, blob::UploadStatus>,
}

impl ScriptedBlobs {
    pub(crate) fn new() -> Self {
        Self {
            calls: Arc::default(),
            read: Arc::new(|_| Err(Status::unimplemented("not scripted"))),
            append: Arc::new(|_| Box::pin(async { Err(Status::unimplemented("not scripted")) })),
            start: Arc::new(|_, _| Box::pin(async { Err(Status::unimplemented("not scripted")) })),
        }
    }

    pub(crate) async fn start(self) -> Peer {
        let server = blob::blob_server::BlobServer::new(self);
        Peer::serve(tonic::service::Routes::new(server)).await
    }

    fn next(&self) -> usize {
        self.calls.fetch_add(1, Ordering::SeqCst)
    }
}

not_scripted! {
    blob::blob_server::Blob, ScriptedBlobs,
    {
        type ReadStream = Messages;

        async fn read(&self, _request: Request<blob::ReadRequest>) -> Answer<Messages> {
            (self.read)(self.next()).map(Response::new)
        }

        async fn append(
            &self,
            request: Request<Streaming<blob::AppendRequest>>,
        ) -> Answer<blob::UploadStatus> {
            (self.append)(request.into_inner()).await
        }

        async fn start(&self, request: Request<blob::StartRequest>) -> Answer<blob::UploadStatus> {
            (self.start)(self.next(), request).await
        }

        async fn finish(
            &self,
            _request: Request<Streaming<blob::FinishRequest>>,
        ) -> Answer<blob::FinishResponse> {
            Err(Status::unimplemented("not scripted"))
        }

        async fn upload(
            &self,
            _request: Request<Streaming<blob::UploadRequest>>,
        ) -> Answer<blob::UploadResponse> {
            Err(Status::unimplemented("not scripted"))
        }
    }
    blob:
    stat(StatRequest) -> StatResponse;
    status(StatusRequest) -> UploadStatus;
    cancel(CancelRequest) -> CancelResponse;
    mount(MountRequest) -> MountResponse;
    probe(ProbeRequest) -> ProbeResponse;
    delete(DeleteRequest) -> DeleteResponse;
}

/// Waits until a count stands still, and returns it.
pub(crate) async fn settled(count: &AtomicUsize) -> usize {
    let mut last = count.load(Ordering::SeqCst);
    let mut still = 0;
    while still < 10 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = count.load(Ordering::SeqCst);
        still = if now == last { still + 1 } else { 0 };
        last = now;
    }
    last
}
