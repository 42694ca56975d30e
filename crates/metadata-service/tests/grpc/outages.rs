//! A server that goes and comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meridian_clients::grpc::{GrpcConfig, GrpcMetadata};
use meridian_clients::{BlobLocation, Encoding, MetadataApi, PutBlob, RepositoryPath, RequestId};
use meridian_clock::ManualClock;
use meridian_error::{Classify, Code};
use meridian_eventlog::MemoryEventLog;
use meridian_metadata_service::GRPC_SERVICE;
use meridian_oci::{Algorithm, Digest};
use tokio::net::TcpSocket;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::harness::{Life, any, client};

fn put(id: u8) -> PutBlob {
    PutBlob {
        repository: RepositoryPath {
            registry: "default".parse().unwrap(),
            name: "team/app".parse().unwrap(),
        },
        digest: Digest::of(Algorithm::Sha256, b"it"),
        size: 2,
        encoding: Encoding::Plain,
        location: BlobLocation::Inline(Bytes::from_static(b"it")),
        instead_of: None,
        request: RequestId([id; 16]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let events = Arc::new(MemoryEventLog::default());
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let life = Life::new(folder.path(), Arc::clone(&events) as _, Arc::clone(&clock)).await;
    // Keeps the port for us while nobody listens on it.
    let held = TcpSocket::new_v4().unwrap();
    held.set_reuseaddr(true).unwrap();
    held.bind(any()).unwrap();
    let address = held.local_addr().unwrap();
    assert_eq!(life.serve(address), address);
    let client = client(address);
    let first = client.put_blob(put(1)).await.unwrap();
    life.stop().await;

    let hasty = GrpcConfig {
        deadline: Duration::from_millis(300),
        ..GrpcConfig::default()
    };
    let hasty = GrpcMetadata::at(&format!("http://{address}"), &hasty).unwrap();
    let error = hasty.put_blob(put(2)).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");

    let (write, again) = tokio::join!(client.put_blob(put(2)), async {
        let life = Life::new(folder.path(), events, clock).await;
        assert_eq!(life.serve(address), address);
        life
    });
    let second = write.unwrap();
    assert!(first.version < second.version);
    assert_eq!(client.put_blob(put(1)).await.unwrap(), first);
    assert_eq!(client.put_blob(put(2)).await.unwrap(), second);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_asked_by_the_name_of_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let events = Arc::new(MemoryEventLog::default());
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let life = Life::new(folder.path(), events, clock).await;
    let address = life.serve(any());
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut health = HealthClient::new(endpoint.connect_lazy());
    assert_eq!(GRPC_SERVICE, "meridian.metadata.v1.Metadata");
    let ask = HealthCheckRequest {
        service: GRPC_SERVICE.to_owned(),
    };
    // The first to be told is whoever watches.
    let mut told = health.watch(ask.clone()).await.unwrap().into_inner();
    while told.message().await.unwrap().unwrap().status != ServingStatus::Serving as i32 {}
    let answer = health.check(ask).await.unwrap().into_inner();
    assert_eq!(answer.status, ServingStatus::Serving as i32);
    drop((told, health));
    life.stop().await;
}
