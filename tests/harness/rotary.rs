//! One address for several servers: each request goes to the next of them.
//!
//! What a load balancer without sessions does to a client, at its worst: no two requests in a row
//! meet the same server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Passes requests on until it is dropped.
pub struct Rotary {
    _tasks: JoinSet<()>,
}

/// Where requests go.
struct Servers {
    addresses: Vec<SocketAddr>,
    next: AtomicUsize,
}

// === impl Rotary ===

impl Rotary {
    /// Listens at `address` for these servers.
    ///
    /// # Errors
    ///
    /// When it cannot listen there.
    pub async fn listen(address: SocketAddr, servers: Vec<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let servers = Arc::new(Servers {
            addresses: servers,
            next: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let servers = Arc::clone(&servers);
                connections.spawn(async move {
                    let pass = |request| pass(Arc::clone(&servers), request);
                    let served = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service_fn(pass));
                    // The client, or a server, has gone.
                    drop(served.await);
                });
            }
        });
        Ok(Self { _tasks: tasks })
    }
}

async fn pass(servers: Arc<Servers>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let turn = servers.next.fetch_add(1, Ordering::Relaxed);
    let server = servers.addresses[turn % servers.addresses.len()];
    match send(server, request).await {
        Ok(response) => Ok(response.map(BodyExt::boxed_unsync)),
        Err(error) => {
            let body = Full::new(Bytes::from(error.to_string()));
            let mut answer = Response::new(body.map_err(|never| match never {}).boxed_unsync());
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            Ok(answer)
        }
    }
}

async fn send(server: SocketAddr, request: Request<Incoming>) -> io::Result<Response<Incoming>> {
    let stream = TcpStream::connect(server).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let sent = sender.send_request(request);
    // The connection carries the body of the answer, also after this returns.
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with the connection that it serves"
    )]
    tokio::spawn(async move { drop(connection.await) });
    sent.await.map_err(io::Error::other)
}
