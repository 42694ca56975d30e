//! The S3 body against a server in this process, and, by hand, against any other:
//!
//! ```sh
//! S3_TEST_ENDPOINT=http://127.0.0.1:5555 cargo test --package cluster-tests --test s3 elsewhere
//! ```
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, and what it tells besides goes to standard error"
)]

mod conformance;
mod faults;
mod presigned;
mod random;
mod several;
mod uploads;

use bytes::Bytes;
use meridian_blobstore::conformance::{content, key};
use meridian_blobstore::{BlobKey, BlobStore, BlobWriter};

const MIB: usize = 1 << 20;

async fn append(writer: &mut Box<dyn BlobWriter>, bytes: &Bytes) {
    for chunk in bytes.chunks(100_000) {
        writer.append(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
}

/// A writer to which some bytes were appended.
async fn begun(store: &impl BlobStore, key: &BlobKey, bytes: &Bytes) -> Box<dyn BlobWriter> {
    let mut writer = store.create(key).await.unwrap();
    append(&mut writer, bytes).await;
    writer
}

async fn put(store: &impl BlobStore, key: &BlobKey, bytes: &Bytes) {
    let writer = begun(store, key, bytes).await;
    assert_eq!(writer.commit().await.unwrap(), bytes.len() as u64);
}

async fn get(store: &impl BlobStore, key: &BlobKey) -> Bytes {
    let reader = store.open(key, None).await.unwrap();
    reader.into_bytes().await.unwrap()
}
