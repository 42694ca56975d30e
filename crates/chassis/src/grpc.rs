//! How a process serves gRPC to the other services of its region, and to other regions.
//!
//! Owns the limits of such a listener, the rule about who can reach it and who may call what there,
//! and `grpc.health.v1`. Keeps three invariants: without a word from the operator nobody else's
//! machine reaches what is not encrypted; with an identity, nobody calls what the table in
//! `authority` does not allow; and the health that is told is the readiness of the process.
//! Connections run in the accept loop of [`http`](crate::http), and drain with it. Leaves who a
//! caller is to [`identity`](crate::identity), and the calls to the services.

mod authority;
mod gate;
mod health;
mod metrics;
mod refusal;

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{Request, Response};
use meridian_error::{Classify, Code};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};
use tower::Service;

use crate::Supervisor;
use crate::config::ByteSize;
use crate::http::{HttpConfig, HttpServer, Listener};
use crate::identity::{Identity, Reach, Role};
use crate::metrics::Gauge;
use gate::{Gate, Rules};
use metrics::CallMetrics;

/// A listener would serve more than this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "listening on {address} would serve plain gRPC to other machines, where anybody could change \
     everything; give the process an [identity], listen on 127.0.0.1 or on a `unix:` socket, or set \
     {role}.allow_plain_grpc = true if your network lets nobody else in"
)]
pub struct PlainGrpcError {
    address: SocketAddr,
    role: Role,
}

/// Where a service is served, and by whom.
#[derive(Debug)]
pub struct Port {
    /// What serves there. Its tasks are named after it.
    pub role: Role,
    /// Who calls there.
    pub reach: Reach,
    /// What it listens on.
    pub listeners: Vec<Listener>,
    /// How it and its callers know each other on TCP. Without it, every caller may do everything.
    pub identity: Option<Identity>,
    /// The paths of all methods that there are, in order: what calls are counted by.
    pub methods: &'static [&'static str],
    /// Descriptions of the services, encoded, for those who ask what there is; absent, nobody is
    /// told.
    pub reflection: Option<&'static [u8]>,
}

/// Looks at who can reach `listeners` that nothing protects, before anything is served on them: this
/// machine alone, unless `allowed`, and then the log says so.
///
/// # Errors
///
/// When other machines could reach one, and may not.
pub fn check(role: Role, listeners: &[Listener], allowed: bool) -> Result<(), PlainGrpcError> {
    for address in listeners.iter().filter_map(Listener::tcp_address) {
        check_plain(role, address, allowed)?;
    }
    Ok(())
}

fn check_plain(role: Role, address: SocketAddr, allowed: bool) -> Result<(), PlainGrpcError> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if !allowed {
        return Err(PlainGrpcError { address, role });
    }
    tracing::warn!(%address, "serving plain gRPC to other machines, as allow_plain_grpc says");
    Ok(())
}

/// Serves `service`, and its health beside it, until the supervisor stops. `beside` adds further
/// services of the same role.
pub async fn serve<S>(
    port: Port,
    service: S,
    beside: impl FnOnce(Routes) -> Routes,
    supervisor: &Supervisor,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: NamedService + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let (reporter, health) = tonic_health::server::health_reporter();
    let mirror = health::Mirror::new(reporter, S::NAME, supervisor.readiness().clone()).await;
    let Port {
        role,
        reach,
        listeners,
        identity,
        methods,
        reflection,
    } = port;
    let name = name(role, &reach);
    let identity = identity.map(|identity| identity.reaching(reach));
    let mut routes = beside(Routes::new(service).add_service(health));
    if let Some(descriptors) = reflection {
        routes = routes.add_service(reflect(descriptors));
    }
    let mut limits = limits();
    if let Some(identity) = &identity {
        limits.max_connection_age = identity.connection_age();
    }
    let rules = Rules {
        role,
        identity: identity.clone(),
    };
    let metrics = supervisor.metrics();
    let calls = CallMetrics::new(methods, &name, metrics);
    let gate = Gate::new(routes.prepare(), rules, calls);
    let connections = Gauge::default();
    let gauge = format!("{name}_grpc_connections");
    metrics.register(&gauge, "Connections that are open.", connections.clone());
    let server = HttpServer::internal(listeners, limits, identity, gate).counting(connections);
    supervisor.spawn(format!("{name}.grpc"), server.run(supervisor.spawner()));
    let stop = supervisor.token();
    supervisor.spawn(format!("{name}.health"), mirror.run(stop));
}

/// What tasks and metrics of a port are named after: a role may have one for each reach.
fn name(role: Role, reach: &Reach) -> String {
    match reach {
        Reach::Home => role.to_string(),
        Reach::Abroad(_) => format!("{role}_peers"),
    }
}

/// The service that tells what services there are.
fn reflect(descriptors: &'static [u8]) -> ServerReflectionServer<impl ServerReflection> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptors)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("descriptors that were compiled together are complete")
}

/// Our own services have few connections with many calls on each. A call whose receiver is slow
/// holds its own window, never so much of the connection's that the others stand still.
fn limits() -> HttpConfig {
    let mut limits = HttpConfig::internal();
    limits.http2.max_concurrent_streams = 1024;
    limits.http2.connection_window = ByteSize::mib(256);
    limits
}

// === impl PlainGrpcError ===

impl Classify for PlainGrpcError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_grpc_leaves_the_machine_only_when_allowed() {
        for (address, refused) in [
            ("127.0.0.1:7401", false),
            ("[::1]:7401", false),
            ("[::ffff:127.0.0.1]:7401", false),
            ("0.0.0.0:7401", true),
            ("[::]:7401", true),
            ("192.0.2.1:7401", true),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(
                check_plain(Role::Blob, address, false).is_err(),
                refused,
                "{address}"
            );
            assert!(check_plain(Role::Blob, address, true).is_ok());
        }
    }

    #[test]
    fn the_windows_of_all_calls_but_a_few_fit_into_that_of_their_connection() {
        let http2 = limits().http2;
        let windows = http2.connection_window.as_u64() / http2.stream_window.as_u64();
        assert!(windows >= u64::from(http2.max_concurrent_streams) / 4);
    }
}
