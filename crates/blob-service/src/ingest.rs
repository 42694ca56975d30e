//! Bytes on their way into the store, hashed as they pass.
//!
//! Keeps the invariant that hash and object cover the same bytes in the same order. A piece is
//! handed to the store's writer first, which writes behind on another thread, and is hashed here
//! meanwhile, while it is still in the processor's cache; only then is the next one asked for. An
//! upload is a task of its own, so its connection's task reads on at the same time, and an upload
//! holds no more than a piece. Hashing on a thread of the pool, or on one for each upload, costs 3
//! to 11 % more processor time for each byte; `examples/ingest.rs` measures it.

use bytes::Bytes;
use meridian_blobstore::{BlobWriter, WriteError};
use meridian_oci::Hasher;
use tokio::task::coop::consume_budget;

/// How much is hashed at once, in bytes: about a fifth of a millisecond, in which other tasks of
/// the thread wait.
const STRETCH: usize = 256 * 1024;

/// Appends `bytes` to the object and to the hash.
pub(crate) async fn push(
    writer: &mut dyn BlobWriter,
    hasher: Option<&mut Hasher>,
    mut bytes: Bytes,
) -> Result<(), WriteError> {
    let Some(hasher) = hasher else {
        return writer.append(bytes).await;
    };
    while !bytes.is_empty() {
        let stretch = bytes.split_to(bytes.len().min(STRETCH));
        writer.append(stretch.clone()).await?;
        hasher.update(&stretch);
        consume_budget().await;
    }
    Ok(())
}
