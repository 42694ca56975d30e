//! The suite that every body runs.

use harness::s3::S3Server;
use meridian_blobstore::{S3BlobStore, conformance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_this_process() {
    let server = S3Server::start().await;
    conformance::run(async || server.store().await).await;
    assert_eq!((server.parts(), server.uploads()), (0, UNFINISHED));
}

/// Uploads that the suite itself leaves unfinished.
const UNFINISHED: usize = 0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_least_memory() {
    let server = S3Server::start().await;
    conformance::run(async || {
        let mut config = server.config();
        config.memory = bytesize::ByteSize::mib(5);
        config.max_object = bytesize::ByteSize::gib(1);
        config.parts_in_flight = 1;
        S3BlobStore::open(config).await.unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elsewhere() {
    match S3Server::elsewhere() {
        Some(server) => conformance::run(async || server.store().await).await,
        None => eprintln!("S3_TEST_ENDPOINT is not set, so there is nothing elsewhere"),
    }
}
