//! gRPC in the accept loop, and the health that is told there.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use meridian_chassis::grpc::{self, Port};
use meridian_chassis::http::{ListenAddress, Listener};
use meridian_chassis::identity::{Reach, Role};
use meridian_chassis::{Supervisor, TaskFailed};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::Service;

use crate::harness::{Client, PATIENCE};

/// `grpc.health.v1.HealthCheckResponse.ServingStatus`
const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;

/// The service that is served; any would do.
const NAME: &str = "test.Nothing";

#[derive(Clone)]
struct Nothing;

impl NamedService for Nothing {
    const NAME: &'static str = NAME;
}

impl Service<Request<Body>> for Nothing {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<Body>) -> Self::Future {
        ready(Ok(Status::unimplemented("").into_http()))
    }
}

/// Serves on a free port until told to stop.
async fn serve(supervisor: &Supervisor) -> SocketAddr {
    let listener = Listener::bind(&ListenAddress::Tcp(([127, 0, 0, 1], 0).into())).unwrap();
    let address = listener.tcp_address().unwrap();
    let port = Port {
        role: Role::Blob,
        reach: Reach::Home,
        listeners: vec![listener],
        identity: None,
        methods: &[],
        reflection: None,
    };
    grpc::serve(port, Nothing, |routes| routes, supervisor).await;
    address
}

fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect_lazy()
}

fn run(supervisor: Supervisor) -> (oneshot::Sender<()>, JoinSet<Result<(), TaskFailed>>) {
    let (stop, stopped) = oneshot::channel();
    let mut running = JoinSet::new();
    running.spawn(async move {
        let stop = async move {
            let _ = stopped.await;
        };
        supervisor.run(stop, PATIENCE).await
    });
    (stop, running)
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

async fn next(watch: &mut Streaming<HealthCheckResponse>) -> Option<i32> {
    let message = timeout(PATIENCE, watch.message()).await.unwrap().unwrap();
    message.map(|message| message.status)
}

#[tokio::test]
async fn health_is_readiness_and_a_watch_does_not_hold_up_the_drain() {
    let supervisor = Supervisor::new();
    let condition = supervisor.readiness().condition("disk");
    let address = serve(&supervisor).await;
    let (stop, mut running) = run(supervisor);
    let mut health = HealthClient::new(channel(address));
    let mut watch = health.watch(of(NAME)).await.unwrap().into_inner();
    assert_eq!(next(&mut watch).await, Some(NOT_SERVING));
    condition.set();
    assert_eq!(next(&mut watch).await, Some(SERVING));
    let whole = health.check(of("")).await.unwrap().into_inner();
    assert_eq!(whole.status, SERVING);
    condition.unset("full");
    assert_eq!(next(&mut watch).await, Some(NOT_SERVING));
    condition.set();
    assert_eq!(next(&mut watch).await, Some(SERVING));
    stop.send(()).unwrap();
    assert_eq!(next(&mut watch).await, Some(NOT_SERVING));
    assert_eq!(next(&mut watch).await, None);
    let ended = timeout(Duration::from_secs(5), running.join_next()).await;
    ended.expect("it drains").unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_page_in_a_browser_cannot_make_a_call() {
    let supervisor = Supervisor::new();
    let address = serve(&supervisor).await;
    let (stop, mut running) = run(supervisor);
    let mut client = Client::new(TcpStream::connect(address).await.unwrap());
    let call = "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: 127.0.0.1\r\n\
                Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0";
    client.send(call).await;
    let answer = client.read_until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
    stop.send(()).unwrap();
    running.join_next().await.unwrap().unwrap().unwrap();
}
